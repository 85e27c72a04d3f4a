//! One life: objects come, are waited for and go, whatever happens to the operator meanwhile.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use kube::Api;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    end::{End, Shown},
    mix::{Trouble, arrange, kills},
};
use crate::harness::{
    SHORT_WINDOWS, World, conditions, export_into, is, is_held, proxy::Logged, proxy::Side,
};

/// A life ends within this time of its beginning, and of each restart: windows, waits after
/// failures and a busy machine, several times over.
const BOUND: Duration = Duration::from_mins(1);
/// How often a goal is looked at.
const TICK: Duration = Duration::from_millis(25);

/// A point at which the operator is killed: the number of a request since its start, and the side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// From 1.
    pub index: usize,
    /// Before the server hears of the request, or after it has answered.
    pub side: Side,
}

/// An object of the life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// The connection and its Secret.
    Connection,
    /// The dataset that is created in the Catalog.
    Dataset,
    /// The export that ends by itself.
    Weekly,
    /// The export that is deleted while it runs.
    Stopped,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// Its condition `Ready` is true.
    Ready,
    /// It succeeded, and its object is let go.
    Done,
    /// The platform runs it, and was asked for it.
    Running,
    /// Nothing holds it, and it says so.
    Free,
    /// The object is gone.
    Gone,
}

/// A step of the life.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create(Thing),
    Await(Thing, Goal),
    /// Keeps how the object is now for the end.
    Keep(Thing),
    /// Jobs that are started from now on run until they are cancelled.
    HoldJobs,
    Delete(Thing),
}

const LIFE: [Step; 20] = [
    Step::Create(Thing::Connection),
    Step::Await(Thing::Connection, Goal::Ready),
    Step::Create(Thing::Dataset),
    Step::Await(Thing::Dataset, Goal::Ready),
    Step::Create(Thing::Weekly),
    Step::Await(Thing::Weekly, Goal::Done),
    Step::Await(Thing::Dataset, Goal::Free),
    Step::Await(Thing::Connection, Goal::Free),
    Step::Keep(Thing::Weekly),
    Step::Delete(Thing::Weekly),
    Step::Await(Thing::Weekly, Goal::Gone),
    Step::HoldJobs,
    Step::Create(Thing::Stopped),
    Step::Await(Thing::Stopped, Goal::Running),
    Step::Delete(Thing::Stopped),
    Step::Await(Thing::Stopped, Goal::Gone),
    Step::Await(Thing::Dataset, Goal::Free),
    Step::Await(Thing::Connection, Goal::Free),
    Step::Await(Thing::Dataset, Goal::Ready),
    Step::Await(Thing::Connection, Goal::Ready),
];

/// A life that was lived.
pub struct Lived {
    /// How it ended.
    pub end: End,
    /// The requests at which the operator was killed.
    pub killed_at: Vec<Logged>,
    /// What was waited for in vain, and what was there instead.
    pub stuck: Option<String>,
    /// The requests that count, of all processes.
    pub requests: Vec<Logged>,
    /// What the operators wrote.
    pub log: String,
}

struct Life {
    world: World,
    points: VecDeque<Point>,
    killed_at: Vec<Logged>,
    kept: BTreeMap<Thing, Shown>,
    began: Instant,
}

impl Thing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Connection, Self::Dataset, Self::Weekly, Self::Stopped];

    fn name(self) -> &'static str {
        match self {
            Self::Connection => "prod",
            Self::Dataset => "profiles",
            Self::Weekly => "weekly",
            Self::Stopped => "stopped",
        }
    }

    async fn create(self, world: &World) {
        let name = self.name();
        match self {
            Self::Connection => {
                world.create_credential("aep-credentials").await;
                world
                    .create::<PlatformConnection>(name, world.connection_spec())
                    .await;
            }
            Self::Dataset => {
                let spec = json!({
                    "connectionRef": { "name": "prod" },
                    "dataset": { "name": "Profile Data Export" },
                });
                world.create::<ProfileDataset>(name, spec).await;
            }
            Self::Weekly | Self::Stopped => {
                world
                    .create::<ExportJob>(name, export_into("profiles"))
                    .await;
            }
        }
    }

    async fn delete(self, world: &World) {
        let name = self.name();
        match self {
            Self::Connection => world.delete::<PlatformConnection>(name).await,
            Self::Dataset => world.delete::<ProfileDataset>(name).await,
            Self::Weekly | Self::Stopped => world.delete::<ExportJob>(name).await,
        }
    }

    /// How it is now.
    pub async fn read(self, world: &World) -> Option<Value> {
        async fn json<K>(api: Api<K>, name: &str) -> Option<Value>
        where
            K: Clone + fmt::Debug + serde::de::DeserializeOwned + Serialize,
        {
            let object = api.get_opt(name).await.unwrap();
            object.map(|object| serde_json::to_value(object).unwrap())
        }
        let name = self.name();
        match self {
            Self::Connection => json(world.api::<PlatformConnection>(), name).await,
            Self::Dataset => json(world.api::<ProfileDataset>(), name).await,
            Self::Weekly | Self::Stopped => json(world.api::<ExportJob>(), name).await,
        }
    }
}

