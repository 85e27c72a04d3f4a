//! How watches fare. A kind that is not served, or may not be watched, heals when somebody mends
//! it: until then readiness, log and metric say what is missing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{Resource, runtime::watcher};
use tracing::{info, warn};

use crate::metrics::Metrics;

/// The watches of one namespace, or of all.
pub struct Health {
    metrics: Arc<Metrics>,
    troubles: Mutex<BTreeMap<&'static str, Trouble>>,
}

/// Why a watch brings nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The API server does not know the kind in this version (404).
    NotServed,
    /// The account has not the rights (403).
    Forbidden,
    /// All else, which passes by itself.
    Failed,
}

impl Trouble {
    /// As a metric's label.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotServed => "NotServed",
            Self::Forbidden => "Forbidden",
            Self::Failed => "WatchFailed",
        }
    }

    fn of(error: &watcher::Error) -> Self {
        use watcher::Error::{
            InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
        };
        let code = match error {
            InitialListFailed(kube::Error::Api(status))
            | WatchStartFailed(kube::Error::Api(status))
            | WatchFailed(kube::Error::Api(status))
            | WatchError(status) => status.code,
            InitialListFailed(_) | WatchStartFailed(_) | WatchFailed(_) | NoResourceVersion => 0,
        };
        match code {
            404 => Self::NotServed,
            403 => Self::Forbidden,
            _ => Self::Failed,
        }
    }
}

impl Health {
    /// No watch has failed yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            troubles: Mutex::default(),
        }
    }

    /// Takes note of what the watch of a kind brought.
    pub fn saw<K>(&self, kind: &'static str, event: &watcher::Result<watcher::Event<K>>)
    where
        K: Resource<DynamicType = ()>,
    {
        match event {
            // A list that is begun may not be had to its end.
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
            Ok(watcher::Event::InitDone | watcher::Event::Apply(_) | watcher::Event::Delete(_)) => {
                self.works(kind);
            }
            Err(error) => self.failed::<K>(kind, error),
        }
    }

    fn works(&self, kind: &'static str) {
        if self.troubles().remove(kind).is_some() {
            info!(kind, "the watch works again");
        }
    }

    /// The watch of a kind failed; it is begun again by itself, ever more slowly.
    fn failed<K>(&self, kind: &'static str, error: &watcher::Error)
    where
        K: Resource<DynamicType = ()>,
    {
        let trouble = Trouble::of(error);
        self.metrics.watch_failed(kind, trouble.reason());
        if self.troubles().insert(kind, trouble) == Some(trouble) {
            return;
        }
        if let Some(advice) = advice::<K>(kind, trouble) {
            warn!(%error, reason = trouble.reason(), "{advice}");
        } else {
            warn!(kind, %error, "the watch failed; trying again");
        }
    }

    /// What somebody has to do before the watch of a kind can work; none if nobody has to.
    #[must_use]
    pub fn missing<K>(&self, kind: &'static str) -> Option<String>
    where
        K: Resource<DynamicType = ()>,
    {
        let trouble = self.troubles().get(kind).copied()?;
        advice::<K>(kind, trouble)
    }

    fn troubles(&self) -> MutexGuard<'_, BTreeMap<&'static str, Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn advice<K>(kind: &str, trouble: Trouble) -> Option<String>
where
    K: Resource<DynamicType = ()>,
{
    let (plural, group, version) = (K::plural(&()), K::group(&()), K::version(&()));
    match trouble {
        Trouble::NotServed => Some(format!(
            "{kind}: the API server does not serve {plural}.{group} in version {version}: install \
             the CRDs of this version of the operator (the chart's value crds.install)"
        )),
        Trouble::Forbidden => Some(format!(
            "{kind}: this ServiceAccount may not list and watch {plural}.{group}: grant it (the \
             chart's values rbac.create and watch.namespaces)"
        )),
        Trouble::Failed => None,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::{api::ExportJob, metrics::Moment};

    type Event = watcher::Result<watcher::Event<ExportJob>>;

    fn error(code: u16) -> Event {
        let status = Status {
            code,
            ..Status::default()
        };
        let error = kube::Error::Api(status.boxed());
        Err(watcher::Error::InitialListFailed(error))
    }

    #[test]
    fn what_is_not_served_is_told_until_the_watch_works() {
        let metrics = Metrics::new();
        let health = Health::new(Arc::clone(&metrics));
        assert_eq!(health.missing::<ExportJob>("ExportJob"), None);
        health.saw("ExportJob", &error(404));
        health.saw("ExportJob", &error(404));
        let said = health.missing::<ExportJob>("ExportJob").unwrap_or_default();
        assert!(
            said.contains("exportjobs.aep-export.dev in version v1alpha1"),
            "{said}"
        );
        let text = metrics.encode(Moment::default()).unwrap_or_default();
        let counted = "watch_errors_total{kind=\"ExportJob\",reason=\"NotServed\"} 2";
        assert!(text.contains(counted), "{text}");
        // Each try begins so, and may fail all the same.
        health.saw::<ExportJob>("ExportJob", &Ok(watcher::Event::Init));
        assert!(health.missing::<ExportJob>("ExportJob").is_some());
        health.saw::<ExportJob>("ExportJob", &Ok(watcher::Event::InitDone));
        assert_eq!(health.missing::<ExportJob>("ExportJob"), None);
    }

    #[test]
    fn a_right_that_is_missing_is_told_and_an_outage_is_not() {
        let health = Health::new(Metrics::new());
        health.saw("ExportJob", &error(403));
        let said = health.missing::<ExportJob>("ExportJob").unwrap_or_default();
        assert!(said.contains("may not list and watch"), "{said}");
        health.saw("ExportJob", &error(503));
        assert_eq!(health.missing::<ExportJob>("ExportJob"), None);
    }
}
