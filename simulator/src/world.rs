//! All that the tenant remembers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::json;

use crate::call::{Call, Route};
use crate::catalog::batches::Batch;
use crate::catalog::datasets::Dataset;
use crate::clock::{Clock, Now, check_scale};
use crate::exports::job::{Job, JobError, Outcome, Phase, Profiles};
use crate::exports::{self, Draft};
use crate::faults::Faults;
use crate::ledger::Ledger;
use crate::options::{Options, OptionsError, Sandbox};
use crate::reply::Reply;
use crate::switches::Switches;
use crate::{catalog, gateway, ims};

/// The tenant.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) credentials: Credentials,
    pub(crate) sandboxes: Vec<Sandbox>,
    pub(crate) switches: Switches,
    pub(crate) faults: Faults,
    pub(crate) defaults: Defaults,
    /// Ids of merge policies; the first is the organisation's default.
    pub(crate) policies: Vec<String>,
    pub(crate) datasets: BTreeMap<String, Dataset>,
    /// How many datasets there were, for their order.
    pub(crate) dataset_count: u64,
    pub(crate) batches: BTreeMap<String, Batch>,
    pub(crate) jobs: BTreeMap<i64, Job>,
    /// Creation time and id of every job: the order of the list.
    pub(crate) order: BTreeSet<(i64, i64)>,
    /// The jobs that have not ended.
    pub(crate) live: BTreeSet<i64>,
    pub(crate) next_job_id: i64,
    /// How many pages of the list of jobs were served.
    pub(crate) list_calls: u64,
    pub(crate) ledger: Ledger,
}

/// Who may call.
pub(crate) struct Credentials {
    pub(crate) client_id: String,
    pub(crate) secrets: Vec<String>,
    pub(crate) organization: String,
    pub(crate) access_token: Option<String>,
    pub(crate) token_lifetime_seconds: u64,
    /// Tokens and the wall time at which they end.
    pub(crate) tokens: HashMap<String, i64>,
    pub(crate) issued: u64,
}

/// What future jobs and datasets are like.
pub(crate) struct Defaults {
    pub(crate) job_duration: Duration,
    pub(crate) outcome: Outcome,
    pub(crate) profiles: Profiles,
    pub(crate) next_job_id: Option<i64>,
    pub(crate) next_dataset_id: Option<String>,
}

/// How the next job into a dataset goes.
pub(crate) struct Plan {
    pub(crate) outcome: Outcome,
    pub(crate) duration: Duration,
    pub(crate) errors: Vec<JobError>,
    pub(crate) profiles: Profiles,
}

impl World {
    pub(crate) fn new(options: &Options) -> Result<Self, OptionsError> {
        let mut given = options.client_secrets.iter().chain(&options.access_token);
        if options.client_secrets.is_empty() || given.any(String::is_empty) {
            return Err(OptionsError::Secret);
        }
        for sandbox in &options.sandboxes {
            sandbox.check()?;
        }
        let scale = check_scale(options.clock_scale).map_err(OptionsError::Clock)?;
        let job_duration = check_duration(options.job_duration_seconds)
            .ok_or(OptionsError::JobDuration(options.job_duration_seconds))?;
        let mut switches = Switches::default();
        if let Some(text) = &options.switches {
            let patch = serde_json::from_str(text)
                .map_err(|error| OptionsError::Switches(error.to_string()))?;
            switches = switches.merged(&patch).map_err(OptionsError::Switches)?;
        }
        let mut faults = Faults::default();
        if let Some(text) = &options.faults {
            faults.add(Faults::read(text).map_err(OptionsError::Faults)?);
        }
        Ok(Self {
            clock: Clock::new(scale),
            credentials: Credentials {
                client_id: options.client_id.clone(),
                secrets: options.client_secrets.clone(),
                organization: options.organization_id.clone(),
                access_token: options.access_token.clone(),
                token_lifetime_seconds: options.token_lifetime_seconds,
                tokens: HashMap::new(),
                issued: 0,
            },
            sandboxes: options.sandboxes.clone(),
            switches,
            faults,
            defaults: Defaults {
                job_duration,
                outcome: Outcome::Succeed,
                profiles: exports::sample_profiles(),
                next_job_id: None,
                next_dataset_id: None,
            },
            policies: catalog::policies::documented(),
            datasets: BTreeMap::new(),
            dataset_count: 0,
            batches: BTreeMap::new(),
            jobs: BTreeMap::new(),
            order: BTreeSet::new(),
            live: BTreeSet::new(),
            next_job_id: 1001,
            list_calls: 0,
            ledger: Ledger::default(),
        })
    }

