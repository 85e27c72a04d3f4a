//! `ClusterPlatformConnection`: a connection that several namespaces share.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Budget, ClusterSecretRef, Endpoints, Form, PlatformConnectionStatus, Terms};

/// A connection to one sandbox of one organisation that several namespaces share.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "aep-export.dev",
    version = "v1alpha1",
    kind = "ClusterPlatformConnection",
    plural = "clusterplatformconnections",
    singular = "clusterplatformconnection",
    shortname = "caepconn",
    status = "PlatformConnectionStatus",
    derive = "PartialEq",
    doc = "A connection to one sandbox of one organisation of Adobe Experience Platform that several namespaces share: credentials, endpoints, whether they work, and who may use it.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Sandbox", type_ = "string", json_path = ".spec.sandbox"),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.sandbox.type"),
    printcolumn(
        name = "Organization",
        type_ = "string",
        json_path = ".spec.organizationId",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.organizationId == oldSelf.organizationId")
        .message("organizationId is immutable: create another ClusterPlatformConnection for another organisation")
        .field_path(".organizationId").reason(Reason::FieldValueForbidden),
    validation = Rule::new("self.sandbox == oldSelf.sandbox")
        .message("sandbox is immutable: create another ClusterPlatformConnection for another sandbox")
        .field_path(".sandbox").reason(Reason::FieldValueForbidden),
    validation = Rule::new("(has(self.endpoints) && has(self.endpoints.platform) ? self.endpoints.platform : 'https://platform.adobe.io') == (has(oldSelf.endpoints) && has(oldSelf.endpoints.platform) ? oldSelf.endpoints.platform : 'https://platform.adobe.io') && (has(self.endpoints) && has(self.endpoints.ims) ? self.endpoints.ims : 'https://ims-na1.adobelogin.com') == (has(oldSelf.endpoints) && has(oldSelf.endpoints.ims) ? oldSelf.endpoints.ims : 'https://ims-na1.adobelogin.com')")
        .message("endpoints are immutable: create another ClusterPlatformConnection for other endpoints")
        .field_path(".endpoints").reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.controllerClass) == has(oldSelf.controllerClass) && (!has(self.controllerClass) || self.controllerClass == oldSelf.controllerClass)")
        .message("controllerClass is immutable: create another ClusterPlatformConnection for another operator")
        .field_path(".controllerClass").reason(Reason::FieldValueForbidden),
)]
pub struct ClusterPlatformConnectionSpec {
    /// The organisation's id, as `745F37C35E4B776E0A49421B@AdobeOrg`. Immutable.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]+@AdobeOrg$')")
        .message("write the organisation's id as Adobe shows it, as 745F37C35E4B776E0A49421B@AdobeOrg"))]
    pub organization_id: String,
    /// The name of the sandbox: lower-case letters, digits and hyphens. Immutable.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9][a-z0-9-]*$')")
        .message("write the sandbox's name (not its title): lower-case letters, digits and hyphens, as prod"))]
    pub sandbox: String,
    /// How the operator authenticates: exactly one member.
    pub auth: ClusterAuth,
    /// Which namespaces' objects may use it. Absent: none; `{}`: all. It is looked at anew whenever
    /// it or a namespace's labels change: what runs goes on, and nothing new begins in a namespace
    /// that it does not select.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,
    /// The hosts to call. Absent: Adobe's. The operator's `--allowed-hosts` must have them.
    /// Immutable; a default written out equals its absence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// How much of the credential's quota the operator may use. Connections with the same
    /// credential share one budget, and the lowest of their numbers holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Which operator serves this connection and all that uses it: the one with this
    /// `--controller-class`. Absent: the one without. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')")
        .message("write the class as the operator's --controller-class has it: lower-case letters, digits and hyphens, as blue"))]
    pub controller_class: Option<String>,
}

/// How the operator authenticates: exactly one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.oauthServerToServer) != has(self.accessToken)")
    .message("write exactly one of oauthServerToServer (a Secret with client_id and client_secret) and accessToken (a Secret with access_token and api_key)"))]
