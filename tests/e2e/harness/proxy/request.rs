//! What is asked of which server.

use std::fmt;

use http::{Method, Uri};

/// The two servers behind the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The API server.
    Kubernetes,
    /// The simulated tenant, with its identity service.
    Platform,
}

/// What a request does, in the words of Kubernetes' roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads one object; or anything of the platform.
    Get,
    /// Reads all objects of a resource.
    List,
    /// Follows the objects of a resource.
    Watch,
    /// Makes one.
    Create,
    /// Replaces one, or its status.
    Update,
    /// Changes parts of one.
    Patch,
    /// Deletes one.
    Delete,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Of whom.
    pub server: Server,
    /// What it does.
    pub verb: Verb,
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub path: String,
    /// The plural of the resource; of the platform, the path without its query.
    pub resource: String,
    /// The object, if the path names one.
    pub name: Option<String>,
    /// `status`, `token` and the like.
    pub subresource: Option<String>,
}

/// Which requests a rule is about: those that are all that it says.
#[derive(Clone, Debug)]
pub struct Match {
    server: Server,
    verb: Option<Verb>,
    resource: Option<String>,
    name: Option<String>,
    subresource: Part,
}

/// Which part of an object a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Any,
    Whole,
    Sub(String),
}

impl Asked {
    /// Reads a request.
    pub fn new(server: Server, method: &Method, uri: &Uri) -> Self {
        let path = uri
            .path_and_query()
            .map_or_else(|| uri.path().to_owned(), ToString::to_string);
        let (resource, name, subresource) = match server {
            Server::Kubernetes => parts(uri.path()),
            Server::Platform => (uri.path().to_owned(), None, None),
        };
        let watches = uri
            .query()
            .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        let verb = match (method.as_str(), server, &name) {
            ("POST", _, _) => Verb::Create,
            ("PUT", _, _) => Verb::Update,
            ("PATCH", _, _) => Verb::Patch,
            ("DELETE", _, _) => Verb::Delete,
            (_, Server::Kubernetes, None) if watches => Verb::Watch,
            (_, Server::Kubernetes, None) => Verb::List,
            (_, Server::Kubernetes | Server::Platform, _) => Verb::Get,
        };
        Self {
            server,
            verb,
            method: method.clone(),
            path,
            resource,
            name,
            subresource,
        }
    }

    /// Whether the request belongs to the life of an object. Those for a lease go by the clock, and
    /// those for an event change nothing that the operator reads again.
    pub fn counts(&self) -> bool {
        match self.server {
            Server::Kubernetes => !matches!(self.resource.as_str(), "leases" | "events"),
            Server::Platform => true,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            verb,
            method,
            path,
            resource: _,
            name: _,
            subresource: _,
        } = self;
        write!(f, "{server:?} {verb:?}: {method} {path}")
    }
}

impl Match {
    /// Every request to this server.
    pub fn all(server: Server) -> Self {
        Self {
            server,
            verb: None,
            resource: None,
            name: None,
            subresource: Part::Any,
        }
    }

    /// The requests to the API server about a resource, by its plural.
    pub fn resource(plural: &str) -> Self {
        Self {
            resource: Some(plural.to_owned()),
            ..Self::all(Server::Kubernetes)
        }
    }

    /// The requests to the platform whose path starts so.
    pub fn platform(path: &str) -> Self {
        Self {
            resource: Some(path.to_owned()),
            ..Self::all(Server::Platform)
        }
    }

    /// Of these, those that do this.
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Of these, those whose path names this object.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Of these, those about this part of an object, such as `status`.
    pub fn subresource(mut self, subresource: &str) -> Self {
        self.subresource = Part::Sub(subresource.to_owned());
        self
    }

    /// Of these, those about no part of an object, but about all of it.
    pub fn whole(mut self) -> Self {
        self.subresource = Part::Whole;
        self
    }

    /// Whether a request is one of them.
    pub fn matches(&self, asked: &Asked) -> bool {
        let Self {
            server,
            verb,
            resource,
            name,
            subresource,
        } = self;
        let is_resource = |wanted: &String| match server {
            Server::Kubernetes => asked.resource == *wanted,
            Server::Platform => asked.resource.starts_with(wanted.as_str()),
        };
        *server == asked.server
            && verb.is_none_or(|verb| verb == asked.verb)
            && resource.as_ref().is_none_or(is_resource)
            && (name.is_none() || *name == asked.name)
            && match subresource {
                Part::Any => true,
                Part::Whole => asked.subresource.is_none(),
                Part::Sub(wanted) => asked.subresource.as_ref() == Some(wanted),
            }
    }
}

