//! Lives with three kinds of trouble at once, drawn by a seed: kills, requests that fail on either
//! side of either server, frames that come twice, jobs that show late.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;

use super::life::Point;
use crate::harness::{
    World,
    proxy::{Fault, Frames, Match, Rule, Server, Side, Tamper, Verb, When},
};

const JOBS: &str = "/data/core/ups/export/jobs";
const DATASETS: &str = "/data/foundation/catalog/dataSets";
/// The resources whose watches are disturbed.
const WATCHED: [&str; 3] = ["platformconnections", "profiledatasets", "exportjobs"];
/// How many kinds of trouble a life has.
const AT_ONCE: usize = 3;
/// The most requests of a kind before the one that fails.
const FAR: usize = 8;

/// The windows of the lives, in milliseconds, with room for a busy machine.
const WITHIN: u64 = 700;

/// What happens in a life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The operator is killed.
    Kill(Point),
    /// A request of the API server's fails: the one with this number of those with this verb.
    Kubernetes(Verb, usize, Fault),
    /// So does one of the platform, or several in a row.
    Platform(&'static str, Verb, usize, Fault),
    /// So many frames of a watch come twice. Out of order they do not come in a life: of one object
    /// the API server keeps the order, and the last frame is to be the last word.
    Twice(&'static str, usize),
    /// The job of the next request is made so many milliseconds after its reply is lost.
    Late(u64),
    /// What was made shows so many milliseconds late: in lists, by its id, in queries by tag.
    Lag(u64),
    /// The platform answers so many calls with 503, beginning with the next for a job.
    Busy(u64),
}

/// What happens in the life with this seed; the same for the same seed.
pub fn troubles(seed: u64) -> Vec<Trouble> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..AT_ONCE).map(|_| trouble(&mut random)).collect()
}

fn trouble(random: &mut impl Rng) -> Trouble {
    let nth = random.random_range(1..=FAR);
    let side = *[Side::Before, Side::After].choose(random).unwrap();
    match random.random_range(0..8) {
        0 | 1 => Trouble::Kill(Point {
            index: random.random_range(1..=54),
            side,
        }),
        2 => {
            let verbs = [Verb::List, Verb::Watch, Verb::Update, Verb::Patch];
            let verb = *verbs.choose(random).unwrap();
            let faults = match verb {
                Verb::Update | Verb::Patch => &[
                    Fault::Conflict,
                    Fault::Throttle(1),
                    Fault::TimeOut,
                    Fault::Close(Side::Before),
                    Fault::Close(Side::After),
                ][..],
                _ => &[
                    Fault::Expire,
                    Fault::Throttle(1),
                    Fault::Close(Side::Before),
                ][..],
            };
            Trouble::Kubernetes(verb, nth, *faults.choose(random).unwrap())
        }
        3 | 4 => {
            let calls = [
                (JOBS, Verb::Create, 2),
                (JOBS, Verb::Get, FAR),
                (JOBS, Verb::Delete, 2),
                (DATASETS, Verb::Create, 1),
                (DATASETS, Verb::Get, FAR),
                ("/ims", Verb::Create, 2),
                ("/data/foundation/sandbox", Verb::Get, 2),
            ];
            let (path, verb, most) = *calls.choose(random).unwrap();
            let faults = [Fault::Close(side), Fault::TimeOut];
            let fault = *faults.choose(random).unwrap();
            Trouble::Platform(path, verb, nth.min(most), fault)
        }
        5 => Trouble::Twice(WATCHED.choose(random).unwrap(), nth),
        // Less than the windows say: the promise is for a platform that keeps within them.
        6 => match random.random_range(0..2) {
            0 => Trouble::Late(random.random_range(100..WITHIN)),
            _ => Trouble::Lag(random.random_range(100..WITHIN)),
        },
        // More would take minutes: the list is read ever more slowly.
        _ => Trouble::Busy(random.random_range(1..=4)),
    }
}

/// Where the operator is killed.
pub fn kills(troubles: &[Trouble]) -> Vec<Point> {
    let kill = |trouble: &Trouble| match trouble {
        Trouble::Kill(point) => Some(*point),
        _ => None,
    };
    troubles.iter().filter_map(kill).collect()
}

/// Has all but the kills happen from now on; as long as the rules are there.
pub async fn arrange(world: &World, troubles: &[Trouble]) -> Vec<Rule> {
    let proxy = world.proxy();
    let mut rules = Vec::new();
    for trouble in troubles {
        match *trouble {
            Trouble::Kill(_) => {}
            Trouble::Kubernetes(verb, nth, fault) => {
                let what = Match::all(Server::Kubernetes).verb(verb);
                rules.push(proxy.disturb(what, When::nth(nth), fault));
            }
            Trouble::Platform(path, verb, nth, fault) => {
                let what = Match::platform(path).verb(verb);
                rules.push(proxy.disturb(what, When::nth(nth), fault));
            }
            Trouble::Twice(resource, count) => {
                proxy.tamper(Frames::of(resource), Tamper::Duplicate, count);
            }
            Trouble::Late(after) => {
                let commit = json!({ "afterMilliseconds": after });
                let action = json!({ "lose": { "how": "close", "commit": commit } });
                let fault = json!({ "method": "POST", "path": JOBS, "times": 1, "action": action });
                world.simulator.fault(fault).await;
            }
            Trouble::Lag(milliseconds) => {
                let seconds = Duration::from_millis(milliseconds).as_secs_f64();
                let lags = json!({
                    "listLagSeconds": seconds, "getLagSeconds": seconds, "tagQueryLagSeconds": seconds,
                });
                world.simulator.put("switches", lags).await;
            }
            Trouble::Busy(calls) => {
                let busy = json!({ "reply": { "status": 503 } });
                let fault = json!({ "path": format!("{JOBS}*"), "times": calls, "action": busy });
                world.simulator.fault(fault).await;
            }
        }
    }
    rules
}

#[test]
fn what_happens_in_a_life_is_told_by_its_seed() {
    assert_eq!(troubles(7), troubles(7));
    let some: Vec<_> = (0..100).map(troubles).collect();
    assert!(some.iter().all(|troubles| troubles.len() == AT_ONCE));
    assert!(some.iter().any(|troubles| kills(troubles).len() > 1));
}