    /// Lets every job live until now.
    pub(crate) fn advance(&mut self) -> Now {
        let now = self.clock.now();
        let live: Vec<i64> = self.live.iter().copied().collect();
        for id in live {
            self.advance_job(id, &now);
        }
        now
    }

    /// Lets one job live until now; its dataset learns of its end.
    pub(crate) fn advance_job(&mut self, id: i64, now: &Now) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if !job.advance(now) {
            return;
        }
        self.live.remove(&id);
        if job.phase != Phase::Cancelled
            && let Some(dataset) = self.datasets.get_mut(&job.dataset)
        {
            dataset.batches.extend(job.batches.iter().cloned());
        }
    }

    /// How the next job into this dataset goes.
    pub(crate) fn plan(&self, dataset: &str) -> Plan {
        let steering = self.datasets.get(dataset).map(|dataset| &dataset.steering);
        Plan {
            outcome: steering
                .and_then(|s| s.outcome)
                .unwrap_or(self.defaults.outcome),
            duration: steering
                .and_then(|s| s.duration)
                .unwrap_or(self.defaults.job_duration),
            errors: steering.and_then(|s| s.errors.clone()).unwrap_or_default(),
            profiles: self.defaults.profiles.clone(),
        }
    }

    /// The dataset, if the Catalog knows it.
    pub(crate) fn dataset(&self, sandbox: &str, id: &str) -> Option<&Dataset> {
        let dataset = self.datasets.get(id)?;
        (dataset.sandbox == sandbox && dataset.deleted.is_none()).then_some(dataset)
    }

    pub(crate) fn add_batch(&mut self, id: &str, draft: &Draft, job: i64) {
        let batch = Batch {
            sandbox: draft.sandbox.clone(),
            dataset: draft.dataset.clone(),
            job: Some(job),
            request_id: draft.request_id.clone(),
            created: draft.created,
            pinned_status: None,
            document: None,
        };
        self.batches.insert(id.to_owned(), batch);
    }

    /// Answers a call; says too whether its caller was let in, where that is asked.
    pub(crate) fn answer(&mut self, call: &Call) -> (Reply, Option<bool>) {
        let now = self.advance();
        let route = Route::of(&call.path);
        if route == Route::Token {
            return (ims::token(self, call, &now), None);
        }
        let sandbox = match gateway::admit(self, call, &route, &now) {
            Ok(sandbox) => sandbox,
            Err(refusal) => return (*refusal, Some(false)),
        };
        let reply = match &route {
            Route::Token | Route::Unknown => gateway::unknown(call),
            Route::Sandboxes => gateway::sandboxes(self, call),
            Route::Jobs => exports::jobs(self, call, &sandbox, &now),
            Route::Job(id) => exports::job(self, call, &sandbox, id, &now),
            Route::Policies => catalog::policies::list(self, call, &sandbox),
            Route::Policy(id) => catalog::policies::get(self, call, &sandbox, id),
            Route::Datasets => catalog::datasets(self, call, &sandbox, &now),
            Route::Dataset(id) => catalog::dataset(self, call, &sandbox, id, &now),
            Route::DatasetV2(id) => catalog::dataset_v2(self, call, &sandbox, id, &now),
            Route::Batches => catalog::batches::list(self, call, &sandbox, &now),
            Route::Batch(id) => catalog::batches::get(self, call, &sandbox, id, &now),
            Route::BatchFiles(id) => catalog::files::of_batch(self, call, &sandbox, id, &now),
            Route::File(id) => catalog::files::file(self, call, &sandbox, id, &now),
        };
        (reply, Some(true))
    }

    /// A user of the tenant, as the Catalog names them.
    pub(crate) fn user(&self) -> String {
        format!("{}@techacct.adobe.com", self.credentials.client_id)
    }

    /// The list of sandboxes, as the sandbox service shows it.
    pub(crate) fn sandbox_list(&self) -> serde_json::Value {
        let list: Vec<_> = self
            .sandboxes
            .iter()
            .enumerate()
            .map(|(index, sandbox)| {
                json!({
                    "name": sandbox.name,
                    "title": sandbox.name,
                    "state": sandbox.state,
                    "type": sandbox.kind,
                    "region": sandbox.region,
                    "isDefault": index == 0,
                    "etag": 1,
                })
            })
            .collect();
        let count = list.len();
        json!({
            "sandboxes": list,
            "_page": {"limit": 200, "count": count},
            "_links": {"page": {
                "href": "/data/foundation/sandbox-management/?limit={limit}&offset={offset}",
                "templated": true,
            }},
        })
    }
}

/// The duration of a job, if it can be one.
pub(crate) fn check_duration(seconds: f64) -> Option<Duration> {
    (0.0..=1e9)
        .contains(&seconds)
        .then(|| crate::clock::seconds(seconds))
}
