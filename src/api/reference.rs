//! References from one object to another.

use std::fmt;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The connection to use, by name: one of the object's own namespace, or one that namespaces share.
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
/// (`PlatformConnection`: one of the object's own namespace; `ClusterPlatformConnection`: one of the
/// cluster, whose `namespaceSelector` has to select the object's namespace.)
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::IntoStaticStr,
)]
pub enum ConnectionKind {
    /// A connection in the object's own namespace.
    #[default]
    PlatformConnection,
    /// A connection of the cluster.
    ClusterPlatformConnection,
}

/// A connection of either kind, by namespace and name.
///
/// Two of one name, one of each kind, are two connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    /// The namespace of a `PlatformConnection`; none: it is a `ClusterPlatformConnection`.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
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

/// A Secret, in whichever namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ClusterSecretRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("write the Secret's name as kubectl get secrets shows it: lower-case letters, digits, hyphens and dots"))]
    pub name: String,
    /// The namespace of the Secret.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')")
        .message("write the namespace of the Secret: lower-case letters, digits and hyphens"))]
    pub namespace: String,
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
    /// The class of the operator that serves it; absent: the one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller_class: Option<String>,
}

impl ConnectionKind {
    /// The word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The short name, as kubectl takes it.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::PlatformConnection => "aepconn",
            Self::ClusterPlatformConnection => "caepconn",
        }
    }
}

impl ConnectionKey {
    /// A `PlatformConnection` of this namespace.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    /// A `ClusterPlatformConnection`.
    #[must_use]
    pub fn cluster(name: &str) -> Self {
        Self {
            namespace: None,
            name: name.to_owned(),
        }
    }

    /// What an object of this namespace means.
    #[must_use]
    pub fn named(namespace: &str, reference: &ConnectionRef) -> Self {
        let ConnectionRef { kind, name } = reference;
        match kind.unwrap_or_default() {
            ConnectionKind::PlatformConnection => Self::new(namespace, name),
            ConnectionKind::ClusterPlatformConnection => Self::cluster(name),
        }
    }

    /// What an object of this namespace has on record.
    #[must_use]
    pub fn recorded(namespace: &str, record: &ConnectionStatusRef) -> Self {
        if record.kind == ConnectionKind::ClusterPlatformConnection.as_str() {
            Self::cluster(&record.name)
        } else {
            Self::new(namespace, &record.name)
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ConnectionKind {
        match &self.namespace {
            Some(_) => ConnectionKind::PlatformConnection,
            None => ConnectionKind::ClusterPlatformConnection,
        }
    }

    /// Kind and name, for a sentence.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.kind().as_str(), self.name)
    }

    /// A kubectl line about it, from the verb to its name.
    #[must_use]
    pub fn kubectl(&self, verb: &str) -> String {
        let Self { namespace, name } = self;
        let short = self.kind().short();
        match namespace {
            Some(namespace) => format!("kubectl -n {namespace} {verb} {short} {name}"),
            None => format!("kubectl {verb} {short} {name}"),
        }
    }
}

/// `namespace/name`, or the name alone: a name holds no slash, so the two are never the same.
impl fmt::Display for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name } = self;
        match namespace {
            Some(namespace) => write!(f, "{namespace}/{name}"),
            None => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: Option<ConnectionKind>) -> ConnectionKey {
        let name = "prod".to_owned();
        ConnectionKey::named("n", &ConnectionRef { kind, name })
    }

    #[test]
    fn a_default_written_out_is_the_same_connection_and_the_other_kind_is_another() {
        let own = named(None);
        assert_eq!(own, named(Some(ConnectionKind::PlatformConnection)));
        let shared = named(Some(ConnectionKind::ClusterPlatformConnection));
        assert_ne!(own, shared);
        assert_ne!(own.to_string(), shared.to_string());
        assert_eq!(shared, ConnectionKey::cluster("prod"));
    }

    #[test]
    fn what_is_on_record_is_the_connection_that_was_named() {
        for kind in [
            ConnectionKind::PlatformConnection,
            ConnectionKind::ClusterPlatformConnection,
        ] {
            let record = ConnectionStatusRef {
                kind: kind.as_str().to_owned(),
                name: "prod".into(),
                ..ConnectionStatusRef::default()
            };
            assert_eq!(ConnectionKey::recorded("n", &record), named(Some(kind)));
        }
    }
}
