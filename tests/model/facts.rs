//! Facts from a state, and a state's values from what a plan says.

use std::collections::BTreeMap;

use aep_export_operator::{
    api::{Attempt, Cancellation, CancelledBy, ExportDeletionPolicy, Reason},
    decide::{
        Cause, Finalizer, Life, Need, Windows,
        export::{
            Answer, Asked, Batches, Beginning, Claims, DatasetCheck, Delays, Departure, Depth,
            Destination, Echo, Facts, Identity, Limits, List, Quality as Read, Reading, Request,
            Sighted, Sighting, Surplus, Title, Wish, Wishes, deadline, record,
        },
    },
    platform::{self, DatasetId, Echoed, JobId},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    names::{Names, at, job_id, nonce_text},
    protocol::Protocol,
    world::{
        Belief, By, Intent, Job, JobNumber, JobSet, Leader, Life as State, Nonce, Object, Owner,
        Quality, Scan, World,
    },
};

/// How long a stop may take.
pub const CANCEL: u8 = 5;
/// From intent to the end of doubt: three windows of a tick each.
pub const SETTLE: u8 = 3;

/// What a pass looks at.
pub struct View<'a> {
    pub leader: usize,
    pub index: usize,
    /// Its copy of the object, which may be stale.
    pub object: &'a Object,
    pub held: bool,
    pub rejected: bool,
    pub list: List,
    /// Whether it asked for the job in this pass.
    pub asked: bool,
    /// Whether its store shows what another leader wrote.
    pub store: Store,
}

/// Whether a leader's store shows what another leader wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Store {
    Fresh,
    Stale,
}

impl Protocol {
    /// A job as GET or list shows it.
    pub fn job(&self, number: JobNumber, job: &Job, listed: bool) -> platform::Job {
        let shown = match job.owner {
            Owner::Attempt { object, attempt } => self.names.request(usize::from(object), attempt),
            Owner::Person => "a person's".into(),
        };
        let status = match job.state {
            State::Running if listed && job.flaps => "FAILED",
            State::Running => "PROCESSING",
            State::Failed => "FAILED",
            State::Cancelled => "CANCELLED",
            State::Succeeded => "SUCCEEDED",
            State::Purged => "purged",
        };
        platform::Job {
            id: job_id(number),
            status: status.into(),
            request_id: self.echoes.then_some(shown),
            dataset_id: Some(DatasetId::new("d")),
            creation_time: Some(at(job.created)),
            update_time: Some(at(job.created)),
            total_milliseconds: None,
            profile_export_milliseconds: None,
            dataset_write_milliseconds: None,
            exported_profiles: None,
            exported_profiles_by_namespace: BTreeMap::new(),
            batches: Vec::new(),
            errors: Vec::new(),
            echoed: Echoed::default(),
        }
    }

