//! The pass over a connection of either kind: is its credential there, does it work, and who needs
//! it?

pub(super) mod budget;
mod credential;
mod hold;
mod report;

use std::{sync::Arc, time::Duration};

use kube::{
    Resource,
    api::ObjectMeta,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tokio::time::Instant;

use self::{
    credential::{account, allowance, endpoints, failure, secret, stamp, target},
    hold::Step,
    report::{announce, report, shown},
};
use super::{
    Context, Kind, PassError, Shared, Stores, jittered,
    requests::requested,
    streams::is_news,
    tenants::{Changed, Checked, ConnectionKey, Standing, Tenant},
};
use crate::{
    api::{
        ClusterPlatformConnection, ConditionType, PlatformConnection, PlatformConnectionStatus,
        Reason, Terms, is_true,
    },
    decide::{
        Life, Need,
        connection::{Before, Check, Facts, Plan, Situation, Use, decide},
    },
    governor::{Budget, Caller, Lane, Wake},
    platform::{self, Credential, Platform},
};

/// How soon something that only Adobe's side can mend is looked at again.
const WRONG_AGAIN: Duration = Duration::from_mins(2);

/// A connection of either kind.
pub trait Connection: Kind<Status = PlatformConnectionStatus> {
    /// What it says.
    fn terms(&self) -> Terms<'_>;

    /// Which one it is.
    fn key(&self) -> ConnectionKey {
        ConnectionKey {
            namespace: self.meta().namespace.clone(),
            name: self.meta().name.clone().unwrap_or_default(),
        }
    }
}

impl Connection for PlatformConnection {
    fn terms(&self) -> Terms<'_> {
        self.spec.terms()
    }
}

impl Connection for ClusterPlatformConnection {
    fn terms(&self) -> Terms<'_> {
        self.spec.terms()
    }
}

/// Whether what uses a connection has to look at it again: not for how its budget stands, which is
/// written each minute while thousands of exports may wait.
#[must_use]
pub fn concerns_users<C: Connection>(connection: &C, before: Option<&C>) -> bool {
    let apart_from_budget = |connection: &C| {
        let status = connection.status().cloned();
        status.map(|status| PlatformConnectionStatus {
            budget: None,
            ..status
        })
    };
    is_news(connection, before)
        || before.map(apart_from_budget) != Some(apart_from_budget(connection))
}

/// A connection of either kind, as its watch last saw it.
pub enum Found {
    /// One of a namespace.
    Namespaced(Arc<PlatformConnection>),
    /// One of the cluster.
    OfCluster(Arc<ClusterPlatformConnection>),
}

impl Found {
    /// Its metadata.
    #[must_use]
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Namespaced(connection) => &connection.metadata,
            Self::OfCluster(connection) => &connection.metadata,
        }
    }

    /// Its status, if there is one.
    #[must_use]
    pub fn status(&self) -> Option<&PlatformConnectionStatus> {
        match self {
            Self::Namespaced(connection) => connection.status.as_ref(),
            Self::OfCluster(connection) => connection.status.as_ref(),
        }
    }

    /// What it says.
    #[must_use]
    pub fn terms(&self) -> Terms<'_> {
        match self {
            Self::Namespaced(connection) => connection.terms(),
            Self::OfCluster(connection) => connection.terms(),
        }
    }
}

impl Stores {
    /// The connection of this key, if it is there.
    #[must_use]
    pub fn connection(&self, key: &ConnectionKey) -> Option<Found> {
        let ConnectionKey { namespace, name } = key;
        match namespace {
            Some(namespace) => {
                let found = self
                    .connections
                    .get(&ObjectRef::new(name).within(namespace));
                found.map(Found::Namespaced)
            }
            None => {
                let found = self.cluster_connections.get(&ObjectRef::new(name));
                found.map(Found::OfCluster)
            }
        }
    }
}

