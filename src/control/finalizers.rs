//! Putting finalizers on and taking them off.

use kube::{
    ResourceExt,
    api::{ObjectMeta, Patch, PatchParams},
};
use serde_json::json;

use super::{Context, Kind, PassError, requests_of};
use crate::decide::Finalizer;

/// The field manager of the finalizers, after the operator's name.
const FINALIZER_MANAGER: &str = "finalizer";

/// What to do with a finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finalize {
    /// Put it on.
    Add,
    /// Take it off.
    Remove,
}

/// Whether this finalizer is on an object.
pub(super) fn finalizer<K: Kind>(object: &K, name: &str) -> Finalizer {
    finalizer_in(object.meta(), name)
}

/// The same, by the metadata alone.
pub(super) fn finalizer_in(meta: &ObjectMeta, name: &str) -> Finalizer {
    let mut finalizers = meta.finalizers.iter().flatten();
    if finalizers.any(|there| there == name) {
        Finalizer::Present
    } else {
        Finalizer::Absent
    }
}

impl Context {
    /// Puts a finalizer on or takes it off, unless the object has changed since it was read.
    pub(super) async fn set_finalizer<K: Kind>(
        &self,
        object: &K,
        name: &str,
        what: Finalize,
    ) -> Result<K, PassError> {
        let others = object.finalizers().iter().filter(|there| *there != name);
        let mut finalizers: Vec<&str> = others.map(String::as_str).collect();
        match what {
            Finalize::Add => finalizers.push(name),
            Finalize::Remove => {}
        }
        let patch = json!({
            "metadata": {
                "resourceVersion": object.resource_version(),
                "finalizers": finalizers,
            }
        });
        let params = PatchParams {
            field_manager: Some(self.shared.reach.manager(FINALIZER_MANAGER)),
            ..PatchParams::default()
        };
        let request = requests_of(object)?
            .patch(&object.name_any(), &params, &Patch::Merge(patch))
            .map_err(kube::Error::BuildRequest)?;
        let patched = self.send(request).await?;
        self.shared.written.wrote(&patched);
        Ok(patched)
    }
}
