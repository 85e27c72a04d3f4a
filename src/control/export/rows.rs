//! The table of conditions: what is said of an export that stands so.

use jiff::SignedDuration;

use crate::{
    api::{CancelledBy, ConditionType, Desired, ExportJob, Reason, Tristate},
    decide::{
        Cause,
        export::{DataAvailability, Ending, Sighting, Situation, kept_on},
    },
};

/// A row of the table of conditions.
pub(super) struct Row {
    pub(super) ready: (Tristate, Cause),
    pub(super) abnormal: Option<ConditionType>,
    pub(super) end: Vec<Desired>,
}

impl Row {
    /// The conditions that it has.
    pub(super) fn conditions(self) -> Vec<Desired> {
        let Self {
            ready: (status, cause),
            abnormal,
            end,
        } = self;
        let Cause { reason, message } = cause;
        let desired = |type_, status| Desired {
            type_,
            status,
            reason,
            message: message.clone(),
        };
        let mut conditions = vec![desired(ConditionType::Ready, status)];
        conditions.extend(abnormal.map(|type_| desired(type_, Tristate::True)));
        conditions.extend(end);
        conditions
    }
}

pub(super) fn row(situation: &Situation, export: &ExportJob, sighting: &Sighting) -> Option<Row> {
    let reconciling = |cause: Cause| {
        let (ready, abnormal) = ((Tristate::False, cause), Some(ConditionType::Reconciling));
        Some(Row {
            ready,
            abnormal,
            end: Vec::new(),
        })
    };
    let stalled = |cause: Cause| {
        let (ready, abnormal) = ((Tristate::False, cause), Some(ConditionType::Stalled));
        Some(Row {
            ready,
            abnormal,
            end: Vec::new(),
        })
    };
    match situation {
        Situation::Waiting(cause) => reconciling(cause.clone()),
        Situation::Blocked(cause) => stalled(cause.clone()),
        Situation::Submitting => reconciling(Cause::new(
            Reason::Submitting,
            "the request to start the export is being sent",
        )),
        Situation::Suspended => Some(suspended()),
        Situation::InDoubt(cause) => reconciling(cause.clone()),
        Situation::Ambiguous(cause) => stalled(cause.clone()),
        Situation::Retrying(cause) => reconciling(cause.clone()),
        Situation::Running(Some(cause)) => reconciling(cause.clone()),
        Situation::Running(None) => {
            reconciling(Cause::new(Reason::Running, "the platform runs the export"))
        }
        Situation::WaitingForBatch(cause) => {
            reconciling(Cause::new(Reason::WaitingForBatch, cause.message.clone()))
        }
        // The platform was asked and did not do it in time: somebody has to look.
        Situation::Cancelling(cause) if cause.reason == Reason::CancelTimedOut => {
            stalled(cause.clone())
        }
        Situation::Cancelling(cause) => reconciling(cause.clone()),
        Situation::Ends(ending) => Some(end(ending, export, sighting)),
        Situation::Foreign => stalled(Cause::new(
            Reason::ForeignStatus,
            "the status was made for another object (copied, restored or forged): nothing in \
             it is read; delete this object and create it again without a status",
        )),
        Situation::AtRest | Situation::Leaving(_) => None,
    }
}

/// Neither at work nor wrong: it is as its spec wants it.
fn suspended() -> Row {
    let message = "not submitted while spec.suspend is true";
    let cause = Cause::new(Reason::Suspended, message);
    Row {
        ready: (Tristate::False, cause.clone()),
        abnormal: None,
        end: vec![Desired {
            type_: ConditionType::Suspended,
            status: Tristate::True,
            reason: cause.reason,
            message: cause.message,
        }],
    }
}

