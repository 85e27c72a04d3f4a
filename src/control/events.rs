//! Events (`events.k8s.io/v1`), on transitions only.
//!
//! None can be created in a namespace that is being deleted. What is worth telling of the objects
//! in it, of a job that is left running most of all, is told in the operator's own namespace.

use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::debug;

use crate::{
    api::{Reason, cut},
    rights::Advised,
};

/// The longest note that the API server takes, in bytes.
const NOTE_LIMIT: usize = 1024;

/// The cause that the API server gives when it creates nothing in a namespace that is being
/// deleted.
const TERMINATING: &str = "NamespaceTerminating";

/// A recorder keeps all that it published in the last six minutes, and looks at each of them with
/// every event: after so many it is replaced.
const KEPT: usize = 256;

/// Publishes events.
pub struct Events {
    client: Client,
    reporter: Reporter,
    recorder: Mutex<(Recorder, usize)>,
    home: String,
}

/// How an event is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Normal,
    /// Somebody may want to look.
    Warning,
}

impl Events {
    /// In the name of this reporter. `home` is the operator's own namespace.
    #[must_use]
    pub fn new(client: Client, reporter: Reporter, home: &str) -> Self {
        let recorder = Recorder::new(client.clone(), reporter.clone());
        Self {
            client,
            reporter,
            recorder: Mutex::new((recorder, 0)),
            home: home.to_owned(),
        }
    }

    /// The recorder for the next event: it folds what repeats into a series.
    fn recorder(&self) -> Recorder {
        let mut slot = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let (recorder, published) = &mut *slot;
        if *published == KEPT {
            *recorder = Recorder::new(self.client.clone(), self.reporter.clone());
            *published = 0;
        }
        *published += 1;
        recorder.clone()
    }

    /// Publishes an event of an object. One that cannot be published is only logged: it is told
    /// in status, too.
    pub async fn publish<K>(&self, object: &K, tone: Tone, action: &str, reason: Reason, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        self.publish_about(&object.object_ref(&()), tone, action, reason, note)
            .await;
    }

    /// Publishes an event of what a reference names.
    pub async fn publish_about(
        &self,
        object: &ObjectReference,
        tone: Tone,
        action: &str,
        reason: Reason,
        note: &str,
    ) {
        let event = Event {
            type_: match tone {
                Tone::Normal => EventType::Normal,
                Tone::Warning => EventType::Warning,
            },
            reason: reason.as_str().to_owned(),
            note: Some(cut(note, NOTE_LIMIT).to_owned()),
            action: action.to_owned(),
            secondary: None,
        };
        let recorder = self.recorder();
        let mut told = recorder.publish(&event, object).await;
        if let Err(error) = &told
            && is_for_want_of_a_namespace(error)
            && object.namespace.as_ref() != Some(&self.home)
        {
            let (event, regarding) = elsewhere(event, object, &self.home);
            told = recorder.publish(&event, &regarding).await;
        }
        if let Err(error) = told {
            let error = Advised(&error);
            debug!(%error, reason = reason.as_str(), "an event was not published");
        }
    }
}

/// Whether an event cannot be where its object is: the namespace is being deleted, or is gone, or
/// the event is whose series this would go on with.
fn is_for_want_of_a_namespace(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.is_not_found()
        || (status.is_forbidden() && causes.into_iter().any(|cause| cause.reason == TERMINATING))
}

/// The event and what it regards, in another namespace. The API server wants both in the same; the
/// object is named by the note, and by `related` as it is.
fn elsewhere(event: Event, object: &ObjectReference, home: &str) -> (Event, ObjectReference) {
    let named = |part: &Option<String>| part.clone().unwrap_or_default();
    let note = format!(
        "{} {}/{}: {}",
        named(&object.kind),
        named(&object.namespace),
        named(&object.name),
        event.note.unwrap_or_default()
    );
    let regarding = ObjectReference {
        namespace: Some(home.to_owned()),
        ..object.clone()
    };
    let event = Event {
        note: Some(cut(&note, NOTE_LIMIT).to_owned()),
        secondary: Some(object.clone()),
        ..event
    };
    (event, regarding)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(code: u16, reason: &str, cause: &str) -> kube::Error {
        let status = json!({
            "status": "Failure",
            "code": code,
            "reason": reason,
            "details": {
                "causes": [{ "reason": cause, "message": "", "field": "metadata.namespace" }],
            },
        });
        kube::Error::Api(serde_json::from_value(status).unwrap())
    }

    #[test]
    fn only_a_namespace_that_goes_sends_an_event_elsewhere() {
        let goes = |code, reason, cause| is_for_want_of_a_namespace(&refused(code, reason, cause));
        assert!(goes(403, "Forbidden", TERMINATING));
        assert!(goes(404, "NotFound", ""));
        assert!(!goes(403, "Forbidden", ""));
        assert!(!goes(409, "AlreadyExists", ""));
    }

    #[test]
    fn an_event_elsewhere_names_the_object_first_and_refers_to_it() {
        let object = ObjectReference {
            kind: Some("ExportJob".into()),
            namespace: Some("shop".into()),
            name: Some("daily".into()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: EventType::Warning,
            reason: "CancelTimedOut".into(),
            note: Some("x".repeat(NOTE_LIMIT)),
            action: "Release".into(),
            secondary: None,
        };
        let (event, regarding) = elsewhere(event, &object, "operators");
        let note = event.note.unwrap_or_default();
        assert!(note.starts_with("ExportJob shop/daily: x"), "{note}");
        assert_eq!(note.len(), NOTE_LIMIT);
        assert_eq!(event.secondary, Some(object));
        assert_eq!(regarding.namespace.as_deref(), Some("operators"));
    }
}
