//! What must hold in every state, what must hold when all is over, and what must be seen to happen.

use stateright::Property;

use crate::{
    action::Lag,
    protocol::Protocol,
    world::{
        Belief, Breach, End, Evidence, Intent, Job, JobNumber, Life, Object, Outcome, Owner, World,
    },
};

/// The properties of a setting.
pub fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut properties = vec![
        Property::<Protocol>::always("what left was wanted", |_, world| {
            world.breach != Some(Breach::SentUnwanted)
        }),
        Property::<Protocol>::always("nothing of another's is cancelled", |_, world| {
            world.breach != Some(Breach::CancelledAnothers)
        }),
        Property::<Protocol>::always("nobody is distrusted without cause", |_, world| {
            world.breach != Some(Breach::Distrusted)
        }),
        Property::<Protocol>::always("no two objects have one job", |_, world| {
            no_job_twice(world)
        }),
        Property::<Protocol>::always("no object has another's job", no_object_has_anothers),
    ];
    if protocol.lag != Lag::Beyond {
        properties.extend([
            Property::<Protocol>::always("one job for each attempt", |_, world| one_job(world)),
            Property::<Protocol>::always(
                "an attempt begins when the last has ended",
                |_, world| one_live_attempt(world),
            ),
            Property::<Protocol>::always(
                "at rest nothing is in doubt or left behind",
                |protocol, world| !protocol.is_over(world) || unrest(protocol, world).is_none(),
            ),
        ]);
    }
    // What one process knows, it keeps to.
    if protocol.faults.takeover == 0 && !protocol.split && protocol.belief != Belief::Yes {
        properties.push(Property::<Protocol>::always(
            "without request ids one submission at a time",
            |protocol, world| {
                protocol.echoes || world.objects.iter().filter(|o| is_open(o)).count() < 2
            },
        ));
    }
    properties.extend(
        sights()
            .into_iter()
            .filter(|sight| protocol.sights.contains(&sight.name)),
    );
    properties
}

/// What must be seen to happen, somewhere.
pub fn sights() -> Vec<Property<Protocol>> {
    let sight = Property::<Protocol>::sometimes;
    vec![
        sight("a reply is recorded", |_, world| {
            has(world, Outcome::Posted, Evidence::Reply)
        }),
        sight("a job is taken up by its request id", |_, world| {
            has(world, Outcome::Adopted, Evidence::RequestId)
        }),
        sight("a job is taken up by its time", |_, world| {
            has(world, Outcome::Adopted, Evidence::Window)
        }),
        sight("a request counts as not taken", |_, world| {
            has(world, Outcome::NotTaken, Evidence::List)
        }),
        sight("a person is asked", |_, world| {
            world
                .objects
                .iter()
                .any(|object| asked(object) && !object.gone)
        }),
        sight("a person's word is taken", |_, world| {
            intents(world).any(|intent| intent.evidence == Some(Evidence::Person))
        }),
        sight("a double is cancelled", |_, world| {
            intents(world).any(|intent| {
                intent
                    .surplus
                    .iter()
                    .any(|job| world.job(*job).state == Life::Cancelled)
            })
        }),
        sight("a second attempt runs", |_, world| {
            world
                .objects
                .iter()
                .any(|object| object.attempts() == 1 && object.job.is_some())
        }),
        sight("an object goes with a warning", |_, world| {
            world
                .objects
                .iter()
                .any(|object| object.gone && object.warned)
        }),
        sight("a deleted object's job stops", |_, world| {
            world.objects.iter().any(|object| {
                object.gone
                    && object
                        .job
                        .is_some_and(|job| world.job(job).state == Life::Cancelled)
            })
        }),
        sight("a rejection ends", |_, world| {
            world
                .objects
                .iter()
                .any(|object| object.end == Some(End::Rejected))
        }),
        sight("two are in doubt at once", |_, world| {
            world
                .objects
                .iter()
                .filter(|object| is_open(object))
                .count()
                > 1
        }),
        sight("a job is made that nobody records", |protocol, world| {
            protocol.is_over(world) && !one_job(world)
        }),
    ]
}

fn intents(world: &World) -> impl Iterator<Item = &Intent> {
    world
        .objects
        .iter()
        .filter_map(|object| object.submission.as_ref())
}

fn has(world: &World, outcome: Outcome, evidence: Evidence) -> bool {
    intents(world)
        .any(|intent| intent.outcome == Some(outcome) && intent.evidence == Some(evidence))
}

fn is_open(object: &Object) -> bool {
    object.is_open() && !object.gone
}

fn asked(object: &Object) -> bool {
    object.is_open()
        && object
            .submission
            .as_ref()
            .is_some_and(|intent| !intent.candidates.is_empty())
}

/// Not counting what the gateway doubles.
fn one_job(world: &World) -> bool {
    let owners: Vec<Owner> = world
        .jobs
        .iter()
        .filter(|job| !job.double && job.owner != Owner::Person)
        .map(|job| job.owner)
        .collect();
    owners
        .iter()
        .enumerate()
        .all(|(index, owner)| !owners[..index].contains(owner))
}

fn one_live_attempt(world: &World) -> bool {
    (0..world.objects.len()).all(|index| {
        let lives = |job: &&Job| job.state == Life::Running && !job.asked && !job.double;
        let of = world.jobs.iter().filter(|job| owns(index, job));
        of.filter(lives).count() < 2
    })
}