    pub fn facts(&self, world: &World, view: View) -> Facts {
        let View {
            leader,
            index,
            object,
            held,
            rejected,
            list,
            asked,
            store,
        } = view;
        let process = &world.leaders[leader];
        let intent = object.submission.as_ref();
        let submission = intent.map(|intent| self.names.submission(index, intent));
        let attempts = object.attempts();
        let attempt = intent.map_or(attempts + 1, |intent| intent.attempt);
        let wish = |wanted| if wanted { Wish::Present } else { Wish::Absent };
        let served = intent.is_none_or(|intent| intent.sandbox == world.sandbox);
        let seconds = |ticks: u8| SignedDuration::from_secs(i64::from(ticks));
        let failed = self.failed(world, index, object);
        let record = record(
            submission.as_ref(),
            object.job.map(|job| job.to_string()).as_deref(),
            i64::from(attempts),
            object.end.is_some(),
        );
        let suspend = wish(object.suspend);
        let bound = self.deadline.map(i64::from);
        Facts {
            now: at(world.now),
            created: at(0),
            life: if object.deleting {
                Life::Deleting
            } else {
                Life::Live
            },
            departure: match (object.abandon, world.terminating) {
                (true, _) => Departure::Abandoned,
                (false, true) => Departure::WithNamespace,
                (false, false) => Departure::Ordinary,
            },
            request: Request::Absent,
            finalizer: if object.finalizer {
                Finalizer::Present
            } else {
                Finalizer::Absent
            },
            identity: Identity {
                cluster: "cluster".into(),
                uid: index.to_string(),
                namespace: "n".into(),
                name: "o".into(),
            },
            wishes: Wishes {
                cancel: wish(object.cancel),
                suspend,
                deadline: deadline(bound, &record, &failed, suspend),
                retries: self.retries,
                on_deletion: if object.orphan {
                    ExportDeletionPolicy::Orphan
                } else {
                    ExportDeletionPolicy::Cancel
                },
                keep: None,
            },
            title: Title::Clear,
            body: if submission.is_some() {
                self.names.body.clone()
            } else {
                Value::Null
            },
            cancellation: object.cancellation.map(|stop| Cancellation {
                requested_at: at(stop.at),
                by: match stop.by {
                    By::Deletion => CancelledBy::Deletion,
                    By::Spec => CancelledBy::Spec,
                    By::Deadline => CancelledBy::Deadline,
                },
                accepted_at: stop.accepted.map(at),
                final_status: None,
            }),
            destination: Need::Met(Destination {
                target: Names::target(world.sandbox),
                body: self.names.body.clone(),
                dataset: DatasetCheck::Suitable,
            }),
            service: if served {
                Need::Met(())
            } else {
                Need::waiting(Reason::ConnectionNotFound, "another sandbox")
            },
            echo: match process.echo {
                Belief::Unknown => Echo::Unknown,
                Belief::Yes => Echo::Yes,
                Belief::No => Echo::No,
            },
            rivals: Self::rivals(world, leader, index, store),
            beginning: if process.seen[index] >= attempt {
                Beginning::Seen
            } else {
                Beginning::Unseen
            },
            list,
            rejected: rejected.then(|| Cause::new(Reason::Rejected, "no")),
            sighting: self.sighting(world, object, asked),
            sighted: if asked {
                Sighted::InThisPass
            } else {
                Sighted::Before
            },
            missing_since: object.missing.map(at),
            asked: Asked::NotYet,
            failed: failed.last().cloned(),
            ended_at: None,
            managed: None,
            doubles: self.doubles(world, index, object),
            surplus: self.surplus(world, object, asked),
            held: intent
                .filter(|_| held)
                .map(|intent| nonce_text(intent.nonce)),
            answer: object.word.map(|(nonce, job)| Answer {
                r#try: nonce_text(nonce),
                job: job.map(job_id),
            }),
            nonce: nonce_text(Nonce {
                leader: u8::try_from(leader).unwrap(),
                life: process.life,
                version: object.version,
            }),
            pause: None,
            look_after: Some(process.look_after[index])
                .filter(|tick| *tick > 0)
                .map(at),
            limits: Limits {
                windows: Windows {
                    send: seconds(1),
                    delivery: seconds(1),
                    visibility: seconds(1),
                },
                batch: seconds(1),
                cancel: seconds(CANCEL),
                missing: seconds(CANCEL),
                retry: Delays {
                    first: seconds(1),
                    longest: seconds(1),
                },
            },
            record,
        }
    }

    /// The attempts that failed, as a status has them.
    fn failed(&self, world: &World, index: usize, object: &Object) -> Vec<Attempt> {
        object
            .earlier
            .iter()
            .map(|(attempt, job)| {
                let created = at(world.job(*job).created);
                Attempt {
                    attempt: i64::from(*attempt),
                    request_id: self.names.request(index, *attempt),
                    job_id: job.to_string(),
                    outcome: "FAILED".into(),
                    start_time: Some(created),
                    completion_time: created,
                    reason: "ExportFailed".into(),
                    message: None,
                    suspended: None,
                }
            })
            .collect()
    }

    fn rivals(world: &World, leader: usize, index: usize, store: Store) -> Vec<String> {
        let known = |intent: &Intent| match store {
            Store::Fresh => true,
            // Its own writes it knows from memory.
            Store::Stale => usize::from(intent.nonce.leader) == leader,
        };
        let others = world.objects.iter().enumerate().filter(|(other, object)| {
            *other != index
                && !object.gone
                && object.is_open()
                && object.submission.as_ref().is_some_and(known)
        });
        others.map(|(other, _)| other.to_string()).collect()
    }

