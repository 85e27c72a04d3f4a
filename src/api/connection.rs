//! `PlatformConnection`: which organisation and sandbox, with which credentials.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;

/// A connection to one sandbox of one organisation of Adobe Experience Platform.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "aep-export.dev",
    version = "v1alpha1",
    kind = "PlatformConnection",
    plural = "platformconnections",
    singular = "platformconnection",
    shortname = "aepconn",
    category = "aep",
    namespaced,
    status = "PlatformConnectionStatus",
    derive = "PartialEq",
    doc = "A connection to one sandbox of one organisation of Adobe Experience Platform: credentials, endpoints, and whether they work.",
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
        .message("organizationId is immutable: create another PlatformConnection for another organisation")
        .field_path(".organizationId").reason(Reason::FieldValueForbidden),
    validation = Rule::new("self.sandbox == oldSelf.sandbox")
        .message("sandbox is immutable: create another PlatformConnection for another sandbox")
        .field_path(".sandbox").reason(Reason::FieldValueForbidden),
    validation = Rule::new("(has(self.endpoints) && has(self.endpoints.platform) ? self.endpoints.platform : 'https://platform.adobe.io') == (has(oldSelf.endpoints) && has(oldSelf.endpoints.platform) ? oldSelf.endpoints.platform : 'https://platform.adobe.io') && (has(self.endpoints) && has(self.endpoints.ims) ? self.endpoints.ims : 'https://ims-na1.adobelogin.com') == (has(oldSelf.endpoints) && has(oldSelf.endpoints.ims) ? oldSelf.endpoints.ims : 'https://ims-na1.adobelogin.com')")
        .message("endpoints are immutable: create another PlatformConnection for other endpoints")
        .field_path(".endpoints").reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.controllerClass) == has(oldSelf.controllerClass) && (!has(self.controllerClass) || self.controllerClass == oldSelf.controllerClass)")
        .message("controllerClass is immutable: create another PlatformConnection for another operator")
        .field_path(".controllerClass").reason(Reason::FieldValueForbidden),
)]
pub struct PlatformConnectionSpec {
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
    pub auth: Auth,
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
pub struct Auth {
    /// An OAuth server-to-server credential of the Adobe Developer Console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_server_to_server: Option<OAuthServerToServer>,
    /// An access token made elsewhere, for trying things out: it ends after a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<AccessToken>,
}

/// An OAuth server-to-server credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuthServerToServer {
    /// The Secret with the keys `client_id` and `client_secret`.
    pub secret_ref: SecretRef,
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
pub struct AccessToken {
    /// The Secret with the keys `access_token` and `api_key`.
    pub secret_ref: SecretRef,
}

/// The hosts to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.platform) || has(self.ims)")
    .message("write platform or ims, or leave endpoints out"))]
pub struct Endpoints {
    /// The platform's gateway. Absent: `https://platform.adobe.io`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$')")
        .message("write scheme and host only, as https://platform.adobe.io: no path, no trailing slash"))]
    pub platform: Option<String>,
    /// The identity service. Absent: `https://ims-na1.adobelogin.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$')")
        .message("write scheme and host only, as https://ims-na1.adobelogin.com: no path, no trailing slash"))]
    pub ims: Option<String>,
}

/// How much of the credential's quota the operator may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.requestsPerMinute) || has(self.maxRunningExports)")
    .message("write requestsPerMinute or maxRunningExports, or leave budget out"))]
pub struct Budget {
    /// Calls to the platform in any minute, those for access tokens apart. Absent: 120. A twelfth
    /// of them may be made at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub requests_per_minute: Option<i32>,
    /// Exports that run at a time, in all namespaces; others wait in the order in which they were
    /// created. Absent: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_running_exports: Option<i32>,
}