pub fn owns(index: usize, job: &Job) -> bool {
    matches!(job.owner, Owner::Attempt { object, attempt: _ } if usize::from(object) == index)
}

fn no_job_twice(world: &World) -> bool {
    let jobs: Vec<JobNumber> = world
        .objects
        .iter()
        .filter_map(|object| object.job)
        .collect();
    (1..jobs.len()).all(|index| !jobs[..index].contains(&jobs[index]))
}

/// Of another object never; of a person only where ids are not shown, or by a person's word.
fn no_object_has_anothers(protocol: &Protocol, world: &World) -> bool {
    world.objects.iter().enumerate().all(|(index, object)| {
        let Some(job) = object.job.map(|job| world.job(job)) else {
            return true;
        };
        let spoken = object
            .submission
            .as_ref()
            .is_some_and(|intent| intent.evidence == Some(Evidence::Person));
        owns(index, job) || spoken || (job.owner == Owner::Person && !protocol.echoes)
    })
}

/// Why the world is not at rest, though nobody has anything to do any more.
pub fn unrest(protocol: &Protocol, world: &World) -> Option<&'static str> {
    let objects = world.objects.iter().enumerate();
    objects
        .filter_map(|(index, object)| object_unrest(protocol, world, index, object))
        .chain(world.jobs.iter().enumerate().filter_map(|(number, job)| {
            job_unrest(protocol, world, u8::try_from(number).unwrap(), job)
        }))
        .next()
}

fn object_unrest(
    protocol: &Protocol,
    world: &World,
    index: usize,
    object: &Object,
) -> Option<&'static str> {
    let evidence = object
        .submission
        .as_ref()
        .and_then(|intent| intent.evidence);
    let served = object
        .submission
        .as_ref()
        .is_none_or(|intent| intent.sandbox == world.sandbox);
    let weak = evidence == Some(Evidence::Window);
    if object.gone {
        // A warning is for what can't be known or does not stop.
        let excused = object.is_open()
            || weak
            || !served
            || object.job.is_some_and(|job| world.job(job).stuck)
            || surplus(object).iter().any(|job| world.job(*job).stuck);
        let lies = protocol.belief == Belief::Yes && !protocol.echoes;
        return (object.warned && !excused && !lies && !object.abandon)
            .then_some("let go without need");
    }
    if object.deleting && (object.abandon || world.terminating) {
        return Some("never let go");
    }
    if !served {
        return None;
    }
    if object.deleting {
        return Some("never let go");
    }
    if object.end.is_some() {
        return object.finalizer.then_some("ended and held");
    }
    if let Some(job) = object.job.map(|job| world.job(job)) {
        return match job.state {
            Life::Failed | Life::Cancelled | Life::Succeeded | Life::Purged => {
                Some("the end of its job is not seen")
            }
            Life::Running if !object.finalizer => Some("not held"),
            Life::Running
                if (object.cancel || protocol.deadline.is_some())
                    && !weak
                    && !job.stuck
                    && owns(index, job) =>
            {
                Some("never cancelled")
            }
            Life::Running => None,
        };
    }
    if object.is_open() {
        return (!asked(object)).then_some("in doubt for ever");
    }
    if object.cancel {
        return Some("never ended");
    }
    let mut others = world.objects.iter().enumerate();
    let waits = object.suspend || others.any(|(other, state)| other != index && is_open(state));
    (!waits).then_some("never submitted")
}

fn surplus(object: &Object) -> &[JobNumber] {
    object
        .submission
        .as_ref()
        .map_or(&[][..], |intent| &intent.surplus)
}

fn job_unrest(protocol: &Protocol, world: &World, number: u8, job: &Job) -> Option<&'static str> {
    let Owner::Attempt { object, attempt: _ } = job.owner else {
        return None;
    };
    if job.state != Life::Running {
        return None;
    }
    let owner = &world.objects[usize::from(object)];
    let named = |object: &Object| {
        let intent = object.submission.as_ref();
        object.job == Some(number)
            || intent.is_some_and(|intent| {
                intent.candidates.contains(&number) || intent.surplus.contains(&number)
            })
    };
    let known = !owner.gone && owner.end.is_none() && named(owner);
    // Deleted while nobody held it, it is gone before anybody sees that.
    let stripped = protocol.faults.stripped > world.left.stripped;
    let told = owner.gone && (owner.warned || owner.left || stripped);
    // So is what a backup restored from before it was held; and what it restored as suspended is
    // looked for when it goes on.
    let restored = protocol.faults.restored > world.left.restored;
    let unseen = owner.gone && owner.cancellation.is_none();
    let lost = restored && (unseen || (owner.suspend && owner.submission.is_none()));
    // The platform's own word was that it failed.
    let denied = job.flaps && (owner.end.is_some() || owner.gone);
    // Without request ids a double can't be told from a person's job.
    let hidden = job.double || (!protocol.echoes && world.jobs.iter().any(|job| job.double));
    let elsewhere = owner
        .submission
        .as_ref()
        .is_some_and(|intent| intent.sandbox != world.sandbox);
    // An event told of it; and who has ended goes without anybody.
    let asked = job.asked && job.stuck && (!owner.gone || owner.end.is_some());
    let left = if surplus(owner).contains(&number) {
        !(asked || told || elsewhere)
    } else {
        !(known || told || asked || lost || denied || elsewhere || (hidden && !protocol.echoes))
    };
    left.then_some("a job runs that nobody knows")
}