/// Resource, name and subresource of a path of the API server.
fn parts(path: &str) -> (String, Option<String>, Option<String>) {
    let mut segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let prefix = match segments.first() {
        Some(&"api") => 2,
        Some(&"apis") => 3,
        Some(_) | None => 0,
    };
    segments.drain(..prefix.min(segments.len()));
    // `namespaces/x` is a namespace; with more behind it, it says where something else is.
    if segments.first() == Some(&"namespaces") && segments.len() > 2 {
        segments.drain(..2);
    }
    let mut segments = segments.into_iter().map(str::to_owned);
    let resource = segments.next().unwrap_or_default();
    (resource, segments.next(), segments.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, path: &'static str) -> Asked {
        Asked::new(Server::Kubernetes, method, &Uri::from_static(path))
    }

    #[test]
    fn a_path_tells_verb_resource_name_and_part() {
        const EXPORTS: &str = "/apis/aep-export.dev/v1alpha1/namespaces/a/exportjobs";
        let cases = [
            (Method::GET, "", Verb::List, None, None),
            (Method::GET, "?limit=500", Verb::List, None, None),
            (Method::GET, "?watch=true&x=y", Verb::Watch, None, None),
            (Method::GET, "/w", Verb::Get, Some("w"), None),
            (Method::POST, "", Verb::Create, None, None),
            (Method::PATCH, "/w", Verb::Patch, Some("w"), None),
            (
                Method::PUT,
                "/w/status?fieldManager=x",
                Verb::Update,
                Some("w"),
                Some("status"),
            ),
            (Method::DELETE, "/w", Verb::Delete, Some("w"), None),
        ];
        for (method, rest, verb, name, subresource) in cases {
            let uri: Uri = format!("{EXPORTS}{rest}").parse().unwrap();
            let asked = Asked::new(Server::Kubernetes, &method, &uri);
            assert_eq!(asked.resource, "exportjobs", "{asked}");
            assert_eq!(asked.verb, verb, "{asked}");
            assert_eq!(asked.name.as_deref(), name, "{asked}");
            assert_eq!(asked.subresource.as_deref(), subresource, "{asked}");
        }
    }

    #[test]
    fn a_namespace_is_an_object_and_what_is_in_one_another() {
        let namespace = asked(&Method::GET, "/api/v1/namespaces/kube-system");
        assert_eq!(namespace.resource, "namespaces");
        assert_eq!(namespace.name.as_deref(), Some("kube-system"));
        let secrets = asked(&Method::GET, "/api/v1/namespaces/a/secrets?watch=true");
        assert_eq!(
            (secrets.resource.as_str(), secrets.verb),
            ("secrets", Verb::Watch)
        );
        let everywhere = asked(&Method::GET, "/apis/aep-export.dev/v1alpha1/exportjobs");
        assert_eq!(
            (everywhere.resource.as_str(), everywhere.verb),
            ("exportjobs", Verb::List)
        );
    }

    #[test]
    fn requests_for_leases_and_events_do_not_count() {
        for (path, counts) in [
            (
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/operator",
                false,
            ),
            ("/apis/events.k8s.io/v1/namespaces/a/events", false),
            ("/api/v1/namespaces/a/secrets", true),
        ] {
            assert_eq!(asked(&Method::GET, path).counts(), counts, "{path}");
        }
    }

    #[test]
    fn a_match_is_what_all_of_it_says() {
        let path = "/apis/aep-export.dev/v1alpha1/namespaces/a/exportjobs/w/status";
        let status = asked(&Method::PUT, path);
        let exports = || Match::resource("exportjobs");
        for (matching, matches) in [
            (Match::all(Server::Kubernetes), true),
            (Match::all(Server::Platform), false),
            (exports(), true),
            (Match::resource("secrets"), false),
            (exports().verb(Verb::Update), true),
            (exports().verb(Verb::Patch), false),
            (exports().named("w"), true),
            (exports().named("v"), false),
            (exports().subresource("status"), true),
            (exports().subresource("scale"), false),
            (exports().whole(), false),
        ] {
            assert_eq!(matching.matches(&status), matches, "{matching:?}");
        }
    }

    #[test]
    fn a_match_of_the_platform_is_by_the_start_of_the_path() {
        let uri = Uri::from_static("/data/core/ups/export/jobs/7?x=y");
        let job = Asked::new(Server::Platform, &Method::DELETE, &uri);
        assert_eq!(job.verb, Verb::Delete);
        let jobs = Match::platform("/data/core/ups/export/jobs");
        assert!(jobs.clone().verb(Verb::Delete).matches(&job));
        assert!(!jobs.verb(Verb::Create).matches(&job));
        assert!(!Match::platform("/ims").matches(&job));
    }
}