fn end(ending: &Ending, export: &ExportJob, sighting: &Sighting) -> Row {
    let said = said(sighting);
    let failed = |cause: Cause| Row {
        ready: (Tristate::False, cause.clone()),
        abnormal: Some(ConditionType::Stalled),
        end: vec![Desired {
            type_: ConditionType::Failed,
            status: Tristate::True,
            reason: cause.reason,
            message: cause.message,
        }],
    };
    match ending {
        Ending::Succeeded(data) => {
            let status = export.status.as_ref();
            let stop = status.and_then(|status| status.cancellation.as_ref());
            let late = match stop.map(|stop| stop.by) {
                Some(CancelledBy::Spec) => " before it could be cancelled",
                Some(CancelledBy::Deadline) => " after its deadline, before it could be cancelled",
                Some(CancelledBy::Deletion) | None => "",
            };
            let cause = match said {
                Some(said) => Cause::new(
                    Reason::SucceededWithErrors,
                    format!("the export succeeded{late}; the platform reports with it: {said}"),
                ),
                None => Cause::new(Reason::Succeeded, format!("the export succeeded{late}")),
            };
            let (tristate, why) = match data {
                DataAvailability::Readable => {
                    let message = "the Catalog shows every batch as readable";
                    (Tristate::True, Cause::new(Reason::BatchesReadable, message))
                }
                DataAvailability::Unknown(cause) => (Tristate::Unknown, cause.clone()),
            };
            let desired = |type_, status, cause: Cause| Desired {
                type_,
                status,
                reason: cause.reason,
                message: cause.message,
            };
            Row {
                ready: (Tristate::True, cause.clone()),
                abnormal: None,
                end: vec![
                    desired(ConditionType::Complete, Tristate::True, cause),
                    desired(ConditionType::DataAvailable, tristate, why),
                ],
            }
        }
        Ending::Failed => {
            let message = said.map_or_else(
                || "the platform says that the export failed, and not why".to_owned(),
                |said| format!("the platform says that the export failed: {said}"),
            );
            failed(Cause::new(Reason::ExportFailed, message))
        }
        Ending::NoFurtherAttempt(cause) | Ending::Vanished(cause) => failed(cause.clone()),
        Ending::CancelledInPlatform => failed(Cause::new(
            Reason::CancelledInPlatform,
            "the job was cancelled in the platform, not by this object",
        )),
        Ending::Cancelled(by) => {
            let (reason, message) = match by {
                CancelledBy::Deadline => (
                    Reason::DeadlineExceeded,
                    "the export took longer than its deadline allows, and was cancelled",
                ),
                CancelledBy::Spec | CancelledBy::Deletion => {
                    (Reason::Cancelled, "the export was cancelled by its spec")
                }
            };
            failed(Cause::new(reason, message))
        }
        Ending::Rejected(cause) => failed(Cause::new(
            Reason::Rejected,
            format!("the platform rejected the request: {}", cause.message),
        )),
    }
}

/// What the platform reports as errors, in one line.
fn said(sighting: &Sighting) -> Option<String> {
    let Sighting::Job { job, batches: _ } = sighting else {
        return None;
    };
    let first = job.errors.first()?;
    let more = job.errors.len() - 1;
    let also = if more == 0 {
        String::new()
    } else {
        format!(" (and {more} more in status.errors)")
    };
    Some(format!("{} (code {}){also}", first.message, first.code))
}

/// What `suspend` comes to where the export goes on all the same.
pub(super) fn goes_on(export: &ExportJob, situation: &Situation) -> Option<Desired> {
    let (reason, message) = match situation {
        Situation::Running(_) | Situation::WaitingForBatch(_) | Situation::Cancelling(_) => (
            Reason::AlreadySubmitted,
            "the export was submitted before spec.suspend was true, and goes on; spec.cancel would \
             end it",
        ),
        Situation::InDoubt(_) | Situation::Ambiguous(_) | Situation::Submitting => (
            Reason::SubmissionInDoubt,
            "the export may have been submitted already: spec.suspend counts once that is clear",
        ),
        Situation::Waiting(_)
        | Situation::Blocked(_)
        | Situation::Suspended
        | Situation::Retrying(_)
        | Situation::Ends(_)
        | Situation::AtRest
        | Situation::Foreign
        | Situation::Leaving(_) => return None,
    };
    (export.spec.suspend == Some(true)).then(|| Desired {
        type_: ConditionType::Suspended,
        status: Tristate::False,
        reason,
        message: message.to_owned(),
    })
}

/// That the object outlives its time to live, where it does.
pub(super) fn kept(managed: Option<&str>, keep: Option<SignedDuration>) -> Option<Desired> {
    kept_on(managed, keep).map(|cause| Desired {
        type_: ConditionType::Expires,
        status: Tristate::False,
        reason: cause.reason,
        message: cause.message,
    })
}

#[cfg(test)]
mod tests;
