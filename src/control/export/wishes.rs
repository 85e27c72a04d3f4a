//! What spec, namespace and operator want of an export beside the export.

use jiff::SignedDuration;
use kube::ResourceExt;

use super::{
    super::{Context, namespaces::Surroundings, requests::is_abandoned},
    observe::Memory,
};
use crate::{
    api::{Effective, ExportDeletionPolicy, ExportJob, ExportJobSpec, PolicySource},
    decide::{
        Life,
        export::{Departure, Record, Wish, Wishes, deadline},
    },
};

/// The label with which Helm marks what it installed.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Labels that say that something creates the object again.
const MANAGED_LABELS: [(&str, &str); 4] = [
    ("kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("helm.toolkit.fluxcd.io/name", "Flux"),
    ("argocd.argoproj.io/instance", "Argo CD"),
    // What Argo CD tracks by, where it tracks by label.
    ("app.kubernetes.io/instance", "Argo CD or Helm"),
];
/// Annotations that say so.
const MANAGED_ANNOTATIONS: [(&str, &str); 2] = [
    ("argocd.argoproj.io/tracking-id", "Argo CD"),
    ("meta.helm.sh/release-name", "Helm"),
];

/// What the namespace's annotation says, if it says nothing that means something.
pub(super) fn invalid_policy(memory: &Memory) -> Option<&str> {
    let word = memory.surroundings.as_ref()?.deletion_policy.as_deref()?;
    word.parse::<ExportDeletionPolicy>()
        .is_err()
        .then_some(word)
}

/// What holds where the spec leaves it open. What was found in a namespace before stands while
/// nothing depends on it anew.
pub(super) fn effective(
    export: &ExportJob,
    context: &Context,
    surroundings: Option<&Surroundings>,
) -> Effective {
    let settings = &context.shared.settings;
    let before = export.status.as_ref().and_then(|s| s.effective.as_ref());
    let by_operator = (settings.deletion_policy, PolicySource::Operator);
    let (deletion_policy, deletion_policy_from) = match (export.spec.deletion_policy, surroundings)
    {
        (Some(policy), _) => (policy, PolicySource::Spec),
        (None, Some(surroundings)) => match surroundings.deletion_policy.as_deref() {
            None => by_operator,
            Some(word) => match word.parse() {
                Ok(policy) => (policy, PolicySource::Namespace),
                Err(_) => by_operator,
            },
        },
        (None, None) => before
            .filter(|before| before.deletion_policy_from != PolicySource::Spec)
            .map_or(by_operator, |before| {
                (before.deletion_policy, before.deletion_policy_from)
            }),
    };
    Effective {
        deletion_policy,
        deletion_policy_from,
        backoff_limit: export.spec.backoff_limit.unwrap_or_default(),
        cancel_deadline_seconds: settings.limits.cancel.as_secs(),
    }
}

pub(super) fn departure(export: &ExportJob, surroundings: Option<&Surroundings>) -> Departure {
    match surroundings.map(|surroundings| surroundings.life) {
        _ if is_abandoned(export) => Departure::Abandoned,
        Some(Life::Deleting) => Departure::WithNamespace,
        Some(Life::Live) | None => Departure::Ordinary,
    }
}

pub(super) fn wishes(export: &ExportJob, record: &Record, effective: &Effective) -> Wishes {
    let ExportJobSpec {
        connection_ref: _,
        export: _,
        suspend,
        cancel,
        active_deadline_seconds,
        backoff_limit: _,
        ttl_seconds_after_finished: _,
        deletion_policy: _,
    } = &export.spec;
    let wish = |word: &Option<bool>| match word {
        Some(true) => Wish::Present,
        Some(false) | None => Wish::Absent,
    };
    let suspend = wish(suspend);
    let attempts = export.status.as_ref().map_or(&[][..], |s| &s.attempts);
    Wishes {
        cancel: wish(cancel),
        suspend,
        deadline: deadline(*active_deadline_seconds, record, attempts, suspend),
        retries: u32::try_from(effective.backoff_limit).unwrap_or_default(),
        on_deletion: effective.deletion_policy,
        keep: keep(export),
    }
}

/// How long after its end the object is kept; none: for good.
pub(super) fn keep(export: &ExportJob) -> Option<SignedDuration> {
    let seconds = export.spec.ttl_seconds_after_finished;
    seconds.map(SignedDuration::from_secs)
}

/// The mark of what manages an object and would create it again once it is deleted.
pub(super) fn managed(export: &ExportJob) -> Option<String> {
    let label = MANAGED_LABELS
        .iter()
        .find(|(name, _)| export.labels().contains_key(*name));
    let annotation = MANAGED_ANNOTATIONS
        .iter()
        .find(|(name, _)| export.annotations().contains_key(*name));
    let helm = export
        .labels()
        .get(MANAGED_BY)
        .is_some_and(|by| by == "Helm");
    match (label, annotation) {
        (Some((name, by)), _) => Some(format!("the label {name} of {by}")),
        (None, Some((name, by))) => Some(format!("the annotation {name} of {by}")),
        (None, None) => helm.then(|| format!("the label {MANAGED_BY}=Helm")),
    }
}