pub struct ClusterAuth {
    /// An OAuth server-to-server credential of the Adobe Developer Console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_server_to_server: Option<ClusterOAuthServerToServer>,
    /// An access token made elsewhere, for trying things out: it ends after a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<ClusterAccessToken>,
}

/// An OAuth server-to-server credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterOAuthServerToServer {
    /// The Secret with the keys `client_id` and `client_secret`.
    pub secret_ref: ClusterSecretRef,
    /// The scopes to ask for. Absent: `openid`, `AdobeID`, `read_organizations`,
    /// `additional_info.projectedProductContext`, `session`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 128)))]
    #[x_kube(validation = Rule::new("self.all(s, !s.matches('[,\\\\s]'))")
        .message("write one scope per item, as [openid, AdobeID]: no item holds a comma or a space"))]
    pub scopes: Option<Vec<String>>,
}

/// An access token made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAccessToken {
    /// The Secret with the keys `access_token` and `api_key`.
    pub secret_ref: ClusterSecretRef,
}

/// Namespaces, by their labels: those that meet all that is written here. `{}`: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels, each with its value. The label `kubernetes.io/metadata.name` is a namespace's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minProperties" = 1, "maxProperties" = 50))]
    #[x_kube(
        validation = Rule::new("self.all(k, k.size() < 318 && k.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$'))")
            .message("write label keys, as example.com/team: a name of up to 63 letters, digits, hyphens, dots and underscores, with or without a domain and a slash before it"),
        validation = Rule::new("self.all(k, self[k].matches('^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$'))")
            .message("write label values of up to 63 letters, digits, hyphens, dots and underscores, as marketing"),
    )]
    pub match_labels: Option<BTreeMap<String, LabelValue>>,
    /// What else their labels have to meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub match_expressions: Option<Vec<LabelRequirement>>,
}

/// The value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LabelValue(
    /// The value.
    #[schemars(length(max = 63))]
    pub String,
);

/// What a label has to meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("(self.operator == 'In' || self.operator == 'NotIn') == has(self.values)")
    .message("write values beside In and NotIn, and none beside Exists and DoesNotExist"))]
pub struct LabelRequirement {
    /// The label's key.
    #[schemars(length(min = 1, max = 317))]
    #[x_kube(validation = Rule::new("self.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$')")
        .message("write a label key, as example.com/team: a name of up to 63 letters, digits, hyphens, dots and underscores, with or without a domain and a slash before it"))]
    pub key: String,
    /// How the label relates to `values`.
    pub operator: LabelOperator,
    /// The values; beside `In` and `NotIn`, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(validation = Rule::new("self.all(v, v.matches('^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$'))")
        .message("write label values of up to 63 letters, digits, hyphens, dots and underscores, as marketing"))]
    pub values: Option<Vec<LabelValue>>,
}

/// How a label relates to values: it is one of them (`In`), is none of them or not there (`NotIn`),
/// is there (`Exists`), or is not (`DoesNotExist`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// It is one of them.
    In,
    /// It is none of them, or not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl ClusterPlatformConnectionSpec {
    /// What it says, as a connection of either kind.
    #[must_use]
    pub fn terms(&self) -> Terms<'_> {
        let Self {
            organization_id,
            sandbox,
            auth,
            namespace_selector: _,
            endpoints,
            budget,
            controller_class,
        } = self;
        Terms {
            organization_id,
            sandbox,
            access: auth.access(),
            endpoints: endpoints.as_ref(),
            budget: *budget,
            controller_class: controller_class.as_deref(),
        }
    }
}

impl ClusterAuth {
    fn access(&self) -> Option<Access<'_>> {
        let oauth = self.oauth_server_to_server.as_ref().map(|oauth| {
            let form = Form::OAuthServerToServer(oauth.scopes.as_deref());
            oauth.secret_ref.access(form)
        });
        let token = self.access_token.as_ref();
        let token = token.map(|token| token.secret_ref.access(Form::AccessToken));
        oauth.or(token)
    }
}

impl ClusterSecretRef {
    fn access<'a>(&'a self, form: Form<'a>) -> Access<'a> {
        let Self { name, namespace } = self;
        Access {
            secret: name,
            namespace: Some(namespace),
            form,
        }
    }
}
