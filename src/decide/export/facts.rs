//! What a decision about an export rests on.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    super::{Cause, Finalizer, Life, Need, Windows},
    again::Delays,
};
use crate::{
    api::{Attempt, Cancellation, ExportDeletionPolicy, Submission, Target},
    platform::{Batch, BatchId, DatasetId, Job, JobId},
};

/// What is known of an `ExportJob`.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The platform's time.
    pub now: Timestamp,
    /// When the object was created.
    pub created: Timestamp,
    /// Whether the object is there to stay.
    pub life: Life,
    /// How an object that is deleted may go.
    pub departure: Departure,
    /// Whether somebody asked for a pass now.
    pub request: Request,
    /// Whether our finalizer is on it.
    pub finalizer: Finalizer,
    /// The identity of cluster and object, for the request id.
    pub identity: Identity,
    /// What its spec wants beside the export.
    pub wishes: Wishes,
    /// What its status has on record.
    pub record: Record,
    /// Whether another object has the job on record on its own.
    pub title: Title,
    /// The body of the submission on record; null if there is none.
    pub body: Value,
    /// The cancellation on record.
    pub cancellation: Option<Cancellation>,
    /// What a new submission needs.
    pub destination: Need<Destination>,
    /// Whether somebody can talk to the target of the submission on record.
    pub service: Need<()>,
    /// Whether the platform shows the request id of a submission on its job.
    pub echo: Echo,
    /// Other objects' submissions into the same dataset that are not settled.
    pub rivals: Vec<String>,
    /// Whether this process saw the attempt begin.
    pub beginning: Beginning,
    /// The platform's list of jobs.
    pub list: List,
    /// What the platform said of the request of the try on record, in this pass.
    pub rejected: Option<Cause>,
    /// What the platform last said of the job.
    pub sighting: Sighting,
    /// How old that is.
    pub sighted: Sighted,
    /// Since when the platform has not shown the job, if that is on record.
    pub missing_since: Option<Timestamp>,
    /// What asking for the job's cancellation came to, in this pass.
    pub asked: Asked,
    /// The last attempt that failed.
    pub failed: Option<Attempt>,
    /// When the export ended, if it did.
    pub ended_at: Option<Timestamp>,
    /// What manages the object and would create it again: its mark, in words.
    pub managed: Option<String>,
    /// Jobs with our request id beside the one on record, as a list last showed them.
    pub doubles: Vec<Job>,
    /// What became of the surplus jobs on record, in this pass.
    pub surplus: Vec<(JobId, Surplus)>,
    /// The nonce that this pass wrote into the intent, if it did and has not sent since.
    pub held: Option<String>,
    /// A person's word on a doubt.
    pub answer: Option<Answer>,
    /// A nonce to use for a new intent.
    pub nonce: String,
    /// No request may be sent before a time, after one that was not taken or failed.
    pub pause: Option<Pause>,
    /// The list is not read again before this time, after a reading that told nothing.
    pub look_after: Option<Timestamp>,
    /// The bounds of waiting.
    pub limits: Limits,
}

/// Who an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The UID of the cluster's `kube-system` namespace.
    pub cluster: String,
    /// The object's UID.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a spec wants beside the export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// To be cancelled, and kept as the record.
    pub cancel: Wish,
    /// Not to be submitted yet.
    pub suspend: Wish,
    /// To have ended by this time.
    pub deadline: Option<Timestamp>,
    /// How many attempts may follow one that failed.
    pub retries: u32,
    /// What becomes of an export that has not ended when its object is deleted.
    pub on_deletion: ExportDeletionPolicy,
    /// How long after its end the object is kept; none: for good.
    pub keep: Option<SignedDuration>,
}

/// How an object that is deleted may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Departure {
    /// When its job has ended. What cannot be asked is waited for.
    #[default]
    Ordinary,
    /// With its namespace: nothing is waited for beyond the deadline.
    WithNamespace,
    /// At once: a person said so.
    Abandoned,
}

/// Whether somebody asked for a pass now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Request {
    /// Nobody did, or it was answered.
    #[default]
    Absent,
    /// Somebody did: what is waited for is looked at in this pass.
    Pending,
}

/// What asking for a job's cancellation came to, in this pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// It was not asked, or the platform said that it will stop.
    #[default]
    NotYet,
    /// The platform could not be asked.
    OutOfReach(Cause),
    /// The platform was asked and does not do it.
    Refused(Cause),
}

/// Whether a spec wants something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// It does not.
    #[default]
    Absent,
    /// It does.
    Present,
}

/// What the status has on record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// No submission of this attempt, or one that was provably not taken.
    Fresh {
        /// Which attempt, from 1.
        attempt: i64,
    },
    /// A submission whose outcome is not known.
    Open(Submission),
    /// The platform's job.
    Known(Submission, JobId),
    /// The end, of this submission if there was one.
    Ended(Option<(Submission, JobId)>),
}

/// Whether another object has the job on record on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Title {
    /// Nobody else has.
    Clear,
    /// Somebody had it before.
    Contested,
}

/// Where a new submission would go, and with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Platform, organisation, sandbox and dataset.
    pub target: Target,
    /// The body of the request.
    pub body: Value,
    /// Whether the dataset was seen to be one that profile exports can write to.
    pub dataset: DatasetCheck,
}

/// Whether the dataset of a new submission was looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum DatasetCheck {
    /// It is one of a `ProfileDataset` that is ready, or was looked at in this pass.
    Suitable,
    /// Nobody looked yet.
    Due(DatasetId),
}

