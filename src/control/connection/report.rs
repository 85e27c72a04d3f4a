//! The status of a connection, and the event that tells of a change.

use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Shared, events::Tone, requests::latest},
    Connection,
};
use crate::{
    api::{
        ConditionType, Desired, PlatformConnectionStatus, Reason, SandboxStatus, Tristate, find,
        is_true, merge, whole_second,
    },
    decide::{Cause, connection::Situation, export::Echo},
    platform,
};

/// By how much what the platform's clock shows may be off, from one look to the next.
const COARSE: SignedDuration = SignedDuration::from_secs(2);

/// The status of a connection that stands so.
pub(super) fn report<C: Connection>(
    connection: &C,
    situation: &Situation,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> PlatformConnectionStatus {
    let before = connection.status().cloned().unwrap_or_default();
    let ready = |status, reason, message: &str| Desired {
        type_: ConditionType::Ready,
        status,
        reason,
        message: message.to_owned(),
    };
    let abnormal = |type_, cause: &Cause| Desired {
        type_,
        status: Tristate::True,
        reason: cause.reason,
        message: cause.message.clone(),
    };
    let verified = "the credential works and sees the sandbox";
    let (desired, sandbox) = match situation {
        Situation::Leaving(cause) => {
            let in_use = (cause.reason == Reason::WaitingForUsers).then(|| Desired {
                type_: ConditionType::InUse,
                status: Tristate::True,
                reason: Reason::InUse,
                message: cause.message.clone(),
            });
            let mut desired = vec![
                ready(Tristate::False, cause.reason, &cause.message),
                abnormal(ConditionType::Reconciling, cause),
            ];
            desired.extend(in_use);
            (desired, before.sandbox.clone())
        }
        Situation::Ready(sandbox) => {
            let platform::Sandbox {
                name,
                kind,
                state,
                region,
            } = sandbox.clone();
            let shown = SandboxStatus {
                name,
                type_: kind,
                state,
                region,
            };
            (
                vec![ready(Tristate::True, Reason::Verified, verified)],
                Some(shown),
            )
        }
        Situation::Shaken(cause) => (
            vec![
                ready(Tristate::True, Reason::Verified, verified),
                abnormal(ConditionType::Reconciling, cause),
            ],
            before.sandbox.clone(),
        ),
        Situation::Waiting(cause) => (
            vec![
                ready(Tristate::False, cause.reason, &cause.message),
                abnormal(ConditionType::Reconciling, cause),
            ],
            before.sandbox.clone(),
        ),
        Situation::Wrong(cause) => (
            vec![
                ready(Tristate::False, cause.reason, &cause.message),
                abnormal(ConditionType::Stalled, cause),
            ],
            before.sandbox.clone(),
        ),
    };
    let generation = connection.meta().generation;
    PlatformConnectionStatus {
        observed_generation: generation,
        conditions: merge(&before.conditions, desired, generation, now),
        sandbox,
        token_expires_at: expiry(before.token_expires_at, expires),
        echoes_request_id: before.echoes_request_id,
        budget: before.budget,
        last_handled_reconcile_at: latest(connection),
    }
}

/// When the token expires: as it is on record, unless it is another time. The platform's clock, by
/// which it is told, is known from times of whole seconds only.
fn expiry(before: Option<Timestamp>, expires: Option<Timestamp>) -> Option<Timestamp> {
    let expires = whole_second(expires?);
    let same = |before: &Timestamp| before.duration_since(expires).abs() <= COARSE;
    Some(before.filter(same).unwrap_or(expires))
}

/// Whether the platform shows request ids, as far as it is known; what is on record stands until
/// something else is.
pub(super) fn shown<C: Connection>(echo: Option<Echo>, connection: &C) -> Option<bool> {
    match echo {
        Some(Echo::Yes) => Some(true),
        Some(Echo::No) => Some(false),
        Some(Echo::Unknown) | None => connection.status()?.echoes_request_id,
    }
}

/// An event when `Ready` changes its reason.
pub(super) async fn announce<C: Connection>(
    connection: &C,
    shared: &Shared,
    status: &PlatformConnectionStatus,
) {
    let reason = |conditions: &[_]| {
        find(conditions, ConditionType::Ready)
            .map(|ready| (ready.status.clone(), ready.reason.clone()))
    };
    let before = connection
        .status()
        .and_then(|status| reason(&status.conditions));
    let Some(ready) = find(&status.conditions, ConditionType::Ready) else {
        return;
    };
    if before == Some((ready.status.clone(), ready.reason.clone())) {
        return;
    }
    let stalled = is_true(&status.conditions, ConditionType::Stalled);
    let tone = if stalled { Tone::Warning } else { Tone::Normal };
    if let Some(reason) = Reason::parse(&ready.reason) {
        let action = match connection.meta().deletion_timestamp {
            Some(_) => "Release",
            None => "Verify",
        };
        shared
            .events
            .publish(connection, tone, action, reason, &ready.message)
            .await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strum::IntoEnumIterator;

    use super::*;
    use crate::{
        api::PlatformConnection,
        control::kstatus::{Kstatus, kstatus},
    };

    #[test]
    fn kstatus_reads_every_state_of_a_connection_as_it_is_meant() {
        let connection: PlatformConnection = serde_json::from_value(json!({
            "apiVersion": "aep-export.dev/v1alpha1",
            "kind": "PlatformConnection",
            "metadata": { "name": "prod", "generation": 3 },
            "spec": {
                "organizationId": "o@AdobeOrg", "sandbox": "prod",
                "auth": { "oauthServerToServer": { "secretRef": { "name": "aep" } } },
            },
        }))
        .unwrap();
        let sandbox = platform::Sandbox {
            name: "prod".into(),
            kind: None,
            state: None,
            region: None,
        };
        for reason in Reason::iter() {
            let cause = Cause::new(reason, "why");
            for situation in [
                Situation::Ready(sandbox.clone()),
                Situation::Shaken(cause.clone()),
                Situation::Waiting(cause.clone()),
                Situation::Wrong(cause.clone()),
                Situation::Leaving(cause.clone()),
            ] {
                let (wanted, deleted_at) = match &situation {
                    Situation::Ready(_) => (Kstatus::Current, None),
                    Situation::Shaken(_) | Situation::Waiting(_) => (Kstatus::InProgress, None),
                    Situation::Wrong(_) => (Kstatus::Failed, None),
                    Situation::Leaving(_) => (Kstatus::Terminating, Some("2026-11-01T00:00:00Z")),
                };
                let status = report(&connection, &situation, None, Timestamp::UNIX_EPOCH);
                let mut object = json!({ "metadata": connection.metadata, "status": status });
                if let Some(at) = deleted_at {
                    object["metadata"]["deletionTimestamp"] = at.into();
                }
                assert_eq!(kstatus(&object), wanted, "{situation:?}");
                object["metadata"]["generation"] = 4.into();
                let edited = match wanted {
                    Kstatus::Terminating => Kstatus::Terminating,
                    _ => Kstatus::InProgress,
                };
                assert_eq!(kstatus(&object), edited, "edited since: {situation:?}");
            }
        }
    }

    #[test]
    fn a_token_that_stays_is_not_told_anew_for_a_second_of_the_clock() {
        let at = |second| Timestamp::from_second(second).ok();
        assert_eq!(expiry(at(100), at(101)), at(100));
        assert_eq!(expiry(at(100), at(86_500)), at(86_500));
        assert_eq!(expiry(None, at(101)), at(101));
        assert_eq!(expiry(at(100), None), None);
    }
}
