//! Events (`events.k8s.io/v1`), on transitions only.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Resource,
    runtime::events::{Event, EventType, Recorder},
};
use tracing::debug;

use crate::api::{Reason, cut};

/// The longest note that the API server takes, in bytes.
const NOTE_LIMIT: usize = 1024;

/// Publishes events.
pub struct Events {
    recorder: Recorder,
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
    /// By this recorder: one for the process, since it folds what repeats into a series.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder }
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
        if let Err(error) = self.recorder.publish(&event, object).await {
            debug!(%error, reason = reason.as_str(), "an event was not published");
        }
    }
}
