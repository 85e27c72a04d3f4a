//! The labels of all namespaces, by which connections of the cluster select who may use them.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Context,
    streams::{PAGE, watches},
};
use crate::decide::tenancy::Labels;
use futures::StreamExt;
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, core::PartialObjectMeta, runtime::watcher};

/// As the watch is told of.
pub const KIND: &str = "Namespace";

/// The labels of all namespaces, and nothing else of them.
#[derive(Default)]
pub struct NamespaceLabels {
    known: Mutex<HashMap<String, Labels>>,
}

impl NamespaceLabels {
    /// The labels of a namespace, once they were seen.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Option<Labels> {
        self.known().get(namespace).cloned()
    }

    /// How many namespaces there are.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.known().len()
    }

    /// A namespace is there with these labels. Whether that is news.
    fn put(&self, namespace: String, labels: Labels) -> bool {
        let mut known = self.known();
        let news = known.get(&namespace) != Some(&labels);
        known.insert(namespace, labels);
        news
    }

    fn remove(&self, namespace: &str) {
        self.known().remove(namespace);
    }

    /// Everything was listed anew. Gives the namespaces of which that is news.
    fn replace(&self, listed: HashMap<String, Labels>) -> Vec<String> {
        let mut known = self.known();
        let before = mem::replace(&mut *known, listed);
        let news = known
            .iter()
            .filter(|(namespace, labels)| before.get(*namespace) != Some(labels));
        news.map(|(namespace, _)| namespace.clone()).collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Labels>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Watches the labels of all namespaces, and wakes what a change of them concerns. Never ends.
    pub(super) async fn watch_namespaces(&self) {
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(self.client.clone());
        let config = watcher::Config::default().page_size(PAGE);
        let mut events = watches(api, config).boxed();
        let labels = &self.shared.labels;
        let mut listed = HashMap::new();
        while let Some(event) = events.next().await {
            self.watches.saw(KIND, &event);
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(namespace)) => {
                    listed.extend(labelled(namespace.metadata));
                }
                Ok(watcher::Event::InitDone) => {
                    for namespace in labels.replace(mem::take(&mut listed)) {
                        self.wake_sharers_in(&namespace);
                    }
                    let _ = self.listed.namespaces.set(());
                }
                Ok(watcher::Event::Apply(namespace)) => {
                    if let Some((namespace, own)) = labelled(namespace.metadata)
                        && labels.put(namespace.clone(), own)
                    {
                        self.wake_sharers_in(&namespace);
                    }
                }
                Ok(watcher::Event::Delete(namespace)) => {
                    labels.remove(namespace.metadata.name.as_deref().unwrap_or_default());
                }
                // It is taken up again by itself.
                Err(_) => {}
            }
        }
    }
}

fn labelled(metadata: ObjectMeta) -> Option<(String, Labels)> {
    let ObjectMeta { name, labels, .. } = metadata;
    let labels: BTreeMap<String, String> = labels.unwrap_or_default();
    Some((name?, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(team: &str) -> Labels {
        [("team".to_owned(), team.to_owned())].into()
    }

    #[test]
    fn a_namespace_is_news_when_its_labels_are_others_and_nothing_is_kept_of_one_that_is_gone() {
        let known = NamespaceLabels::default();
        assert_eq!(known.of("shop"), None);
        assert!(known.put("shop".into(), labels("a")));
        assert!(!known.put("shop".into(), labels("a")));
        assert!(known.put("shop".into(), labels("b")));
        let listed = [
            ("shop".to_owned(), labels("b")),
            ("new".to_owned(), labels("a")),
        ];
        assert_eq!(known.replace(listed.into()), ["new"]);
        known.remove("new");
        assert_eq!((known.kept(), known.of("shop")), (1, Some(labels("b"))));
    }
}
