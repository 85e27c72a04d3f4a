//! A tenant of its own for each test, and a caller who has a token.

use std::time::Duration;

use aep_simulator::{Options, Simulator};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const ORGANIZATION: &str = "745F37C35E4B776E0A49421B@AdobeOrg";
pub(crate) const UNION: &str = "https://ns.adobe.com/xdm/context/profile__union";
pub(crate) const JOBS: &str = "/data/core/ups/export/jobs";
pub(crate) const DATASETS: &str = "/data/foundation/catalog/dataSets";
pub(crate) const BATCHES: &str = "/data/foundation/catalog/batches";
pub(crate) const FORM: &str = "grant_type=client_credentials&client_id=demo-client\
                               &client_secret=demo-secret&scope=openid,AdobeID";

/// A tenant that is served in this process, and ends with the test's runtime.
pub(crate) struct Tenant {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) token: String,
}

/// A reply, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The reply, which must have this status.
    pub(crate) fn with(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

pub(crate) async fn read(response: Response) -> Reply {
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

impl Tenant {
    /// A tenant whose jobs stay as they are until a test moves them.
    pub(crate) async fn start() -> Self {
        Self::with(Options {
            clock_scale: 0.0,
            ..Options::default()
        })
        .await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let simulator = Simulator::new(&options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { simulator.serve(listener, std::future::pending()).await });
        let mut tenant = Self {
            url,
            client: Client::builder().no_proxy().build().unwrap(),
            token: String::new(),
        };
        let reply = tenant.ims(FORM).await.with(200);
        reply.json()["access_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut tenant.token);
        tenant
    }

    pub(crate) async fn ims(&self, form: &str) -> Reply {
        let request = self
            .client
            .post(format!("{}/ims/token/v3", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        read(request.send().await.unwrap()).await
    }

    /// A request without any header of the platform.
    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request with all the headers that the platform wants.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, path)
            .bearer_auth(&self.token)
            .header("x-api-key", "demo-client")
            .header("x-gw-ims-org-id", ORGANIZATION)
            .header("x-sandbox-name", "prod")
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        read(self.request("GET", path).send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        read(self.request("DELETE", path).send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        read(self.request(method, path).json(body).send().await.unwrap()).await
    }

    /// A body of another type, or none that is JSON at all.
    pub(crate) async fn send_as(&self, method: &str, path: &str, kind: &str, body: &str) -> Reply {
        let request = self.request(method, path).header("content-type", kind);
        read(request.body(body.to_owned()).send().await.unwrap()).await
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Reply {
        let request = self.bare(method, &format!("/_simulator{path}"));
        let request = if body.is_null() {
            request
        } else {
            request.body(body.to_string())
        };
        read(request.send().await.unwrap()).await
    }

    pub(crate) async fn switch(&self, switches: Value) {
        self.admin("PUT", "/switches", switches).await.with(200);
    }

    pub(crate) async fn ledger(&self) -> Value {
        self.admin("GET", "/ledger", Value::Null)
            .await
            .with(200)
            .json()
    }

    /// A dataset on the union schema; returns its id.
    pub(crate) async fn dataset(&self) -> String {
        let body = json!({"name": "Profile Data Export", "schemaRef": {"id": UNION}});
        id_of(&self.send("POST", DATASETS, &body).await.with(201))
    }

    /// A dataset with a given id, on the union schema.
    pub(crate) async fn dataset_with_id(&self, id: &str) {
        let body = json!({"id": id, "body": {"name": id, "schemaRef": {"id": UNION}}});
        self.admin("POST", "/datasets", body).await.with(201);
    }

    /// A job into a dataset of its own; returns its id.
    pub(crate) async fn job(&self) -> i64 {
        let dataset = self.dataset().await;
        let reply = self.send("POST", JOBS, &smallest(&dataset)).await.with(200);
        reply.json()["id"].as_i64().unwrap()
    }

    pub(crate) async fn steer(&self, job: i64, steering: Value) {
        self.admin("PUT", &format!("/jobs/{job}"), steering)
            .await
            .with(200);
    }

    /// The job as GET shows it.
    pub(crate) async fn shown(&self, job: i64) -> Value {
        self.get(&format!("{JOBS}/{job}")).await.with(200).json()
    }

    /// Asks until `done` says yes: conditions are polled, never slept for.
    pub(crate) async fn until(&self, path: &str, done: impl Fn(&Reply) -> bool) -> Reply {
        let look = async {
            loop {
                let reply = self.get(path).await;
                if done(&reply) {
                    return reply;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look)
            .await
            .expect("the condition comes true")
    }
}

/// The smallest request that the documents allow.
pub(crate) fn smallest(dataset: &str) -> Value {
    json!({"destination": {"datasetId": dataset}, "schema": {"name": "_xdm.context.profile"}})
}

/// The id in the reply to a dataset request.
pub(crate) fn id_of(reply: &Reply) -> String {
    let json = reply.json();
    json[0]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned()
}

/// A request with everything that can come back.
pub(crate) fn full(dataset: &str) -> Value {
    json!({
        "fields": "a,b",
        "filter": {"segments": [
            {"segmentId": "s1"},
            {"segmentId": "s2", "segmentNs": "AAM", "status": ["exited"]},
        ]},
        "additionalFields": {"eventList": {"fields": "c", "filter": {
            "fromIngestTimestamp": "2018-01-01T00:00:00Z",
            "toIngestTimestamp": "2020-01-01T00:00:00Z",
        }}},
        "destination": {"datasetId": dataset, "segmentPerBatch": true},
        "schema": {"name": "_xdm.context.profile"},
        "evaluationInfo": {"segmentation": true},
    })
}

/// A tenant with a full job; the replies to POST, GET and the list.
pub(crate) struct Shown {
    pub(crate) tenant: Tenant,
    pub(crate) job: i64,
    pub(crate) post: Value,
}

impl Shown {
    pub(crate) async fn with(switches: Value) -> Self {
        let tenant = Tenant::start().await;
        tenant.switch(switches).await;
        let dataset = tenant.dataset().await;
        let post = tenant
            .send("POST", JOBS, &full(&dataset))
            .await
            .with(200)
            .json();
        Self {
            tenant,
            job: post["id"].as_i64().unwrap_or(1001),
            post,
        }
    }

    pub(crate) async fn get(&self) -> Value {
        self.tenant.shown(self.job).await
    }

    pub(crate) async fn list(&self) -> Value {
        self.tenant.get(JOBS).await.with(200).json()["records"][0].clone()
    }

    pub(crate) async fn finished(&self, outcome: &str) -> Value {
        self.tenant
            .steer(self.job, json!({"outcome": outcome, "finishNow": true}))
            .await;
        self.get().await
    }
}