/// What a pass found out, beside the facts.
struct Seen {
    facts: Facts,
    /// The client to ask with, once the credential is there.
    tenant: Option<Tenant>,
}

/// A pass over a connection.
///
/// # Errors
///
/// What the API server refuses.
pub async fn pass<C: Connection>(connection: &C, context: &Context) -> Result<Action, PassError> {
    let shared = &context.shared;
    let key = connection.key();
    // Before anything else: who lets go does not wait for a Secret.
    let held = hold::held(connection, &key, context).await?;
    if hold::act(connection, &key, context, &held).await? == Step::Changed {
        // The watch brings it as it is now.
        return Ok(Action::await_change());
    }
    let Some(mut seen) = observe(connection, &key, shared, held) else {
        // The Secret's watch has not answered yet; it wakes this connection when it does.
        return Ok(Action::await_change());
    };
    loop {
        match decide(&seen.facts) {
            Plan::Check => check(&mut seen, connection, &key).await,
            Plan::Settle(situation) => {
                let expires = match (&situation, &seen.tenant) {
                    // From the cache: the check has just needed it.
                    (Situation::Ready(_), Some(tenant)) => {
                        tenant.platform.authenticate().await.ok().flatten()
                    }
                    (_, Some(_) | None) => None,
                };
                let echo = seen.tenant.as_ref().map(|tenant| {
                    let echoes = &shared.submissions.echoes;
                    echoes.of(&tenant.target)
                });
                settle(context, &key, seen, &situation);
                let now = jiff::Timestamp::now();
                let status = PlatformConnectionStatus {
                    echoes_request_id: shown(echo, connection),
                    ..report(connection, &situation, expires, now)
                };
                let status = budget::told(connection, &key, shared, status);
                announce(connection, shared, &status).await;
                context.write_status(connection, status).await?;
                return Ok(again(&situation, connection, shared));
            }
        }
    }
}

impl Context {
    /// A connection is gone, or another operator's. Its client stays while something begun with it
    /// is not finished.
    pub(super) fn forget_connection(&self, key: &ConnectionKey) {
        let shared = &self.shared;
        shared.secrets.forget(key);
        shared.tenants.retire(key);
        shared.governor.leave(&key.to_string());
        shared.told.forget(key);
        shared.tenants.sweep(|key| self.needs_connection(key));
    }
}

/// Gathers the facts; none before the watch of the Secret has answered.
fn observe<C: Connection>(
    connection: &C,
    key: &ConnectionKey,
    shared: &Shared,
    held: Use,
) -> Option<Seen> {
    let status = connection.status();
    let before = match status {
        Some(status) if is_true(&status.conditions, ConditionType::Ready) => Before::Ready,
        Some(_) | None => Before::NotReady,
    };
    let (credential, tenant) = match client(connection, key, shared)? {
        Need::Met(tenant) => (Need::Met(()), Some(tenant)),
        Need::Waiting(cause) => (Need::Waiting(cause), None),
        Need::Wrong(cause) => (Need::Wrong(cause), None),
    };
    let handled = status.and_then(|status| status.last_handled_reconcile_at.as_deref());
    // Only a check that found nothing wrong is believed for a while, and by nobody who asks for
    // another one.
    let check = match tenant
        .as_ref()
        .filter(|_| requested(connection, handled).is_none())
    {
        Some(Tenant {
            standing: Standing::Ready,
            checked: Some(checked),
            ..
        }) => match &checked.result {
            Ok(sandboxes) if checked.at.elapsed() < shared.settings.recheck => {
                Check::Sandboxes(sandboxes.clone())
            }
            Ok(_) | Err(_) => Check::Due,
        },
        Some(_) | None => Check::Due,
    };
    let sandbox = connection.terms().sandbox.to_owned();
    Some(Seen {
        facts: Facts {
            leaving: match held.life {
                Life::Live => None,
                Life::Deleting => Some(held),
            },
            sandbox,
            credential,
            check,
            before,
        },
        tenant,
    })
}