    fn sighting(&self, world: &World, object: &Object, asked: bool) -> Sighting {
        let Some(number) = object.job else {
            return Sighting::Unseen;
        };
        let job = world.job(number);
        if job.visible > world.now || job.state == State::Purged {
            return Sighting::Missing;
        }
        Sighting::Job {
            job: Box::new(self.job(number, job, !asked)),
            batches: Batches::NotAsked,
        }
    }

    fn doubles(&self, world: &World, index: usize, object: &Object) -> Vec<platform::Job> {
        let (Some(kept), Some(intent), true) = (object.job, &object.submission, self.echoes) else {
            return Vec::new();
        };
        let ours = Owner::Attempt {
            object: u8::try_from(index).unwrap(),
            attempt: intent.attempt,
        };
        let shown = world.shown(intent.sandbox);
        (0..)
            .zip(&world.jobs)
            .filter(|(number, job)| *number != kept && job.owner == ours && shown.contains(*number))
            .map(|(number, job)| self.job(number, job, true))
            .collect()
    }

    fn surplus(&self, world: &World, object: &Object, asked: bool) -> Vec<(JobId, Surplus)> {
        let Some(intent) = &object.submission else {
            return Vec::new();
        };
        let state = |number: &JobNumber| {
            let job = world.job(*number);
            let seen = if job.visible > world.now || job.state == State::Purged {
                Surplus::LeftAlone
            } else if job.asked && job.state == State::Running {
                Surplus::Asked
            } else if job.asked {
                Surplus::LeftAlone
            } else if asked {
                Surplus::Seen(Box::new(self.job(*number, job, false)))
            } else {
                Surplus::Unseen
            };
            (job_id(*number), seen)
        };
        intent.surplus.iter().map(state).collect()
    }

    /// A reading, with what `objects`, as listed from the API server, claim.
    pub fn reading(
        &self,
        world: &World,
        leader: usize,
        index: usize,
        scan: &Scan,
        quality: Quality,
        objects: &[Object],
    ) -> List {
        let (depth, quality) = match quality {
            Quality::Whole => (Depth::End, Read::Clean),
            Quality::Flawed => (Depth::End, Read::Flawed),
            Quality::Short => (Depth::Short, Read::Clean),
            Quality::Failed => {
                let cause = Cause::new(Reason::PlatformUnavailable, "down");
                return List::Failed(cause);
            }
        };
        let in_list = |set: JobSet| {
            (0..)
                .zip(&world.jobs)
                .filter(move |(number, _)| set.contains(*number))
                .map(|(number, job)| self.job(number, job, true))
                .collect()
        };
        List::Read(Reading {
            began: at(scan.began),
            jobs: in_list(scan.jobs),
            depth,
            quality,
            claims: self.claims(&world.leaders[leader], index, scan, objects),
        })
    }

    fn claims(&self, process: &Leader, index: usize, scan: &Scan, objects: &[Object]) -> Claims {
        let mut claims = Claims {
            jobs: failed(&scan.object).map(job_id).collect(),
            complete_from: process
                .started
                .map_or(Timestamp::MIN, |tick| at(tick + SETTLE)),
            ..Claims::default()
        };
        for (other, object) in objects.iter().enumerate() {
            if other == index || (object.gone && !process.tombs[other]) {
                continue;
            }
            let surplus = object.submission.iter().flat_map(|intent| &intent.surplus);
            let jobs = object.job.iter().chain(surplus).copied();
            let jobs = jobs.chain(failed(object));
            claims.jobs.extend(jobs.map(job_id));
            let last = object
                .submission
                .as_ref()
                .map_or(0, |intent| intent.attempt);
            claims
                .request_ids
                .extend((1..=last).map(|attempt| self.names.request(other, attempt)));
            if object.is_open() && !object.gone {
                claims.open.push(other.to_string());
            }
        }
        claims
    }
}

/// The jobs of the attempts that failed.
fn failed(object: &Object) -> impl Iterator<Item = JobNumber> {
    object.earlier.iter().map(|(_, job)| *job)
}
