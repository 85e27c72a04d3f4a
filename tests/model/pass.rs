//! The steps of a leader: what the shell does with a decision.

use std::mem;

use aep_export_operator::{
    api::Submission,
    decide::{
        connection::Failure,
        creation::posted,
        export::{
            CameTo, Effect, Ending, Facts, Farewell, List, Phase, Plan, Record, Situation, came_to,
        },
    },
    platform::{Consequence, Refusal},
};

use crate::{
    facts::{Store, View},
    mutants::Mutant,
    names::{Names, job_number, stop},
    protocol::Protocol,
    world::{
        Belief, Breach, End, Evidence, Flight, Intent, Life, Object, Owner, Pass, Reply, Scan,
        World,
    },
};

/// A step of a pass: who makes it, over which object, and what it knows.
pub struct Step<'a> {
    pub leader: usize,
    pub index: usize,
    pub store: Store,
    /// Whether the API server's answer to a write arrives.
    pub answered: bool,
    pub protocol: &'a Protocol,
}

/// What a pass has in hand when it decides.
struct Hand {
    object: Object,
    held: bool,
    rejected: bool,
    list: List,
}

impl Step<'_> {
    /// The world after this step; none if nothing changes.
    pub fn take(&self, world: &World) -> Option<World> {
        let mut next = world.clone();
        let slot = &mut next.leaders[self.leader].passes[self.index];
        let hand = match mem::replace(slot, Pass::Idle) {
            Pass::Idle => Self::look(world.objects[self.index].clone(), false),
            Pass::Observed(object) => Self::look(*object, false),
            Pass::Ready(object) => Self::look(*object, true),
            Pass::Replied(object, reply) => return Some(self.replied(next, *object, reply)),
            Pass::Scanned(scan, quality) if self.protocol.slow_settle => {
                *slot = Pass::Listed(scan, quality, world.objects.clone());
                return Some(next);
            }
            Pass::Scanned(scan, quality) => self.read(world, &scan, quality, &world.objects),
            Pass::Listed(scan, quality, objects) => self.read(world, &scan, quality, &objects),
            Pass::Sent(_) | Pass::Scanning(_) => return None,
        };
        if hand.object.gone {
            return None;
        }
        let next = self.act(next, hand)?;
        (next != *world).then_some(next)
    }

    fn look(object: Object, held: bool) -> Hand {
        Hand {
            object,
            held,
            rejected: false,
            list: List::NotYet,
        }
    }

    fn read(
        &self,
        world: &World,
        scan: &Scan,
        quality: crate::world::Quality,
        objects: &[Object],
    ) -> Hand {
        let list = self
            .protocol
            .reading(world, self.leader, self.index, scan, quality, objects);
        let Scan {
            object,
            began: _,
            jobs: _,
            rejected,
        } = scan;
        Hand {
            object: object.clone(),
            held: false,
            rejected: *rejected,
            list,
        }
    }

    fn facts(&self, world: &World, hand: &Hand, asked: bool) -> Facts {
        let Hand {
            object,
            held,
            rejected,
            list,
        } = hand;
        self.protocol.facts(
            world,
            View {
                leader: self.leader,
                index: self.index,
                object,
                held: *held,
                rejected: *rejected,
                list: list.clone(),
                asked,
                store: self.store,
            },
        )
    }

    /// Decides, and carries out the one effect.
    fn act(&self, mut next: World, mut hand: Hand) -> Option<World> {
        let facts = self.facts(&next, &hand, false);
        let fresh = match (&facts.record, &facts.list) {
            (Record::Fresh { attempt }, List::Read(_)) => Some(*attempt),
            _ => None,
        };
        let Plan {
            mut situation,
            mut effect,
        } = self.protocol.decide(facts);
        if let Effect::Look(_, _) | Effect::LookAtSurplus(_, _) = effect {
            if let Effect::Look(_, _) = effect {
                self.tell(&mut next, &mut hand.object, &situation);
            }
            Plan { situation, effect } = self.protocol.decide(self.facts(&next, &hand, true));
        }
        if !self.answered && !matches!(effect, Effect::Intend(_)) {
            return None;
        }
        if let Some(attempt) = fresh
            && matches!(effect, Effect::Hold | Effect::Intend(_))
        {
            let attempt = u8::try_from(attempt).unwrap();
            next.leaders[self.leader].seen[self.index] = attempt;
        }
        let now = next.now;
        let phase = situation.phase().filter(|_| self.protocol.tells);
        let told = |object: &mut Object| object.phase = phase.or(object.phase);
        let object = &hand.object.clone();
        match effect {
            Effect::Rest | Effect::BackOff | Effect::WakeAt(_) | Effect::Follow(_, _, _) => {
                if let Situation::Ends(ending) = situation {
                    self.write(&mut next, object, |object| {
                        told(object);
                        object.end = Some(end(&ending));
                    });
                } else {
                    self.tell(&mut next, &mut hand.object, &situation);
                }
            }
            Effect::Hold => {
                self.write(&mut next, object, |object| object.finalizer = true);
            }
            Effect::Release => {
                let farewell = match situation {
                    Situation::Leaving(farewell) => farewell,
                    _ => Farewell::Quiet,
                };
                self.write(&mut next, object, |object| {
                    object.finalizer = false;
                    match farewell {
                        Farewell::Quiet => {}
                        Farewell::LeftToRun(_) => object.left = true,
                        Farewell::Warning(_) => object.warned = true,
                    }
                });
                next.bury(self.index);
            }
            Effect::Intend(submission) => self.intend(&mut next, object, &submission),
            Effect::Post(submission, _) => return Some(self.post(next, object, &submission)),
            Effect::ReadList(_) => {
                let sandbox = self.protocol.read_sandbox(&next, object);
                let scan = Scan {
                    object: object.clone(),
                    began: now,
                    jobs: next.shown(sandbox),
                    rejected: hand.rejected,
                };
                next.leaders[self.leader].passes[self.index] = Pass::Scanning(Box::new(scan));
            }
            Effect::LookAgain(_) => {
                self.tell(&mut next, &mut hand.object, &situation);
                next.leaders[self.leader].look_after[self.index] = now + 1;
            }
            Effect::Settle(submission) => {
                self.write(&mut next, object, |object| {
                    told(object);
                    object.submission = Some(Names::intent(&submission));
                });
            }
            Effect::Adopt(submission, job) => {
                self.write(&mut next, object, |object| {
                    told(object);
                    object.submission = Some(Names::intent(&submission));
                    object.job = Some(job_number(job.id.as_str()));
                });
            }
            Effect::Retry(submission, job) => {
                let attempt = u8::try_from(submission.attempt).unwrap();
                let done = self.write(&mut next, object, |object| {
                    told(object);
                    let failed = (attempt, job_number(job.id.as_str()));
                    object.earlier.push(failed);
                    object.submission = None;
                    object.job = None;
                });
                // Who did not see this attempt begin does not know whether the next one has.
                let process = &mut next.leaders[self.leader];
                if done && process.seen[self.index] == attempt {
                    process.seen[self.index] = attempt + 1;
                }
            }
            Effect::IntendCancel(cancellation) => {
                self.write(&mut next, object, |object| {
                    told(object);
                    object.cancellation = Some(stop(&cancellation));
                });
            }
            Effect::Cancel(_, job, cancellation) => {
                self.cancel(&mut next, job.as_str());
                self.write(&mut next, object, |object| {
                    told(object);
                    let mut stop = stop(&cancellation);
                    stop.accepted = Some(now);
                    object.cancellation = Some(stop);
                });
            }
            Effect::CancelSurplus(_, job) => self.cancel(&mut next, job.as_str()),
            Effect::Distrust(_) => next.breach = Some(Breach::Distrusted),
            Effect::Expire => panic!("no object of the model has a time to live"),
            Effect::Look(_, _) | Effect::LookAtSurplus(_, _) | Effect::CheckDataset(_) => {
                panic!("asked for twice in one pass: {effect:?}")
            }
        }
        Some(next)
    }

    /// Writes how the export stands, if that is told and is not what is there.
    fn tell(&self, next: &mut World, copy: &mut Object, situation: &Situation) {
        let missing = self.is_missing(next, copy).then_some(next.now);
        let phase = match situation.phase() {
            Some(phase) if self.protocol.tells => Some(phase),
            Some(_) => copy.phase,
            None => return,
        };
        let since = copy.missing.or(missing).filter(|_| missing.is_some());
        if (copy.phase, copy.missing) == (phase, since) {
            return;
        }
        let written = self.write(next, copy, |object| {
            object.phase = phase;
            object.missing = since;
        });
        if written {
            *copy = next.objects[self.index].clone();
        }
    }

    /// Whether the platform does not show the job on record.
    fn is_missing(&self, world: &World, copy: &Object) -> bool {
        // What is only late is not told of in the settings whose every state is kept.
        copy.job.map(|job| world.job(job)).is_some_and(|job| {
            job.state == Life::Purged || (self.protocol.tells && job.visible > world.now)
        })
    }

    /// A write that the API server takes only if nobody wrote in between.
    fn write(&self, next: &mut World, copy: &Object, change: impl FnOnce(&mut Object)) -> bool {
        let object = &mut next.objects[self.index];
        let current = object.version == copy.version
            || (!self.protocol.guards_spec && is_same_status(object, copy));
        if current && !object.gone {
            change(object);
            object.version += 1;
        }
        current
    }

    fn intend(&self, next: &mut World, copy: &Object, submission: &Submission) {
        let intent = Names::intent(submission);
        let mut copy = copy.clone();
        if self.protocol.is(Mutant::NoGuard) {
            copy.version = next.objects[self.index].version;
        }
        let phase = self.protocol.tells.then_some(Phase::Submitting);
        let written = self.write(next, &copy, |object| {
            object.submission = Some(intent);
            object.phase = phase;
        });
        if written && self.answered {
            let answer = next.objects[self.index].clone();
            next.leaders[self.leader].passes[self.index] = Pass::Ready(Box::new(answer));
        }
    }

    fn post(&self, mut next: World, answer: &Object, submission: &Submission) -> World {
        let intent = Names::intent(submission);
        let fenced = next.now >= intent.send && !self.protocol.is(Mutant::NoFence);
        let answer_box = Box::new(answer.clone());
        let pass = if fenced {
            Pass::Replied(answer_box, Reply::Unsent)
        } else {
            if answer.deleting || answer.cancel || answer.suspend || !answer.finalizer {
                next.breach = Some(Breach::SentUnwanted);
            }
            // Taken within the delivery window after the fence, or after it left with none.
            next.flights.push(Flight {
                leader: u8::try_from(self.leader).unwrap(),
                object: u8::try_from(self.index).unwrap(),
                attempt: intent.attempt,
                sandbox: intent.sandbox,
                until: intent.send.max(next.now) + 1,
                awaited: true,
            });
            Pass::Sent(answer_box)
        };
        next.leaders[self.leader].passes[self.index] = pass;
        next
    }

    /// Records what a request came to.
    fn replied(&self, mut next: World, sent: Object, reply: Reply) -> World {
        let intent = sent.submission.as_ref().unwrap();
        let submission = self.protocol.names.submission(self.index, intent);
        let failed = |consequence| {
            Err(Failure {
                consequence,
                message: String::new(),
            })
        };
        let result = match reply {
            Reply::Taken(number) => {
                let process = &mut next.leaders[self.leader];
                process.told.insert(number);
                if self.protocol.is(Mutant::LearnsFromReply) {
                    process.echo = Belief::Yes;
                }
                Ok(self.protocol.job(number, next.job(number), false))
            }
            Reply::Nothing => failed(Consequence::InDoubt),
            Reply::Unproven if self.protocol.is(Mutant::AnyRefusalProves) => {
                failed(Consequence::Refused(Refusal::Forbidden))
            }
            Reply::Unproven => failed(Consequence::Forbidden),
            Reply::Refused => failed(Consequence::Refused(Refusal::Unauthenticated)),
            Reply::Unsent => failed(Consequence::NotSent),
            Reply::Rejected => failed(Consequence::Rejected),
        };
        let claimed = |job: &aep_export_operator::platform::Job| {
            let number = job_number(job.id.as_str());
            let others = next
                .objects
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != self.index);
            others
                .into_iter()
                .any(|(_, object)| object.job == Some(number))
        };
        let (settled, job) = match came_to(&submission, posted(result), claimed) {
            CameTo::Posted(settled, job) => (settled, Some(job_number(job.id.as_str()))),
            CameTo::NotTaken {
                submission,
                cause: _,
                hold: _,
            } => (submission, None),
            CameTo::Rejected(_) => {
                let hand = Hand {
                    object: sent,
                    held: false,
                    rejected: true,
                    list: List::NotYet,
                };
                return self.act(next.clone(), hand).unwrap_or(next);
            }
            CameTo::InDoubt(_) => return next,
        };
        // On a conflict the shell reads again, and writes if the try on record is still its own.
        let object = &mut next.objects[self.index];
        let same = object
            .submission
            .as_ref()
            .is_some_and(|now| now.nonce == intent.nonce);
        let phase = match job {
            Some(_) => Phase::Running,
            None => Phase::Pending,
        };
        if same && object.is_open() && !object.gone {
            object.phase = self.protocol.tells.then_some(phase);
            object.submission = Some(Names::intent(&settled));
            object.job = job;
            object.version += 1;
        }
        next
    }

    fn cancel(&self, next: &mut World, id: &str) {
        let number = job_number(id);
        let record = next.objects[self.index].submission.clone();
        let job = &mut next.jobs[usize::from(number)];
        let index = u8::try_from(self.index).unwrap();
        let ours = matches!(job.owner, Owner::Attempt { object, attempt: _ } if object == index);
        let weak = record.is_some_and(|Intent { evidence, .. }| evidence == Some(Evidence::Window));
        if !ours || weak {
            next.breach = Some(Breach::CancelledAnothers);
        }
        if job.state == Life::Running {
            job.asked = true;
        }
    }
}

fn is_same_status(object: &Object, copy: &Object) -> bool {
    let status = |object: &Object| Object {
        version: 0,
        deleting: false,
        gone: false,
        cancel: false,
        suspend: false,
        finalizer: false,
        ..object.clone()
    };
    status(object) == status(copy)
}

fn end(ending: &Ending) -> End {
    match ending {
        Ending::Succeeded(_) => End::Succeeded,
        Ending::Failed | Ending::NoFurtherAttempt(_) | Ending::Vanished(_) => End::Failed,
        Ending::CancelledInPlatform | Ending::Cancelled(_) => End::Cancelled,
        Ending::Rejected(_) => End::Rejected,
    }
}