/// The client for a connection: the one that is there, if spec and credential are the same. None
/// before the watch of the Secret has answered.
fn client<C: Connection>(
    connection: &C,
    key: &ConnectionKey,
    shared: &Shared,
) -> Option<Need<Tenant>> {
    let terms = &connection.terms();
    let endpoints = match endpoints(terms, &shared.settings) {
        Ok(endpoints) => endpoints,
        Err(cause) => return Some(Need::Wrong(cause)),
    };
    let credential = match secret(terms, key, shared)? {
        Need::Met(credential) => credential,
        Need::Waiting(cause) => return Some(Need::Waiting(cause)),
        Need::Wrong(cause) => return Some(Need::Wrong(cause)),
    };
    let stamp = stamp(terms, &endpoints, &credential);
    let target = target(terms);
    let budget = shared.governor.join(
        &key.to_string(),
        account(terms, &credential),
        allowance(terms),
        probe(key, shared),
    );
    let remembered = connection.status().and_then(|s| s.echoes_request_id);
    shared.submissions.echoes.remember(&target, remembered);
    if let Some(cause) = shared.submissions.distrusted_for(&target) {
        return Some(Need::Wrong(cause));
    }
    let known = shared.tenants.get(key);
    if let Some(tenant) = known.filter(|tenant| tenant.stamp == stamp) {
        return Some(Need::Met(tenant));
    }
    // Who uses a connection of the cluster, calls on behalf of its own.
    let namespace: Arc<str> = Arc::from(key.namespace.as_deref().unwrap_or_default());
    let caller = Caller {
        lane: Lane::Prepare,
        namespace: Arc::clone(&namespace),
    };
    let governed = (Arc::clone(&budget), caller);
    Some(
        match build(terms, endpoints, credential, governed, shared) {
            Ok(platform) => Need::Met(Tenant {
                connection: key.clone(),
                class: terms.controller_class.map(str::to_owned),
                stamp,
                platform,
                target,
                namespace,
                budget,
                checked: None,
                standing: Standing::NotReady,
            }),
            Err(error) => Need::wrong(Reason::SecretKeyInvalid, error.to_string()),
        },
    )
}

/// Has the connection checked, by a call that asks whether the platform may be called again.
fn probe(key: &ConnectionKey, shared: &Shared) -> Wake {
    let (tenants, key) = (Arc::clone(&shared.tenants), key.clone());
    let look = shared.connections.waker(key.clone());
    Arc::new(move || {
        tenants.suspect(&key);
        look();
    })
}

fn build(
    terms: &Terms,
    endpoints: platform::Endpoints,
    credential: Credential,
    (budget, caller): (Arc<Budget>, Caller),
    shared: &Shared,
) -> Result<Platform, platform::PlatformError> {
    let metrics = Arc::clone(&shared.metrics);
    let mut settings = platform::Settings::new(
        endpoints,
        terms.organization_id.to_owned(),
        terms.sandbox.to_owned(),
        credential,
    );
    settings.timeouts = shared.settings.timeouts;
    settings.budget = Some(budget);
    settings.caller = caller;
    settings
        .extra_root_certificates
        .clone_from(&shared.settings.certificates);
    settings.observer = Some(Arc::new(move |call| metrics.call(call)));
    Platform::new(settings, platform::PlatformClock::system())
}

/// Asks the platform whether the credential works and which sandboxes it sees.
async fn check<C: Connection>(seen: &mut Seen, connection: &C, key: &ConnectionKey) {
    let Seen {
        facts,
        tenant: Some(tenant),
    } = seen
    else {
        return;
    };
    let lane = match tenant.standing {
        Standing::Ready => Lane::Drift,
        Standing::NotReady | Standing::Retired => Lane::Prepare,
    };
    let result = tenant.platform.lane(lane).sandboxes().await;
    facts.check = match &result {
        Ok(sandboxes) => Check::Sandboxes(sandboxes.clone()),
        Err(error) => Check::Failed(failure(error, &connection.terms(), key)),
    };
    tenant.checked = Some(Arc::new(Checked {
        at: Instant::now(),
        result,
    }));
}

