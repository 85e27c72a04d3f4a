//! Metrics. Every label's value comes from a closed set; no object's name is ever one.

use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::platform::CallRecord;

/// Buckets of a pass in seconds: from one write to the API server up to the longest call of the
/// platform.
const PASS_BUCKETS: [f64; 8] = [0.01, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// What the operator counts.
pub struct Metrics {
    registry: Registry,
    passes: Family<KindLabel, Histogram>,
    errors: Family<ReasonLabel, Counter>,
    calls: Family<CallLabel, Counter>,
    call_seconds: Family<OperationLabel, Histogram>,
    submissions: Family<OutcomeLabel, Counter>,
    ends: Family<ReasonOnly, Counter>,
    invalid: Family<KindLabel, Counter>,
    followed: Gauge,
    leader: Gauge,
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

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("aep_export_operator");
        let histogram = || Histogram::new(PASS_BUCKETS);
        let passes = Family::<KindLabel, Histogram>::new_with_constructor(histogram);
        let call_seconds = Family::<OperationLabel, Histogram>::new_with_constructor(histogram);
        let errors = Family::<ReasonLabel, Counter>::default();
        let calls = Family::<CallLabel, Counter>::default();
        let submissions = Family::<OutcomeLabel, Counter>::default();
        let ends = Family::<ReasonOnly, Counter>::default();
        let invalid = Family::<KindLabel, Counter>::default();
        let followed = Gauge::default();
        let leader = Gauge::default();
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
        registry.register(
            "exports_followed",
            "Exports that are polled",
            followed.clone(),
        );
        registry.register(
            "leader",
            "Whether this process acts (1) or stands by (0)",
            leader.clone(),
        );
        Arc::new(Self {
            registry,
            passes,
            errors,
            calls,
            call_seconds,
            submissions,
            ends,
            invalid,
            followed,
            leader,
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

    /// An object of this kind could not be read.
    pub fn invalid(&self, kind: &'static str) {
        self.invalid.get_or_create(&KindLabel { kind }).inc();
    }

    /// All of them in the text format of `OpenMetrics`, with how many exports are followed and
    /// whether this process leads.
    ///
    /// # Errors
    ///
    /// If a metric cannot be written, which the format's own types rule out.
    pub fn encode(&self, followed: usize, leads: bool) -> Result<String, std::fmt::Error> {
        self.followed
            .set(i64::try_from(followed).unwrap_or(i64::MAX));
        self.leader.set(i64::from(leads));
        let mut text = String::with_capacity(16 * 1024);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
