//! Secrets, each watched by its name: the operator never lists those of a namespace.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, runtime::watcher};
use secrecy::SecretString;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::{pokes::ConnectionPokes, streams::watches};
use crate::api::ConnectionKey;

/// The keys that a connection's Secret may hold; no other key's value is kept.
const KEYS: [&str; 4] = ["client_id", "client_secret", "access_token", "api_key"];

/// A Secret by namespace and name.
type Name = (String, String);

/// What is known of a Secret.
#[derive(Clone, Debug)]
pub enum SecretState {
    /// The watch has not answered yet.
    Loading,
    /// It is not there.
    Missing,
    /// It cannot be watched: why.
    Unreadable(String),
    /// It is there, with these values.
    Present(Arc<BTreeMap<&'static str, SecretValue>>),
}

/// The value of a key.
#[derive(Clone, Debug)]
pub enum SecretValue {
    /// Text, without the line break that `echo` leaves at its end.
    Text(SecretString),
    /// Bytes that are not text.
    Bytes,
}

/// The Secrets that connections name, each with a watch of its own.
pub struct Secrets {
    client: Client,
    watched: Arc<Mutex<HashMap<Name, Watched>>>,
    wake: Arc<ConnectionPokes>,
}

struct Watched {
    state: SecretState,
    users: HashSet<ConnectionKey>,
    /// Ends the watch when the last user is gone.
    _watch: AbortOnDropHandle<()>,
}

impl Secrets {
    /// None watched yet.
    #[must_use]
    pub fn new(client: Client, wake: Arc<ConnectionPokes>) -> Self {
        Self {
            client,
            watched: Arc::default(),
            wake,
        }
    }

    /// What is known of the Secret that a connection names. From the first call on it is watched,
    /// and the connection is woken at every change of it. A Secret that it named before is let go.
    #[must_use]
    pub fn follow(&self, user: &ConnectionKey, namespace: &str, name: &str) -> SecretState {
        let key = (namespace.to_owned(), name.to_owned());
        let mut watched = self.watched();
        watched.retain(|other, entry| {
            if *other != key {
                entry.users.remove(user);
            }
            !entry.users.is_empty()
        });
        let entry = watched.entry(key.clone()).or_insert_with(|| Watched {
            state: SecretState::Loading,
            users: HashSet::new(),
            _watch: self.watch(key),
        });
        entry.users.insert(user.clone());
        entry.state.clone()
    }

    /// Lets go of the Secret that a connection named.
    pub fn forget(&self, user: &ConnectionKey) {
        self.watched().retain(|_, entry| {
            entry.users.remove(user);
            !entry.users.is_empty()
        });
    }

    fn watch(&self, key: Name) -> AbortOnDropHandle<()> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &key.0);
        // A streaming list needs the right to watch this one name, and none to list.
        let config = watcher::Config::default()
            .fields(&format!("metadata.name={}", key.1))
            .streaming_lists();
        let watched = Arc::clone(&self.watched);
        let wake = Arc::clone(&self.wake);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut events = watches(api, config).boxed();
            let mut listed = None;
            while let Some(event) = events.next().await {
                let state = match event {
                    Ok(watcher::Event::Init) => {
                        listed = None;
                        continue;
                    }
                    Ok(watcher::Event::InitApply(secret)) => {
                        listed = Some(present(&secret));
                        continue;
                    }
                    Ok(watcher::Event::InitDone) => listed.take().unwrap_or(SecretState::Missing),
                    Ok(watcher::Event::Apply(secret)) => present(&secret),
                    Ok(watcher::Event::Delete(_)) => SecretState::Missing,
                    Err(error) => {
                        if let Some(why) = refusal(&error) {
                            SecretState::Unreadable(why)
                        } else {
                            warn!(namespace = key.0, name = key.1, %error, "watching a Secret");
                            continue;
                        }
                    }
                };
                let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(entry) = watched.get_mut(&key) else {
                    return;
                };
                entry.state = state;
                entry.users.iter().for_each(|user| wake.poke(user));
            }
        }))
    }

    /// How many Secrets are watched.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.watched().len()
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Name, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn present(secret: &Secret) -> SecretState {
    let data = secret.data.iter().flatten();
    let values = data.filter_map(|(key, value)| {
        let key = KEYS.into_iter().find(|known| known == key)?;
        let value = match std::str::from_utf8(&value.0) {
            Ok(text) => SecretValue::Text(text.trim_end_matches(['\r', '\n']).into()),
            Err(_) => SecretValue::Bytes,
        };
        Some((key, value))
    });
    SecretState::Present(Arc::new(values.collect()))
}

/// Why the API server refuses the watch, if it does: 403, or a request that it does not take (a
/// server without streaming lists answers 422). Other errors pass.
fn refusal(error: &watcher::Error) -> Option<String> {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => status,
        watcher::Error::WatchError(status) => status,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => return None,
    };
    matches!(status.code, 400 | 403 | 422).then(|| status.message.clone())
}
