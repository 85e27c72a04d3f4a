//! Metrics. Every label's value comes from a closed set, but for those of what was let go with
//! something left in the platform: an alert has to name it. Of these only the latest are kept.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{governor::Totals, platform::CallRecord};

/// Buckets of a pass in seconds: from one write to the API server up to the longest call of the
/// platform.
const PASS_BUCKETS: [f64; 8] = [0.01, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];
/// How many of the objects that were let go with something left in the platform are named.
const LET_GO: usize = 100;

/// What the operator counts.
pub struct Metrics {
    registry: Registry,
    passes: Family<KindLabel, Histogram>,
    errors: Family<ReasonLabel, Counter>,
    watch_errors: Family<ReasonLabel, Counter>,
    calls: Family<CallLabel, Counter>,
    call_seconds: Family<OperationLabel, Histogram>,
    submissions: Family<OutcomeLabel, Counter>,
    ends: Family<ReasonOnly, Counter>,
    invalid: Family<KindLabel, Counter>,
    let_go: Family<LetGo, Gauge>,
    /// The labels of the family, the latest last.
    let_go_order: Mutex<VecDeque<LetGo>>,
    followed: Gauge,
    leader: Gauge,
    budgets: Family<StateLabel, Gauge>,
    queued: Gauge,
    waiting: Gauge,
    kept: Family<OfLabel, Gauge>,
    tasks: Gauge,
}

