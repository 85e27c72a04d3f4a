//! Events of the API server's audit log (`audit.k8s.io/v1`), as far as they tell of rights.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

/// Tells what the authorizer decided.
const DECISION: &str = "authorization.k8s.io/decision";

/// One stage of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    name: String,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The API group; empty for the first one.
    pub group: String,
    /// The resource, with the subresource after a slash, as roles write it.
    pub resource: String,
    /// The verb.
    pub verb: String,
    /// The name of the object, or nothing.
    pub name: String,
}

/// What the authorizer decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The account has the right.
    Allowed,
    /// It has not.
    Denied,
}

impl Event {
    /// The request, if a ServiceAccount of this name made it, of an object or objects.
    pub fn of(&self, account: &str) -> Option<Request> {
        let name = self.user.username.strip_prefix("system:serviceaccount:")?;
        let (_, name) = name.split_once(':')?;
        let object = self.object_ref.as_ref()?;
        (name == account).then(|| Request {
            group: object.api_group.clone(),
            resource: match object.subresource.as_str() {
                "" => object.resource.clone(),
                subresource => format!("{}/{subresource}", object.resource),
            },
            verb: self.verb.clone(),
            name: object.name.clone(),
        })
    }

    /// What the authorizer decided.
    pub fn decision(&self) -> Decision {
        match self.annotations.get(DECISION).map(String::as_str) {
            Some("allow") => Decision::Allowed,
            Some(_) | None => Decision::Denied,
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group,
            resource,
            verb,
            name,
        } = self;
        write!(f, "{verb} {resource}")?;
        if !group.is_empty() {
            write!(f, ".{group}")?;
        }
        if !name.is_empty() {
            write!(f, " {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(user: &str, decision: &str) -> Event {
        serde_json::from_value(json!({
            "kind": "Event", "stage": "ResponseComplete", "verb": "update",
            "user": { "username": user, "groups": [] },
            "objectRef": {
                "resource": "exportjobs", "subresource": "status", "namespace": "n", "name": "a",
                "apiGroup": "aep-export.dev", "apiVersion": "v1alpha1",
            },
            "annotations": { "authorization.k8s.io/decision": decision },
        }))
        .unwrap()
    }

    #[test]
    fn a_request_of_the_account_is_read_as_roles_write_it() {
        let event = event("system:serviceaccount:n:operator", "allow");
        let request = event.of("operator").unwrap();
        assert_eq!(
            request.to_string(),
            "update exportjobs/status.aep-export.dev a"
        );
        assert_eq!(event.decision(), Decision::Allowed);
        assert_eq!(event.of("other"), None);
    }

    #[test]
    fn people_and_what_is_not_allowed_are_told_apart() {
        assert_eq!(event("admin", "allow").of("admin"), None);
        let denied = event("system:serviceaccount:n:operator", "forbid");
        assert_eq!(denied.decision(), Decision::Denied);
    }
}
