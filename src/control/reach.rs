//! What this process serves, and what it sees of the cluster beyond that.

use std::collections::BTreeMap;

use kube::{Api, Client, api::ListParams};

use super::shard::Shard;
use crate::api::ExportJob;

/// The name of the operator in field managers and leases.
pub const OPERATOR: &str = "aep-export-operator";

/// The namespaces, the shard and the class that a process serves.
pub struct Reach {
    client: Client,
    namespaces: Vec<String>,
    shard: Option<Shard>,
    class: Option<String>,
}

impl Reach {
    /// A process that serves a shard of these namespaces; without shard all of them, and without
    /// namespaces all. Of these it serves what uses the connections of its class.
    #[must_use]
    pub fn new(
        client: Client,
        namespaces: Vec<String>,
        shard: Option<Shard>,
        class: Option<String>,
    ) -> Self {
        Self {
            client,
            namespaces,
            shard,
            class,
        }
    }

    /// The class; none: connections without one are served.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        self.class.as_deref()
    }

    /// Whether it sees objects of no namespace.
    #[must_use]
    pub fn sees_cluster(&self) -> bool {
        self.namespaces.is_empty()
    }

    /// The field manager of what it writes: of operators of several classes each has its own.
    #[must_use]
    pub fn manager(&self, what: &str) -> String {
        format!("{}/{what}", of_class(OPERATOR, self.class()))
    }

    /// The shard, if it is not everything.
    #[must_use]
    pub fn shard(&self) -> Option<&Shard> {
        self.shard.as_ref()
    }

    /// Whether an object with these labels is served.
    #[must_use]
    pub fn serves(&self, labels: &BTreeMap<String, String>) -> bool {
        let shard = self.shard.as_ref();
        shard.is_none_or(|shard| shard.matches(labels))
    }

    /// Whether the stores of one scope show all that there is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.shard.is_none() && self.namespaces.len() < 2
    }

    /// The exports of every namespace that is served, of whatever shard, as the API server has
    /// them now, by a field selector; none: all. A dataset of the Catalog knows neither namespaces
    /// nor shards: what one scope watches says nothing of who else submits into it.
    ///
    /// # Errors
    ///
    /// A namespace that cannot be listed: what is in it is not known then.
    pub async fn exports(&self, fields: Option<&str>) -> Result<Vec<ExportJob>, kube::Error> {
        let params = ListParams {
            field_selector: fields.map(str::to_owned),
            ..ListParams::default()
        };
        let client = || self.client.clone();
        if self.namespaces.is_empty() {
            return Ok(Api::all(client()).list(&params).await?.items);
        }
        let mut exports = Vec::new();
        for namespace in &self.namespaces {
            let api: Api<ExportJob> = Api::namespaced(client(), namespace);
            exports.extend(api.list(&params).await?.items);
        }
        Ok(exports)
    }
}

/// A name for an operator of this class, beside those of other classes. (A class holds no dot, so
/// that no two come to the same.)
#[must_use]
pub fn of_class(name: &str, class: Option<&str>) -> String {
    match class {
        Some(class) => format!("{name}.{class}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::Request};
    use kube::ResourceExt;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    /// An API server that has one export in each namespace, named by what it was asked for.
    async fn server() -> Client {
        let list = |request: Request| async move {
            json!({
                "apiVersion": "aep-export.dev/v1alpha1",
                "kind": "ExportJobList",
                "metadata": { "resourceVersion": "1" },
                "items": [{
                    "apiVersion": "aep-export.dev/v1alpha1",
                    "kind": "ExportJob",
                    "metadata": { "name": request.uri().to_string() },
                    "spec": { "export": { "destination": { "datasetRef": { "name": "d" } } } },
                }],
            })
            .to_string()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(list);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let url = format!("http://{address}").parse().unwrap();
        Client::try_from(kube::Config::new(url)).unwrap()
    }

    async fn asked(namespaces: &[&str], shard: Option<&str>) -> Vec<String> {
        let namespaces = namespaces.iter().map(ToString::to_string).collect();
        let reach = Reach::new(
            server().await,
            namespaces,
            shard.map(|text| text.parse().unwrap()),
            None,
        );
        let exports = reach.exports(Some("status.datasetId=5b02")).await.unwrap();
        exports.iter().map(ResourceExt::name_any).collect()
    }

    const GROUP: &str = "/apis/aep-export.dev/v1alpha1";
    const QUERY: &str = "exportjobs?&fieldSelector=status.datasetId%3D5b02";

    #[tokio::test]
    async fn exports_are_listed_in_every_namespace_that_is_served() {
        let in_each = ["a", "b"].map(|name| format!("{GROUP}/namespaces/{name}/{QUERY}"));
        assert_eq!(asked(&["a", "b"], None).await, in_each);
        assert_eq!(asked(&[], None).await, [format!("{GROUP}/{QUERY}")]);
    }

    #[tokio::test]
    async fn exports_are_listed_of_whatever_shard() {
        assert_eq!(
            asked(&[], Some("shard=a")).await,
            [format!("{GROUP}/{QUERY}")]
        );
    }
}