/// Lets others use the client, or not, and tells those that wait for it.
fn settle(context: &Context, key: &ConnectionKey, seen: Seen, situation: &Situation) {
    let shared = &context.shared;
    let changed = match (situation, seen.tenant) {
        (Situation::Ready(_) | Situation::Shaken(_), Some(mut tenant)) => {
            tenant.standing = Standing::Ready;
            shared.tenants.set(key.clone(), tenant)
        }
        // A client whose credential turned out wrong takes the place of the one before all the
        // same: that one's credential is no longer what the user says.
        (Situation::Waiting(_) | Situation::Wrong(_) | Situation::Leaving(_), Some(mut tenant)) => {
            tenant.standing = Standing::NotReady;
            shared.tenants.set(key.clone(), tenant)
        }
        // The Secret is gone or unusable: what was begun goes on with what is in memory.
        (_, None) => shared.tenants.suspend(key),
    };
    if changed == Changed::Yes {
        // What runs has its slots before anything new asks for one.
        if let Some(tenant) = shared.tenants.get(key) {
            for uid in context.running_with(key) {
                tenant.budget.runs(&uid);
            }
        }
        context.wake_users_of(key);
    }
}

fn again<C: Resource>(situation: &Situation, connection: &C, shared: &Shared) -> Action {
    let uid = connection.meta().uid.clone().unwrap_or_default();
    match situation {
        Situation::Ready(_) => {
            shared.retries.forget(&uid);
            Action::requeue(jittered(shared.settings.recheck))
        }
        Situation::Shaken(_) => Action::requeue(shared.retries.failed(&uid, None)),
        Situation::Waiting(cause) => match cause.reason {
            // The Secret is watched.
            Reason::SecretNotFound => Action::await_change(),
            _ => Action::requeue(shared.retries.failed(&uid, None)),
        },
        Situation::Wrong(cause) => match cause.reason {
            // Only the Secret or the object itself can mend these, and both are watched.
            Reason::SecretKeyInvalid | Reason::SecretUnreadable | Reason::HostNotAllowed => {
                Action::await_change()
            }
            _ => Action::requeue(jittered(WRONG_AGAIN)),
        },
        // Whoever ends wakes it; a slow look beside that makes up for what was missed.
        Situation::Leaving(_) => Action::requeue(jittered(WRONG_AGAIN)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn connection(status: &Value) -> PlatformConnection {
        serde_json::from_value(json!({
            "apiVersion": "aep-export.dev/v1alpha1",
            "kind": "PlatformConnection",
            "metadata": { "name": "prod", "namespace": "team", "uid": "uid", "generation": 1 },
            "spec": {
                "organizationId": "org@AdobeOrg", "sandbox": "prod",
                "auth": { "oauthServerToServer": { "secretRef": { "name": "aep" } } },
            },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn how_a_budget_stands_is_nothing_to_those_that_wait_and_all_else_is() {
        let budget = |running| {
            json!({
                "limit": 120, "effectivePerMinute": 120,
                "running": running, "waiting": 0,
            })
        };
        let before = connection(&json!({ "observedGeneration": 1, "budget": budget(1) }));
        let mut now = connection(&json!({ "observedGeneration": 1, "budget": budget(2) }));
        assert_ne!(now.status, before.status);
        assert!(!concerns_users(&now, Some(&before)));
        assert!(concerns_users(&now, None));
        let edited = connection(&json!({ "observedGeneration": 2, "budget": budget(1) }));
        assert!(concerns_users(&edited, Some(&before)));
        now.metadata.generation = Some(2);
        assert!(concerns_users(&now, Some(&before)));
    }
}
