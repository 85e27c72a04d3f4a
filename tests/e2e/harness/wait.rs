//! Waiting for conditions: none sleeps for luck, and each tells what it saw last.

use std::{fmt::Debug, time::Duration};

use kube::{Api, Resource};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};

/// Longer than anything that a test waits for takes on a busy machine.
pub const LONG: Duration = Duration::from_mins(1);
/// How often a condition is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Waits until a look succeeds, and fails with what the last one said.
pub async fn eventually<T, F>(what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    within(LONG, what, look).await
}

/// As [`eventually`], for what takes its time.
pub async fn within<T, F>(longest: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let began = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(said) if began.elapsed() > longest => panic!("waited for {what}; last: {said}"),
            Err(_) => sleep(TICK).await,
        }
    }
}

/// Waits until an object is as wanted.
pub async fn until<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    wanted: impl Fn(&K) -> bool,
    log: impl Fn() -> String,
) -> K
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize,
{
    eventually(&format!("{name} to be {what}"), || async {
        match api.get_opt(name).await {
            Ok(Some(object)) if wanted(&object) => Ok(object),
            Ok(Some(object)) => {
                let object = serde_json::to_string_pretty(&object).unwrap();
                Err(format!("{object}\n{}", log()))
            }
            Ok(None) => Err("not there".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}
