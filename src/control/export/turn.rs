//! Leave to submit: a slot among the exports that run, and the turn of one call.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::ResourceExt;

use super::{LOOK_AGAIN, observe::Seen, wake};
use crate::{
    api::{ExportJob, Reason},
    control::{Context, tenants::Tenant},
    decide::{
        Cause,
        export::{Effect, Record},
    },
    governor::{Permit, Slot, Turn, Why},
};

/// A wait that is over sooner than this is not worth a status write.
const WORTH_TELLING: Duration = Duration::from_secs(3);

/// Whether an export may be submitted now.
pub(super) enum Leave {
    /// It may, by this call.
    Granted(Permit),
    /// It waits for this, and is woken.
    Waits(Cause),
    /// It waits for a moment only; looked at again after this time, should it last.
    Soon(Duration),
}

/// Asks for leave to submit. What waits keeps its place until it is [given up](give_up).
pub(super) fn leave(export: &ExportJob, context: &Context, seen: &Seen, tenant: &Tenant) -> Leave {
    let uid = &seen.facts.identity.uid;
    let budget = &tenant.budget;
    let wake = wake(export, context);
    // As the API server has it: by the platform's clock it would be another time at each look.
    let created = export
        .creation_timestamp()
        .map_or(Timestamp::MAX, |time| time.0);
    match budget.slot(uid, created, Arc::clone(&wake)) {
        Slot::Free => {}
        Slot::Full { limit } => return Leave::Waits(full(limit)),
    }
    match budget.turn(uid, &tenant.namespace, wake) {
        Turn::Now(permit) => Leave::Granted(permit),
        Turn::Waits { why, about } => match why {
            None if about < WORTH_TELLING => Leave::Soon(about + WORTH_TELLING),
            None => Leave::Waits(used_up()),
            Some(why) => Leave::Waits(held_back(why)),
        },
    }
}

/// Gives up the place of an export that is not about to be submitted, so that others have it.
pub(super) fn give_up(seen: &Seen, effect: &Effect, context: &Context) {
    let about_to = match &seen.facts.record {
        Record::Fresh { attempt: _ } => match effect {
            Effect::Intend(_)
            | Effect::Hold
            | Effect::CheckDataset(_)
            | Effect::ReadList(_)
            | Effect::Post(_, _) => true,
            Effect::Rest
            | Effect::WakeAt(_)
            | Effect::BackOff
            | Effect::Expire
            | Effect::Release
            | Effect::LookAgain(_)
            | Effect::Settle(_)
            | Effect::Adopt(_, _)
            | Effect::Retry(_, _)
            | Effect::Follow(_, _, _)
            | Effect::Look(_, _)
            | Effect::IntendCancel(_)
            | Effect::Cancel(_, _, _)
            | Effect::LookAtSurplus(_, _)
            | Effect::CancelSurplus(_, _)
            | Effect::Distrust(_) => false,
        },
        Record::Open(_) | Record::Known(_, _) => {
            if let Some(service) = &seen.service {
                service.budget.runs(&seen.facts.identity.uid);
            }
            true
        }
        Record::Ended(_) => false,
    };
    if !about_to {
        context.shared.governor.left(&seen.facts.identity.uid);
    }
}

/// How long an export that waits for leave is left alone at the most.
pub(super) fn watchdog() -> Duration {
    crate::control::jittered(10 * LOOK_AGAIN)
}

fn full(limit: u32) -> Cause {
    Cause::new(
        Reason::WaitingForSlot,
        format!(
            "{limit} exports run already, as many as the connection's spec.budget.maxRunningExports \
             allows at a time: the oldest that waits is the next"
        ),
    )
}

fn used_up() -> Cause {
    Cause::new(
        Reason::WaitingForBudget,
        "the calls are used up that the connection's spec.budget.requestsPerMinute allows in this \
         minute: it is submitted in its turn",
    )
}

fn held_back(why: Why) -> Cause {
    match why {
        Why::Throttled => Cause::new(
            Reason::PlatformThrottled,
            "the platform asked for fewer calls: nothing is submitted before it takes them again \
             (see status.budget of the connection)",
        ),
        Why::Down => Cause::new(
            Reason::PlatformUnavailable,
            "the platform does not answer, or only with errors: nothing is submitted before one \
             call has shown that it does",
        ),
    }
}
