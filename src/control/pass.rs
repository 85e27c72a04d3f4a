//! One pass over one object: when it may be made, and what becomes of its error.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tokio::time::Instant;
use tracing::{Instrument, debug, info_span, warn};

use super::{Context, Kind, listeners::Relations, streams::Listener, underway::Meanwhile};
use crate::{decide::tenancy::Whose, rights::Advised};

/// Why a pass could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The API server.
    #[error("the Kubernetes API: {}", Advised(.0))]
    Kubernetes(#[from] kube::Error),
    /// An object without namespace, name or UID: none that the API server serves.
    #[error("the object has no {0}")]
    Incomplete(&'static str),
    /// The plans of one pass did not come to rest.
    #[error("the pass did not come to rest within {0} steps")]
    Restless(usize),
    /// It panicked: a bug of this operator, which is not to keep it from its other objects.
    #[error("the pass panicked: {0}")]
    Panicked(String),
}

impl PassError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Kubernetes(kube::Error::Api(status)) if status.is_conflict() => "Conflict",
            Self::Kubernetes(kube::Error::Api(status)) if status.is_forbidden() => "Forbidden",
            Self::Kubernetes(_) => "KubernetesApi",
            Self::Incomplete(_) => "Incomplete",
            Self::Restless(_) => "Restless",
            Self::Panicked(_) => "Panicked",
        }
    }
}

/// Runs one pass over an object that is there.
pub(super) async fn guard<K: Kind>(object: Arc<K>, context: Arc<Context>) -> Action
where
    Relations: Listener<K>,
{
    let uid = object.uid().unwrap_or_default();
    let underway = &context.shared.underway;
    underway.begin(&uid);
    let action = attempt(&object, &context).await;
    match underway.end(&uid) {
        Meanwhile::Stays => {}
        // The pass may have taken note of it since.
        Meanwhile::Gone => Relations(context).gone(&*object),
    }
    action
}

/// Runs one pass: measures it, and turns an error into a later try.
async fn attempt<K: Kind>(object: &Arc<K>, context: &Arc<Context>) -> Action {
    let shared = &context.shared;
    let may_act = async {
        context.listed().await;
        if shared.leadership.was_acquired() {
            return true;
        }
        shared.leadership.acquired().await;
        false
    };
    match shared.shutdown.run_until_cancelled(may_act).await {
        Some(true) => {}
        // The object is as old as the wait was: the pass is for the one in the store by now.
        Some(false) => return Action::requeue(Duration::ZERO),
        None => return Action::await_change(),
    }
    // Another operator's are none of this one's passes.
    if object.whose(context) == Whose::Others {
        object.left_alone(context);
        return Action::await_change();
    }
    if let Some(wait) = shared.written.behind(&**object) {
        return Action::requeue(wait);
    }
    let began = Instant::now();
    let reference = ObjectRef::from_obj(&**object);
    let span = info_span!(
        "reconcile",
        kind = K::KIND,
        namespace = reference.namespace.as_deref(),
        name = reference.name
    );
    let uid = object.uid().unwrap_or_default();
    let pass = caught(object.pass(context)).instrument(span.clone());
    let Some(result) = shared.leadership.while_held(pass).await else {
        return Action::await_change();
    };
    shared.metrics.pass(K::KIND, began.elapsed().as_secs_f64());
    let _entered = span.enter();
    match result {
        Ok(action) => action,
        // Somebody wrote in between, most often this operator: the watch brings the newer object.
        Err(error) if error.reason() == "Conflict" => {
            debug!(%error, "met a newer object");
            Action::requeue(shared.written.conflicted(&uid))
        }
        // Gone while it was worked on.
        Err(PassError::Kubernetes(kube::Error::Api(status))) if status.is_not_found() => {
            debug!("the object is gone");
            Action::await_change()
        }
        Err(error) => {
            shared.metrics.error(K::KIND, error.reason());
            let wait = shared.retries.failed(&uid, None);
            warn!(%error, ?wait, "the pass failed");
            Action::requeue(wait)
        }
    }
}

/// Has a pass that panics fail. What it shares with others stays whole: its locks are held for
/// single changes, and what it wrote or sent is found again as after a crash.
async fn caught<T>(pass: impl Future<Output = Result<T, PassError>>) -> Result<T, PassError> {
    let result = AssertUnwindSafe(pass).catch_unwind().await;
    result.unwrap_or_else(|panic| Err(PassError::Panicked(said(&*panic))))
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().copied();
    let text = literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("nothing was said").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pass_that_panics_fails_and_says_what_it_said() {
        for number in [1, 2] {
            let pass = async {
                assert!(number > 2, "met {number}");
                Ok(())
            };
            let error = caught(pass).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("the pass panicked: met {number}")
            );
            assert_eq!(error.reason(), "Panicked");
        }
    }
}