/// What the operator last saw of a connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformConnectionStatus {
    /// The generation that this status tells of; -1: none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`; `Reconciling` and `Stalled` only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
    /// The sandbox, as the platform describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxStatus>,
    /// When the access token ends; absent for a token made elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub token_expires_at: Option<Timestamp>,
    /// Whether the platform shows the request id of a submission on its job: true, false, or
    /// absent while that is not known. Learned from jobs whose id a reply named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echoes_request_id: Option<bool>,
    /// How the budget of the connection's credential stands. Written at most once a minute, apart
    /// from when something else is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetStatus>,
    /// The last request to reconcile that was answered, as its annotation had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// The sandbox, as the platform describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SandboxStatus {
    /// Its name.
    pub name: String,
    /// `production` or `development`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// `active`, `creating`, `deleting`, `resetting`, `deleted` or `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The region, as `VA7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// How the budget of a credential stands, for all connections that have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// Calls a minute that are allowed: the lowest of the connections with this credential.
    pub limit: i32,
    /// Calls a minute at present: less than the limit for some minutes after the platform asked
    /// for fewer.
    pub effective_per_minute: i32,
    /// Nothing is sent before this time, since the platform asked for that or is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub throttled_until: Option<Timestamp>,
    /// Exports that run, or are being submitted.
    pub running: i32,
    /// Exports that wait for one of these to end, or for their turn to call.
    pub waiting: i32,
}

/// The default of `budget.requestsPerMinute`.
const REQUESTS_PER_MINUTE: u32 = 120;
/// The default of `budget.maxRunningExports`.
const MAX_RUNNING_EXPORTS: u32 = 10;

/// What a connection of either kind says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms<'a> {
    /// The organisation.
    pub organization_id: &'a str,
    /// The sandbox.
    pub sandbox: &'a str,
    /// The credential. (The rule of the API lets one member of `auth` be there; an object stored
    /// without that rule has none.)
    pub access: Option<Access<'a>>,
    /// The hosts to call.
    pub endpoints: Option<&'a Endpoints>,
    /// How much of the credential's quota may be used.
    pub budget: Option<Budget>,
    /// Which operator serves it.
    pub controller_class: Option<&'a str>,
}

/// Where a credential is, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// The Secret's name.
    pub secret: &'a str,
    /// The Secret's namespace; none: the connection's own.
    pub namespace: Option<&'a str>,
    /// What the Secret holds.
    pub form: Form<'a>,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// An OAuth server-to-server credential, with the scopes to ask for.
    OAuthServerToServer(Option<&'a [String]>),
    /// An access token made elsewhere.
    AccessToken,
}

impl PlatformConnectionSpec {
    /// What it says, as a connection of either kind.
    #[must_use]
    pub fn terms(&self) -> Terms<'_> {
        let Self {
            organization_id,
            sandbox,
            auth,
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

impl Terms<'_> {
    /// Calls in any minute, with the default. (The API's rule keeps it at 1 at least.)
    #[must_use]
    pub fn requests_per_minute(&self) -> u32 {
        let budget = self.budget.and_then(|budget| budget.requests_per_minute);
        count(budget, REQUESTS_PER_MINUTE)
    }

    /// Exports at a time, with the default.
    #[must_use]
    pub fn max_running_exports(&self) -> u32 {
        let budget = self.budget.and_then(|budget| budget.max_running_exports);
        count(budget, MAX_RUNNING_EXPORTS)
    }
}

fn count(number: Option<i32>, default: u32) -> u32 {
    number.map_or(default, |number| u32::try_from(number).unwrap_or(0).max(1))
}

impl Auth {
    fn access(&self) -> Option<Access<'_>> {
        let oauth = self.oauth_server_to_server.as_ref().map(|oauth| Access {
            secret: &oauth.secret_ref.name,
            namespace: None,
            form: Form::OAuthServerToServer(oauth.scopes.as_deref()),
        });
        let token = self.access_token.as_ref().map(|token| Access {
            secret: &token.secret_ref.name,
            namespace: None,
            form: Form::AccessToken,
        });
        oauth.or(token)
    }
}
