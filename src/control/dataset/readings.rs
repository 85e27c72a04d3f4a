//! What the Catalog said of datasets that are as they should be, until it is asked again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::platform::Dataset;

/// What the Catalog last said of datasets, by the UIDs of their objects.
#[derive(Default)]
pub struct Readings {
    by_uid: Mutex<HashMap<String, Known>>,
}

/// One reading of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What it said.
    pub dataset: Dataset,
    /// The generation of the object that it was judged by.
    pub generation: Option<i64>,
    /// The stamp of the client that read it.
    pub stamp: String,
    /// When it is read again.
    pub due: Instant,
}

#[derive(Default)]
struct Known {
    reading: Option<Reading>,
    /// The generation and the request that a pass has begun for.
    begun: Option<(Option<i64>, Option<String>)>,
}

impl Readings {
    /// The reading of this object as it is, by this client, if it is not due.
    #[must_use]
    pub fn get(&self, uid: &str, generation: Option<i64>, stamp: &str) -> Option<Reading> {
        let known = self.known();
        let reading = known.get(uid)?.reading.as_ref()?;
        let holds = reading.generation == generation
            && reading.stamp == stamp
            && Instant::now() < reading.due;
        holds.then(|| reading.clone())
    }

    /// Keeps a reading.
    pub fn keep(&self, uid: &str, reading: Reading) {
        self.known().entry(uid.to_owned()).or_default().reading = Some(reading);
    }

    /// The next pass reads again.
    pub fn expire(&self, uid: &str) {
        if let Some(known) = self.known().get_mut(uid) {
            known.reading = None;
        }
    }

    /// A pass begins over an object of this generation, with this request of a person. Whether
    /// that is the first one of its kind: what failed before it may go well now.
    pub fn begin(&self, uid: &str, generation: Option<i64>, request: Option<String>) -> bool {
        let mut known = self.known();
        let known = known.entry(uid.to_owned()).or_default();
        let now = Some((generation, request));
        let news = known.begun != now;
        known.begun = now;
        news
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.known().remove(uid);
    }

    /// How many readings are kept.
    pub fn kept(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::platform::DatasetId;

    fn reading(due: Instant) -> Reading {
        let dataset = Dataset {
            id: DatasetId::new("d"),
            name: None,
            description: None,
            schema_id: None,
            schema_content_type: None,
            tags: BTreeMap::new(),
            created: None,
            last_batch_id: None,
            last_batch_status: None,
        };
        Reading {
            dataset,
            generation: Some(1),
            stamp: "s".into(),
            due,
        }
    }

    #[test]
    fn a_reading_serves_until_it_is_due_or_the_object_or_the_client_is_another() {
        let readings = Readings::default();
        let later = Instant::now() + Duration::from_mins(1);
        readings.keep("a", reading(later));
        assert_eq!(readings.get("a", Some(1), "s"), Some(reading(later)));
        assert_eq!(readings.get("a", Some(2), "s"), None);
        assert_eq!(readings.get("a", Some(1), "t"), None);
        assert_eq!(readings.get("b", Some(1), "s"), None);
        readings.expire("a");
        assert_eq!(readings.get("a", Some(1), "s"), None);
        readings.keep("a", reading(Instant::now()));
        assert_eq!(readings.get("a", Some(1), "s"), None);
    }

    #[test]
    fn an_edit_and_a_request_are_news_once() {
        let readings = Readings::default();
        let request = || Some("now".to_owned());
        assert!(readings.begin("a", Some(1), None));
        assert!(!readings.begin("a", Some(1), None));
        assert!(readings.begin("a", Some(1), request()));
        assert!(!readings.begin("a", Some(1), request()));
        assert!(readings.begin("a", Some(2), request()));
    }
}
