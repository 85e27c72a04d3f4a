//! What events tell, and metrics of what was let go.

use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};

use super::{World, eventually};

impl World {
    /// The reasons and notes of the events about an object, oldest first.
    pub async fn events_of(&self, name: &str) -> Vec<(String, String)> {
        let events = self
            .api::<Event>()
            .list(&ListParams::default())
            .await
            .unwrap();
        let mut events: Vec<Event> = events
            .into_iter()
            .filter(|event| {
                event
                    .regarding
                    .as_ref()
                    .and_then(|object| object.name.as_deref())
                    == Some(name)
            })
            .collect();
        events.sort_by_key(|event| event.event_time.clone().map(|time| time.0));
        events
            .into_iter()
            .map(|event| {
                (
                    event.reason.unwrap_or_default(),
                    event.note.unwrap_or_default(),
                )
            })
            .collect()
    }

    /// The note of an event about an object, once it is there: the last words about an object come
    /// when it is gone.
    pub async fn event(&self, name: &str, reason: &str) -> String {
        eventually(&format!("the event {reason} of {name}"), || async {
            let events = self.events_of(name).await;
            let note = events
                .iter()
                .find(|(known, _)| known == reason)
                .map(|(_, note)| note.clone());
            note.ok_or_else(|| format!("{events:?}\n{}", self.log()))
        })
        .await
    }

    /// Waits for an event with this reason in another namespace, where the operator lives.
    pub async fn event_in(&self, home: &str, reason: &str) -> Event {
        let events: Api<Event> = Api::namespaced(self.client.clone(), home);
        eventually(&format!("the event {reason} in {home}"), || async {
            let all = events.list(&ListParams::default()).await;
            let all = all.map_err(|error| error.to_string())?.items;
            let about = |event: &&Event| event.reason.as_deref() == Some(reason);
            let found = all.iter().find(about).cloned();
            found.ok_or_else(|| format!("{all:#?}\n{}", self.log()))
        })
        .await
    }

    /// What was let go with something left, as the metrics name it.
    pub async fn let_go(&self) -> Vec<String> {
        let page = self.admin_page("/metrics").await;
        page.lines()
            .filter(|line| line.starts_with("aep_export_operator_let_go_timestamp_seconds{"))
            .map(str::to_owned)
            .collect()
    }
}
