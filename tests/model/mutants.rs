//! Decisions with one rule taken out. Each must be caught.

use aep_export_operator::{
    api::{SubmissionEvidence, SubmissionOutcome},
    decide::{
        Finalizer, Life, Need,
        export::{
            Beginning, Depth, Echo, Facts, List, Quality, Reading, Record, Sighted, Wish, Wishes,
        },
    },
};
use jiff::Timestamp;
use strum::{EnumIter, IntoStaticStr};

/// One rule taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Mutant {
    /// A doubt is a submission that was not taken.
    SendsAgainOnDoubt,
    /// The process that finds an intent may send it.
    AnyProcessSends,
    /// What the answer to the intent shows is not looked at.
    SendsThoughStopped,
    /// "None" counts from a reading that began before the doubt could be settled.
    NoneTooEarly,
    /// "None" counts from a reading that went not far enough, or was flawed.
    NoneFromAPart,
    /// Any 401, 403 or 429 proves that a request was not taken.
    AnyRefusalProves,
    /// Calls go to the connection's target of today.
    UsesTodaysTarget,
    /// Whether ids are shown is learned from the reply to the request.
    LearnsFromReply,
    /// What may be the submission's job does not keep "none" from counting where ids are shown.
    CandidatesIgnored,
    /// The dataset is free again as soon as a submission is in doubt.
    ClaimEndsAtDoubt,
    /// Others' open submissions are not looked at after a reading.
    NoFreshList,
    /// What others have on record is not looked at.
    NoClaims,
    /// A job taken up by its time alone is cancelled.
    CancelsWeakly,
    /// The time of a cancellation is not kept.
    CancelsForEver,
    /// A request leaves whenever it is ready.
    NoFence,
    /// An intent is written over whatever is there.
    NoGuard,
    /// A record may not have been lost.
    NoLookFirst,
    /// More than one job of a request are left.
    NoHealing,
    /// What the list says of a job that failed is enough.
    RetriesUnseen,
    /// What is deleted in doubt is sent.
    SendsDeleted,
    /// That a job shows somebody else's request id counts for nothing while ids are not known.
    StrangersTakenUp,
    /// A lost record is looked for in a part of the list.
    LooksAtAPart,
    /// The deadline of a stop counts from the deletion, however late the job was asked.
    NoTimeToStop,
}

impl Mutant {
    /// Makes a decision that lacks the rule of one that has it.
    pub fn spoil(self, facts: &mut Facts) {
        let open = match &facts.record {
            Record::Open(submission) => Some(submission.clone()),
            Record::Fresh { attempt: _ } | Record::Known(_, _) | Record::Ended(_) => None,
        };
        let echoed = facts.echo == Echo::Yes;
        match self {
            Self::SendsAgainOnDoubt => {
                if let Some(submission) = open.filter(|open| facts.held != Some(open.r#try.clone()))
                {
                    facts.record = Record::Fresh {
                        attempt: submission.attempt,
                    };
                }
            }
            Self::AnyProcessSends => {
                facts.held = open.map(|submission| submission.r#try);
            }
            Self::SendsThoughStopped => {
                if facts.held.is_some() {
                    send_anyway(facts);
                }
            }
            Self::SendsDeleted => {
                if let (Some(submission), Life::Deleting) = (open, facts.life) {
                    facts.held = Some(submission.r#try);
                    send_anyway(facts);
                }
            }
            Self::NoneTooEarly => change_reading(facts, |reading| reading.began = Timestamp::MAX),
            Self::NoneFromAPart => change_reading(facts, |reading| {
                reading.quality = Quality::Clean;
                reading.depth = Depth::End;
            }),
            Self::LooksAtAPart => {
                if open.is_none() {
                    Self::NoneFromAPart.spoil(facts);
                }
            }
            Self::StrangersTakenUp => {
                let ours = open.map(|submission| submission.request_id);
                change_reading(facts, |reading| {
                    let theirs = reading.jobs.iter_mut().filter(|job| job.request_id != ours);
                    theirs.for_each(|job| job.request_id = None);
                });
            }
            Self::NoTimeToStop => {
                if let Some(cancellation) = &mut facts.cancellation {
                    let at = cancellation.requested_at;
                    cancellation.accepted_at = cancellation.accepted_at.map(|_| at);
                }
            }
            Self::CandidatesIgnored => {
                let ours = open.map(|submission| submission.request_id);
                change_reading(facts, |reading| {
                    reading.jobs.retain(|job| !echoed || job.request_id == ours);
                });
            }
            Self::ClaimEndsAtDoubt => facts.rivals.clear(),
            Self::NoFreshList => change_reading(facts, |reading| reading.claims.open.clear()),
            Self::NoClaims => change_reading(facts, |reading| {
                reading.claims.jobs.clear();
                reading.claims.request_ids.clear();
                reading.claims.complete_from = Timestamp::MIN;
            }),
            Self::CancelsWeakly => {
                if let Record::Known(submission, _) = &mut facts.record
                    && submission.evidence == Some(SubmissionEvidence::Window)
                {
                    submission.evidence = Some(SubmissionEvidence::Reply);
                    submission.outcome = Some(SubmissionOutcome::Posted);
                }
            }
            Self::CancelsForEver => {
                if let Some(cancellation) = &mut facts.cancellation {
                    cancellation.requested_at = facts.now;
                }
            }
            Self::NoLookFirst => facts.beginning = Beginning::Seen,
            Self::NoHealing => {
                facts.doubles.clear();
                facts.surplus.clear();
            }
            Self::RetriesUnseen => facts.sighted = Sighted::InThisPass,
            Self::UsesTodaysTarget => facts.service = Need::Met(()),
            // Not the decision's, but of what is around it.
            Self::AnyRefusalProves | Self::LearnsFromReply | Self::NoFence | Self::NoGuard => {}
        }
    }
}

fn send_anyway(facts: &mut Facts) {
    let Wishes {
        cancel,
        suspend,
        deadline,
        retries: _,
        on_deletion: _,
        keep: _,
    } = &mut facts.wishes;
    *cancel = Wish::Absent;
    *suspend = Wish::Absent;
    *deadline = None;
    facts.life = Life::Live;
    facts.finalizer = Finalizer::Present;
    facts.cancellation = None;
}

fn change_reading(facts: &mut Facts, change: impl FnOnce(&mut Reading)) {
    match &mut facts.list {
        List::Read(reading) => change(reading),
        List::NotYet | List::Failed(_) => {}
    }
}
