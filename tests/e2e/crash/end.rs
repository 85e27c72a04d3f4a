//! How a life ended, and how that differs from how one ends that nothing disturbed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::life::Thing;
use crate::harness::{World, conditions};

/// The statuses of a job that runs no more.
const ENDED: [&str; 3] = ["SUCCEEDED", "FAILED", "CANCELLED"];

/// How a life ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The objects at the end.
    pub objects: BTreeMap<Thing, Shown>,
    /// The objects before they were deleted.
    pub kept: BTreeMap<Thing, Shown>,
    /// The statuses of the jobs that there ever were, in alphabetical order.
    pub jobs: Vec<String>,
    /// How many datasets there ever were.
    pub datasets: usize,
    /// How many jobs or datasets were created again for an object that had one.
    pub created_over_one: usize,
    /// How many jobs run whose object is gone.
    pub orphans: usize,
}

/// How an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is gone.
    Gone,
    /// It is there.
    There {
        /// Its phase, if it has one.
        phase: Option<String>,
        /// Its conditions: type, status and reason.
        conditions: BTreeSet<String>,
    },
}

impl Shown {
    /// Of an object as it was read.
    pub fn new(object: Option<&Value>) -> Self {
        let Some(object) = object else {
            return Self::Gone;
        };
        let conditions = conditions(object).into_iter();
        Self::There {
            phase: object["status"]["phase"].as_str().map(str::to_owned),
            conditions: conditions
                .map(|c| format!("{}={} {}", c.type_, c.status, c.reason))
                .collect(),
        }
    }
}

impl End {
    /// Reads how things are now.
    pub async fn read(world: &World, kept: BTreeMap<Thing, Shown>) -> Self {
        let mut objects = BTreeMap::new();
        let mut held = BTreeSet::new();
        for thing in Thing::ALL {
            let object = thing.read(world).await;
            let submission = object
                .as_ref()
                .map(|object| &object["status"]["submission"]);
            let request_id = submission.and_then(|submission| submission["requestId"].as_str());
            held.extend(request_id.map(str::to_owned));
            objects.insert(thing, Shown::new(object.as_ref()));
        }
        Self::of(objects, kept, &held, &world.simulator.ledger().await)
    }

    /// From the objects, the request ids of those that are there, and the tenant's ledger.
    fn of(
        objects: BTreeMap<Thing, Shown>,
        kept: BTreeMap<Thing, Shown>,
        held: &BTreeSet<String>,
        ledger: &Value,
    ) -> Self {
        let list = |name: &str| ledger[name].as_array().unwrap();
        let mut statuses = Vec::new();
        let mut per_request: BTreeMap<&str, usize> = BTreeMap::new();
        let mut orphans = 0;
        for job in list("jobs") {
            let status = job["status"].as_str().unwrap();
            let request_id = job["requestId"].as_str().unwrap();
            *per_request.entry(request_id).or_default() += 1;
            orphans += usize::from(!ENDED.contains(&status) && !held.contains(request_id));
            statuses.push(status.to_owned());
        }
        statuses.sort();
        let datasets = list("datasets").len();
        let again: usize = per_request.values().map(|count| count - 1).sum();
        Self {
            objects,
            kept,
            jobs: statuses,
            datasets,
            created_over_one: again + datasets.saturating_sub(1),
            orphans,
        }
    }

    /// What is not as in the reference, in lines; none if nothing is.
    pub fn differences(&self, reference: &Self) -> Vec<String> {
        let Self {
            objects,
            kept,
            jobs,
            datasets,
            created_over_one: _,
            orphans: _,
        } = self;
        let mut lines = Vec::new();
        let mut compare = |what: String, is: String, should: String| {
            if is != should {
                lines.push(format!("{what}: {is}\n    instead of {should}"));
            }
        };
        let text = |shown: Option<&Shown>| format!("{shown:?}");
        for thing in Thing::ALL {
            let (is, should) = (objects.get(&thing), reference.objects.get(&thing));
            compare(format!("{thing:?}"), text(is), text(should));
            let (is, should) = (kept.get(&thing), reference.kept.get(&thing));
            compare(
                format!("{thing:?} before it was deleted"),
                text(is),
                text(should),
            );
        }
        let should = format!("{:?}", reference.jobs);
        compare("jobs".to_owned(), format!("{jobs:?}"), should);
        let should = reference.datasets.to_string();
        compare("datasets".to_owned(), datasets.to_string(), should);
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn end(held: &[&str], jobs: &[(&str, &str)], datasets: usize) -> End {
        let job =
            |(request, status): &(&str, &str)| json!({ "requestId": request, "status": status });
        let jobs: Vec<Value> = jobs.iter().map(job).collect();
        let ledger = json!({ "jobs": jobs, "datasets": vec![json!({}); datasets] });
        let held = held.iter().map(ToString::to_string).collect();
        End::of(BTreeMap::new(), BTreeMap::new(), &held, &ledger)
    }

    #[test]
    fn what_was_created_again_is_counted_by_request_id() {
        let one = end(&[], &[("a", "SUCCEEDED"), ("b", "CANCELLED")], 1);
        assert_eq!(one.created_over_one, 0);
        let again = end(&[], &[("a", "SUCCEEDED"), ("a", "FAILED"), ("b", "NEW")], 2);
        assert_eq!(again.created_over_one, 2, "a job and a dataset");
    }

    #[test]
    fn a_job_that_runs_is_an_orphan_once_its_object_is_gone() {
        let jobs = [("a", "PROCESSING"), ("b", "SUCCEEDED"), ("c", "NEW")];
        assert_eq!(end(&["a", "c"], &jobs, 1).orphans, 0);
        assert_eq!(end(&["a"], &jobs, 1).orphans, 1);
        assert_eq!(end(&[], &jobs, 1).orphans, 2);
    }

    #[test]
    fn an_end_differs_in_phases_reasons_jobs_and_datasets() {
        let shown = |reason: &str| {
            let ready = json!({
                "type": "Ready", "status": "True", "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            });
            let status = json!({ "phase": "Succeeded", "conditions": [ready] });
            Shown::new(Some(&json!({ "status": status })))
        };
        let with = |reason: &str| End {
            kept: BTreeMap::from([(Thing::Weekly, shown(reason))]),
            ..end(&[], &[("a", "SUCCEEDED")], 1)
        };
        let reference = with("Succeeded");
        assert!(with("Succeeded").differences(&reference).is_empty());
        assert_eq!(with("Other").differences(&reference).len(), 1);
        let nothing = end(&[], &[], 0);
        assert_eq!(nothing.differences(&reference).len(), 3);
    }
}