/// What is true at the moment of a scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// How many exports are followed.
    pub followed: usize,
    /// Whether this process leads.
    pub leads: bool,
    /// How the budgets of all credentials stand.
    pub budgets: Totals,
    /// What is kept in memory of objects, by what for.
    pub kept: BTreeMap<&'static str, usize>,
    /// How many tasks there are.
    pub tasks: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLabel {
    of: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonOnly {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// An object that was let go with something left in the platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LetGo {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What may be left: the ids of jobs or of a dataset, or a request id.
    pub left: String,
    /// Why.
    pub reason: &'static str,
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("aep_export_operator");
        let histogram = || Histogram::new(PASS_BUCKETS);
        let passes = Family::<KindLabel, Histogram>::new_with_constructor(histogram);
        let call_seconds = Family::<OperationLabel, Histogram>::new_with_constructor(histogram);
        let errors = Family::<ReasonLabel, Counter>::default();
        let watch_errors = Family::<ReasonLabel, Counter>::default();
        let help = "Watches of the Kubernetes API that failed and are begun again";
        registry.register("watch_errors", help, watch_errors.clone());
        let calls = Family::<CallLabel, Counter>::default();
        let submissions = Family::<OutcomeLabel, Counter>::default();
        let ends = Family::<ReasonOnly, Counter>::default();
        let invalid = Family::<KindLabel, Counter>::default();
        let let_go = Family::<LetGo, Gauge>::default();
        let budgets = Family::<StateLabel, Gauge>::default();
        let kept = Family::<OfLabel, Gauge>::default();
        registry.register_with_unit(
            "reconcile_duration",
            "Passes over an object",
            Unit::Seconds,
            passes.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Passes that ended in an error of the Kubernetes API",
            errors.clone(),
        );
        registry.register(
            "platform_calls",
            "HTTP calls to the platform and its identity service",
            calls.clone(),
        );
        registry.register_with_unit(
            "platform_call_duration",
            "HTTP calls to the platform and its identity service",
            Unit::Seconds,
            call_seconds.clone(),
        );
        registry.register(
            "export_submissions",
            "Requests to start an export, by what became of them",
            submissions.clone(),
        );
        registry.register("exports_ended", "Exports that ended, by how", ends.clone());
        registry.register(
            "invalid_objects",
            "Objects that could not be read in this version of the API",
            invalid.clone(),
        );
        registry.register_with_unit(
            "let_go_timestamp",
            "Objects that were let go with something left in the platform, and when",
            Unit::Seconds,
            let_go.clone(),
        );
        registry.register(
            "budgets",
            "Budgets, one for each credential, by whether calls may be made",
            budgets.clone(),
        );
        registry.register(
            "kept_entries",
            "What is kept in memory of objects, by what for",
            kept.clone(),
        );
        let mut gauge = |name, help| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let followed = gauge("exports_followed", "Exports that are polled");
        let leader = gauge("leader", "Whether this process acts (1) or stands by (0)");
        let queued = gauge(
            "calls_queued",
            "Calls to the platform that wait for their turn in a budget",
        );
        let waiting = gauge(
            "exports_waiting",
            "Exports that wait for another to end, or for their turn in a budget",
        );
        let tasks = gauge("tasks", "Tasks of the process");
        Arc::new(Self {
            registry,
            passes,
            errors,
            watch_errors,
            calls,
            call_seconds,
            submissions,
            ends,
            invalid,
            let_go,
            let_go_order: Mutex::default(),
            followed,
            leader,
            budgets,
            queued,
            waiting,
            kept,
            tasks,
        })
    }

    /// A pass over an object of this kind took this long.
    pub fn pass(&self, kind: &'static str, seconds: f64) {
        self.passes
            .get_or_create(&KindLabel { kind })
            .observe(seconds);
    }

    /// A pass over an object of this kind ended in an error.
    pub fn error(&self, kind: &'static str, reason: &'static str) {
        self.errors
            .get_or_create(&ReasonLabel { kind, reason })
            .inc();
    }

    /// The watch of this kind failed.
    pub fn watch_failed(&self, kind: &'static str, reason: &'static str) {
        let label = ReasonLabel { kind, reason };
        self.watch_errors.get_or_create(&label).inc();
    }

    /// A call of the platform ended.
    pub fn call(&self, call: &CallRecord) {
        let CallRecord {
            operation,
            outcome,
            status: _,
            duration,
        } = call;
        self.calls
            .get_or_create(&CallLabel { operation, outcome })
            .inc();
        self.call_seconds
            .get_or_create(&OperationLabel { operation })
            .observe(duration.as_secs_f64());
    }

    /// A request to start an export came to this.
    pub fn submission(&self, outcome: &'static str) {
        self.submissions
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
    }

    /// An export ended like this.
    pub fn end(&self, reason: &'static str) {
        self.ends.get_or_create(&ReasonOnly { reason }).inc();
    }

    /// An object was let go at this time, with something left in the platform. Of these the latest
    /// hundred are named.
    pub fn let_go(&self, left: &LetGo, at: jiff::Timestamp) {
        let mut order = self
            .let_go_order
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        order.retain(|known| known != left);
        order.push_back(left.clone());
        if order.len() > LET_GO
            && let Some(oldest) = order.pop_front()
        {
            self.let_go.remove(&oldest);
        }
        self.let_go.get_or_create(left).set(at.as_second());
    }

    /// An object of this kind could not be read.
    pub fn invalid(&self, kind: &'static str) {
        self.invalid.get_or_create(&KindLabel { kind }).inc();
    }

    /// All of them in the text format of `OpenMetrics`, with what is true at this moment.
    ///
    /// # Errors
    ///
    /// If a metric cannot be written, which the format's own types rule out.
    pub fn encode(&self, moment: Moment) -> Result<String, std::fmt::Error> {
        let Moment {
            followed,
            leads,
            budgets,
            kept,
            tasks,
        } = moment;
        let Totals {
            open,
            throttled,
            down,
            queued,
            waiting,
            kept: _,
        } = budgets;
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.followed.set(count(followed));
        self.leader.set(i64::from(leads));
        for (state, number) in [("open", open), ("throttled", throttled), ("down", down)] {
            let label = StateLabel { state };
            self.budgets.get_or_create(&label).set(count(number));
        }
        self.queued.set(count(queued));
        self.waiting.set(count(waiting));
        for (of, number) in kept {
            self.kept.get_or_create(&OfLabel { of }).set(count(number));
        }
        self.tasks.set(count(tasks));
        let mut text = String::with_capacity(16 * 1024);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn of_what_was_let_go_the_latest_are_named_and_no_more() {
        let metrics = Metrics::new();
        for number in 0..=LET_GO {
            let left = LetGo {
                kind: "ExportJob",
                namespace: "n".into(),
                name: format!("o{number}"),
                left: number.to_string(),
                reason: "Abandoned",
            };
            metrics.let_go(&left, Timestamp::UNIX_EPOCH);
        }
        let text = metrics.encode(Moment::default()).unwrap_or_default();
        let named = text.matches("let_go_timestamp_seconds{").count();
        assert_eq!(named, LET_GO);
        assert!(text.contains("name=\"o100\"") && !text.contains("name=\"o0\""));
    }
}