impl Goal {
    async fn is_reached(self, object: Option<&Value>, world: &World) -> bool {
        let Some(object) = object else {
            return matches!(self, Self::Gone);
        };
        match self {
            Self::Ready => is(&conditions(object), "Ready", "True"),
            Self::Done => {
                let export: ExportJob = serde_json::from_value(object.clone()).unwrap();
                object["status"]["phase"] == "Succeeded" && !is_held(&export)
            }
            Self::Running => {
                let status = &object["status"];
                let job = status["jobId"].as_str().unwrap_or_default();
                let path = format!("/data/core/ups/export/jobs/{job}");
                status["phase"] == "Running"
                    && !world.simulator.calls("GET", &path).await.is_empty()
            }
            Self::Free => {
                let held = object["metadata"]["finalizers"].as_array();
                held.is_none_or(Vec::is_empty) && !is(&conditions(object), "InUse", "True")
            }
            Self::Gone => false,
        }
    }
}

/// Lives a life in a namespace and a tenant of its own, in which all this happens. The operator is
/// killed at the first point, started again, killed at the second point, and so on.
pub async fn live(troubles: &[Trouble]) -> Lived {
    let world = World::behind_proxy("crash").await;
    // Polls come by the clock: with one of them, requests have the same numbers in every life.
    let at_once = json!({ "jobDurationSeconds": 0 });
    world.simulator.put("defaults", at_once).await;
    let _rules = arrange(&world, troubles).await;
    let mut life = Life {
        world,
        points: kills(troubles).into(),
        killed_at: Vec::new(),
        kept: BTreeMap::new(),
        began: Instant::now(),
    };
    life.start_operator().await;
    let mut stuck = None;
    for step in LIFE {
        if let Err(said) = life.step(step).await {
            stuck = Some(format!("{step:?}: {said}"));
            break;
        }
    }
    let mut requests = life.world.proxy().log();
    requests.retain(|logged| logged.index.is_some());
    Lived {
        end: End::read(&life.world, life.kept).await,
        killed_at: life.killed_at,
        stuck,
        requests,
        log: life.world.log(),
    }
}

impl Life {
    async fn start_operator(&mut self) {
        let crash = self
            .points
            .pop_front()
            .map(|point| (point.index, point.side));
        self.world.start_until(&SHORT_WINDOWS, crash).await;
        self.began = Instant::now();
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Create(thing) => thing.create(&self.world).await,
            Step::Await(thing, goal) => self.reach(thing, goal).await?,
            Step::Keep(thing) => {
                let shown = Shown::new(thing.read(&self.world).await.as_ref());
                self.kept.insert(thing, shown);
            }
            Step::HoldJobs => self.world.simulator.hold_jobs().await,
            Step::Delete(thing) => thing.delete(&self.world).await,
        }
        Ok(())
    }

    /// Waits until a thing is as wanted, and starts the operator again when it was killed.
    async fn reach(&mut self, thing: Thing, goal: Goal) -> Result<(), String> {
        loop {
            if let Some(at) = self.world.proxy().crashed() {
                self.killed_at.push(at);
                self.start_operator().await;
            } else if !self.world.operator_runs() {
                return Err("the operator has ended".to_owned());
            }
            let object = thing.read(&self.world).await;
            if goal.is_reached(object.as_ref(), &self.world).await {
                return Ok(());
            }
            if self.began.elapsed() > BOUND {
                let status = object.map(|object| object["status"].clone());
                return Err(format!("{:#}", status.unwrap_or_default()));
            }
            sleep(TICK).await;
        }
    }
}
