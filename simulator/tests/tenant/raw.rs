//! A caller on a bare connection, who sees what HTTP clients hide.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{ORGANIZATION, Tenant};

/// What a connection brought until it ended.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) text: String,
    /// Why it ended; none: it was closed in order.
    pub(crate) error: Option<ErrorKind>,
}

impl Brought {
    /// The head and what there is of the body.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.text.split_once("\r\n\r\n").unwrap()
    }

    /// The length of the body that the head announces.
    pub(crate) fn announced(&self) -> usize {
        let (head, _) = self.parts();
        let lower = head.to_ascii_lowercase();
        let (_, rest) = lower.split_once("content-length: ").unwrap();
        rest.lines().next().unwrap().parse().unwrap()
    }
}

impl Tenant {
    /// Sends a call on a connection of its own, which would stay open.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> TcpStream {
        let address = self.url.strip_prefix("http://").unwrap();
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
             x-api-key: demo-client\r\nx-gw-ims-org-id: {ORGANIZATION}\r\nx-sandbox-name: prod\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Sends a call and reads until the tenant ends the connection.
    pub(crate) async fn brought(&self, method: &str, path: &str, body: &Value) -> Brought {
        let mut stream = self.call(method, path, body).await;
        let mut bytes = Vec::new();
        let reading = stream.read_to_end(&mut bytes);
        let end = tokio::time::timeout(Duration::from_secs(20), reading)
            .await
            .expect("the tenant ends the connection");
        Brought {
            text: String::from_utf8(bytes).unwrap(),
            error: end.err().map(|error| error.kind()),
        }
    }

    /// Sets faults.
    pub(crate) async fn fault(&self, faults: Value) {
        self.admin("POST", "/faults", faults).await.with(201);
    }

    /// The last call to the platform, as the ledger has it.
    pub(crate) async fn last_call(&self) -> Value {
        let ledger = self.ledger().await;
        ledger["requests"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone()
    }

    /// Asks for the ledger until `done` says yes.
    pub(crate) async fn until_ledger(&self, done: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            loop {
                let ledger = self.ledger().await;
                if done(&ledger) {
                    return ledger;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look)
            .await
            .expect("the ledger comes to say so")
    }
}
