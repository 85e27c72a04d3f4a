//! Namespaces, each read by its name when something depends on it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use tokio::time::Instant;
use tracing::warn;

use crate::{api::DELETION_POLICY_ANNOTATION, decide::Life, rights::Advised};

/// How long what was read is believed: a namespace that goes takes hundreds of objects with it.
const BELIEVED: Duration = Duration::from_secs(5);

/// What is known of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether it is there to stay.
    pub life: Life,
    /// What its annotation says of exports that are deleted, if it says something.
    pub deletion_policy: Option<String>,
}

/// The namespaces of which something was asked lately.
pub struct Namespaces {
    client: Client,
    known: Mutex<HashMap<String, (Instant, Surroundings)>>,
}

impl Namespaces {
    /// None known yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::default(),
        }
    }

    /// What is known of a namespace, at most some seconds old. One that cannot be read is taken
    /// for one that stays and says nothing.
    pub async fn of(&self, name: &str) -> Surroundings {
        let now = Instant::now();
        let believed = |read: &Instant| now.duration_since(*read) < BELIEVED;
        {
            let mut known = self.known();
            known.retain(|_, (read, _)| believed(read));
            if let Some((_, surroundings)) = known.get(name) {
                return surroundings.clone();
            }
        }
        let api: Api<Namespace> = Api::all(self.client.clone());
        let surroundings = match api.get_metadata_opt(name).await {
            Ok(Some(namespace)) => {
                let metadata = namespace.metadata;
                Surroundings {
                    life: match metadata.deletion_timestamp {
                        Some(_) => Life::Deleting,
                        None => Life::Live,
                    },
                    deletion_policy: metadata
                        .annotations
                        .and_then(|mut all| all.remove(DELETION_POLICY_ANNOTATION)),
                }
            }
            // Objects in a namespace that is not there cannot be.
            Ok(None) => return Surroundings::unknown(),
            Err(error) => {
                let error = Advised(&error);
                warn!(namespace = name, %error, "a namespace cannot be read");
                return Surroundings::unknown();
            }
        };
        self.known()
            .insert(name.to_owned(), (now, surroundings.clone()));
        surroundings
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, (Instant, Surroundings)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Surroundings {
    /// Of a namespace that cannot be read.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            life: Life::Live,
            deletion_policy: None,
        }
    }
}