/// Whether the platform shows the request id of a submission on its job.
///
/// Learned from GET or list of a job whose id its own reply told, never from the reply to the
/// request, which another part of the platform writes; and unlearned in the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echo {
    /// Not known yet.
    #[default]
    Unknown,
    /// It does: a job of ours can be told from all others.
    Yes,
    /// It does not.
    No,
}

/// Whether this process saw an attempt begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// It did, or it has looked for a job of it since.
    Seen,
    /// It was there before: its record may have been lost with a restored backup.
    Unseen,
    /// A backup tool put it there without its status.
    Restored,
}

/// The platform's list of jobs, as read in this pass.
#[derive(Clone, Debug, PartialEq)]
pub enum List {
    /// It was not read.
    NotYet,
    /// It could not be read: why.
    Failed(Cause),
    /// It was.
    Read(Reading),
}

/// A reading of the platform's list, and what the objects claimed after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// When it began, by the platform's clock.
    pub began: Timestamp,
    /// Every job in it that may matter: into the dataset, or with a request id of ours.
    pub jobs: Vec<Job>,
    /// How far back it went.
    pub depth: Depth,
    /// Whether every record of it could be read.
    pub quality: Quality,
    /// What other objects claimed, listed from the API server after the reading.
    pub claims: Claims,
}

/// How far back a reading went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// To the end of the list.
    End,
    /// To a record that was created then.
    To(Timestamp),
    /// It was given up.
    Short,
}

/// Whether every record of a reading could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Every record, each with its time, and no gap between pages.
    Clean,
    /// Every record, but one had no usable time: whether it matters by its time is not known.
    Undated,
    /// A record could not be read, or the list shifted between two pages.
    Flawed,
}

/// What other objects claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Jobs of other objects, of earlier attempts of ours, and of objects deleted lately.
    pub jobs: Vec<JobId>,
    /// The request ids of other objects' submissions.
    pub request_ids: Vec<String>,
    /// Others' open submissions into the same dataset.
    pub open: Vec<String>,
    /// Before this time an object may have been deleted unnoticed.
    pub complete_from: Timestamp,
}

/// What the platform last said of the job.
#[derive(Clone, Debug, PartialEq)]
pub enum Sighting {
    /// Nothing in the life of this process.
    Unseen,
    /// This.
    Job {
        /// The job.
        job: Box<Job>,
        /// Its batches, as the Catalog shows them.
        batches: Batches,
    },
    /// There is no such job.
    Missing,
    /// It cannot be asked at the moment.
    Trouble(Cause),
}

/// How old a sighting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighted {
    /// As old as the last poll.
    Before,
    /// The platform was asked in this pass.
    InThisPass,
}

/// What became of a surplus job in this pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Surplus {
    /// Nobody asked yet.
    Unseen,
    /// The platform shows this.
    Seen(Box<Job>),
    /// It is gone, or nobody can be asked.
    LeftAlone,
    /// It was asked to cancel in this pass.
    Asked,
    /// The platform cannot be asked how it is, or to cancel it, at the moment: why.
    OutOfReach(Cause),
    /// The platform does not cancel it: why.
    Refused(Cause),
}

/// What the Catalog shows of a succeeded job's batches.
#[derive(Clone, Debug, PartialEq)]
pub enum Batches {
    /// It was not asked.
    NotAsked,
    /// It cannot be asked: why.
    Refused(Cause),
    /// Each batch of the job, with what the Catalog shows of it.
    Seen(Vec<(BatchId, Option<Batch>)>),
}

/// A time before which nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Until when.
    pub until: Timestamp,
    /// What became of the request before.
    pub cause: Cause,
}

/// A person's word on one doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The try that it answers.
    pub r#try: String,
    /// Which job it is; none: no job is.
    pub job: Option<JobId>,
}

/// The bounds of waiting; each is a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The times of the submission protocol.
    pub windows: Windows,
    /// How long to wait for a batch of a succeeded job to be readable.
    pub batch: SignedDuration,
    /// How long to wait for a cancelled job to end, or a doubt about a deleted object to be
    /// settled.
    pub cancel: SignedDuration,
    /// How long the platform may not show a job that it had before the job counts as gone.
    pub missing: SignedDuration,
    /// How long to wait between two attempts.
    pub retry: Delays,
}

impl Reading {
    /// Whether it went back beyond a time and could read and date every record on the way, so that
    /// a job of that time which it does not show is not there.
    #[must_use]
    pub fn is_whole(&self, since: Timestamp) -> bool {
        match self.quality {
            Quality::Clean => self.depth.reaches(since),
            Quality::Undated | Quality::Flawed => false,
        }
    }

    /// Whether it went back beyond a time and could read every record on the way, so that a
    /// request id which it does not show is not there.
    #[must_use]
    pub fn shows_ids(&self, since: Timestamp) -> bool {
        match self.quality {
            Quality::Clean | Quality::Undated => self.depth.reaches(since),
            Quality::Flawed => false,
        }
    }
}

impl Depth {
    /// Whether it is beyond a time.
    #[must_use]
    pub fn reaches(self, since: Timestamp) -> bool {
        match self {
            Self::End => true,
            Self::To(oldest) => oldest < since,
            Self::Short => false,
        }
    }
}

impl Answer {
    /// Reads an annotation: `<try>=<job id or none>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (r#try, word) = text.trim().split_once('=')?;
        let job = match word.trim() {
            "" => return None,
            "none" => None,
            id => Some(JobId::new(id)),
        };
        Some(Self {
            r#try: r#try.trim().to_owned(),
            job,
        })
    }

    /// As the annotation has it.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { r#try, job } = self;
        let word = job.as_ref().map_or("none", JobId::as_str);
        format!("{try}={word}", r#try = r#try)
    }
}
