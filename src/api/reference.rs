//! References from one object to another.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The connection to use, by name in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRef {
    /// The kind of the connection. Absent: `PlatformConnection`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ConnectionKind>,
    /// The name of the connection.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("write the connection's name as kubectl get aepconn shows it: lower-case letters, digits, hyphens and dots"))]
    pub name: String,
}

/// Which kind of connection is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConnectionKind {
    /// A connection in the object's own namespace.
    #[default]
    PlatformConnection,
}

/// A Secret in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct SecretRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("write the Secret's name as kubectl get secrets shows it: lower-case letters, digits, hyphens and dots"))]
    pub name: String,
}

/// The connection that an object was served by, as resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatusRef {
    /// The kind of the connection.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The organisation it connects to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// The sandbox it connects to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
}
