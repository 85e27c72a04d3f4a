//! Who is woken when an object of another kind changes, and what is forgotten when one is gone.

use std::{collections::HashSet, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    ResourceExt,
    core::error_boundary::InvalidObject,
    runtime::{reflector::ObjectRef, watcher},
};
use tokio::{sync::SetOnce, time::Instant};
use tracing::warn;

use super::{
    Context, Kind,
    connection::{Connection, concerns_users},
    dependencies::is_ended,
    events::Tone,
    export::is_at_rest,
    holds::Held,
    streams::{Guarded, Listener},
    tenants::{Standing, Tenant},
};
use crate::api::{
    ClusterPlatformConnection, ConditionType, ExportJob, PlatformConnection, ProfileDataset,
    Reason, is_true,
};

/// What a watch brings.
type Watched<K> = watcher::Result<watcher::Event<Guarded<K>>>;

/// Listens for all kinds of a scope.
pub struct Relations(pub Arc<Context>);

impl Relations {
    fn wake_everything(&self) {
        let Context {
            client: _,
            stores,
            listed: _,
            watches: _,
            scope: _,
            shared,
        } = &*self.0;
        for dataset in stores.datasets.state() {
            shared.datasets.poke(ObjectRef::from_obj(&*dataset));
        }
        for export in stores.exports.state() {
            if !is_ended(&export) {
                shared.exports.poke(ObjectRef::from_obj(&*export));
            }
        }
    }

    /// Wakes what exports need: they may have ended, or begun, unnoticed.
    fn wake_held(&self) {
        let Context { stores, shared, .. } = &*self.0;
        for connection in stores.connections.state() {
            shared.connections.poke(&connection.key());
        }
        for connection in stores.cluster_connections.state() {
            shared.connections.poke(&connection.key());
        }
        for dataset in stores.datasets.state() {
            shared.datasets.poke(ObjectRef::from_obj(&*dataset));
        }
    }

    /// A connection of either kind is there, new or changed.
    fn connection_present<C: Connection>(&self, object: &C, before: Option<&C>) {
        let shared = &self.0.shared;
        shared.underway.there(&object.uid().unwrap_or_default());
        let key = object.key();
        let comes = |tenant: Tenant| tenant.standing == Standing::Retired;
        if shared.reach.shard().is_some() && shared.tenants.get(&key).is_none_or(comes) {
            // What used it may have been deleted while it was another shard's.
            let window = shared.settings.limits.windows.whole();
            shared.submissions.claims.unsure_for(window);
        }
        if concerns_users(object, before) {
            self.0.wake_users_of(&key);
        }
    }

    /// Connections of a kind were listed anew.
    fn connections_relisted(&self, listed: &SetOnce<()>) {
        self.0.shared.written.relisted();
        self.0.shared.holds.relisted();
        let _ = listed.set(());
        self.wake_everything();
    }

    /// A connection of either kind is gone.
    fn connection_gone<C: Connection>(&self, object: &C) {
        let context = &self.0;
        let shared = &context.shared;
        let (uid, key) = (object.uid().unwrap_or_default(), object.key());
        shared.underway.gone(&uid);
        shared.elsewhere.forget(object);
        shared.retries.forget(&uid);
        shared.written.forget(&uid);
        shared.holds.forget(&Held::Connection(key.clone()));
        context.forget_connection(&key);
        context.wake_users_of(&key);
    }

    /// Wakes what depends on a dataset, and what it depends on.
    fn wake_around(&self, dataset: &ProfileDataset) {
        let namespace = dataset.namespace().unwrap_or_default();
        self.0.wake_exports_into(&dataset.name_any(), &namespace);
        self.0.wake_connection_of(dataset);
    }

    /// How long an export took tells when to expect the next one into the same dataset.
    fn took(&self, export: &ExportJob) {
        let Some(status) = &export.status else { return };
        let succeeded = is_true(&status.conditions, ConditionType::Complete);
        if let (true, Some(submission), Some(ended), Some(seconds)) = (
            succeeded,
            &status.submission,
            status.completion_time,
            status.duration_seconds,
        ) {
            let took = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
            self.0.shared.board.took(&submission.target, ended, took);
        }
    }

    /// The object stays as it is until somebody mends it; the others go on. Of what cannot be read,
    /// nothing says which operator serves it: the one without a class tells of it.
    fn refuse<K: Kind>(&self, object: &ObjectRef<K>, error: &InvalidObject) {
        warn!(kind = K::KIND, %object, %error, "an object cannot be read");
        self.0.shared.metrics.invalid(K::KIND);
        if self.0.shared.reach.class().is_some() {
            return;
        }
        let reference: ObjectReference = object.clone().into();
        let context = Arc::clone(&self.0);
        let note = format!(
            "this operator cannot read the object as {} and leaves it alone: {error}; replace it \
             (kubectl replace -f) by one as kubectl explain shows it",
            K::api_version(&()),
        );
        tokio::spawn(async move {
            // One process tells of it, not each that stands by.
            context.shared.leadership.acquired().await;
            let events = &context.shared.events;
            events
                .publish_about(
                    &reference,
                    Tone::Warning,
                    "Read",
                    Reason::InvalidObject,
                    &note,
                )
                .await;
        });
    }
}

impl Listener<PlatformConnection> for Relations {
    fn watched(&self, event: &Watched<PlatformConnection>) {
        self.0.watches.saw(PlatformConnection::KIND, event);
    }

    fn present(&self, object: &PlatformConnection, before: Option<&PlatformConnection>) {
        self.connection_present(object, before);
    }

    fn relisted(&self) {
        self.connections_relisted(&self.0.listed.connections);
    }

    fn mended(&self, object: ObjectRef<PlatformConnection>) {
        self.0.shared.connections.namespaced.poke(object);
    }

    fn gone(&self, object: &PlatformConnection) {
        self.connection_gone(object);
    }

    fn invalid(&self, object: ObjectRef<PlatformConnection>, error: &InvalidObject) {
        self.refuse(&object, error);
    }
}

impl Listener<ClusterPlatformConnection> for Relations {
    fn watched(&self, event: &Watched<ClusterPlatformConnection>) {
        self.0.watches.saw(ClusterPlatformConnection::KIND, event);
    }

    fn present(
        &self,
        object: &ClusterPlatformConnection,
        before: Option<&ClusterPlatformConnection>,
    ) {
        self.connection_present(object, before);
    }

    fn relisted(&self) {
        self.connections_relisted(&self.0.listed.cluster_connections);
    }

    fn mended(&self, object: ObjectRef<ClusterPlatformConnection>) {
        self.0.shared.connections.cluster.poke(object);
    }

    fn gone(&self, object: &ClusterPlatformConnection) {
        self.connection_gone(object);
    }

    fn invalid(&self, object: ObjectRef<ClusterPlatformConnection>, error: &InvalidObject) {
        self.refuse(&object, error);
    }
}

impl Listener<ProfileDataset> for Relations {
    fn watched(&self, event: &Watched<ProfileDataset>) {
        self.0.watches.saw(ProfileDataset::KIND, event);
    }

    fn present(&self, object: &ProfileDataset, _: Option<&ProfileDataset>) {
        self.0
            .shared
            .underway
            .there(&object.uid().unwrap_or_default());
        self.wake_around(object);
    }

    fn relisted(&self) {
        self.0.shared.written.relisted();
        self.0.shared.holds.relisted();
        let _ = self.0.listed.datasets.set(());
        self.wake_held();
        self.wake_everything();
    }

    fn mended(&self, object: ObjectRef<ProfileDataset>) {
        self.0.shared.datasets.poke(object);
    }

    fn gone(&self, object: &ProfileDataset) {
        let uid = object.uid().unwrap_or_default();
        self.0.shared.underway.gone(&uid);
        self.0.shared.elsewhere.forget(object);
        self.0.forget_dataset(&uid);
        let namespace = object.namespace().unwrap_or_default();
        let held = Held::dataset(&namespace, &object.name_any());
        self.0.shared.holds.forget(&held);
        let context = &self.0;
        context
            .shared
            .tenants
            .sweep(|key| context.needs_connection(key));
        self.wake_around(object);
    }

    fn invalid(&self, object: ObjectRef<ProfileDataset>, error: &InvalidObject) {
        self.refuse(&object, error);
    }
}

impl Listener<ExportJob> for Relations {
    fn watched(&self, event: &Watched<ExportJob>) {
        self.0.watches.saw(ExportJob::KIND, event);
    }

    fn is_at_rest(&self, object: &ExportJob) -> bool {
        is_at_rest(object)
    }

    fn is_own(&self, object: &ExportJob) -> bool {
        self.0.shared.written.knows(object)
    }

    fn listing(&self) {
        let claims = &self.0.shared.submissions.claims;
        claims.listing(self.0.scope.as_deref());
    }

    fn listed(&self, object: &ExportJob) {
        self.0.shared.submissions.claims.list(object);
        self.took(object);
    }

    fn rests(&self, object: &ExportJob) {
        let shared = &self.0.shared;
        let uid = object.uid().unwrap_or_default();
        shared.board.ended(&uid);
        shared.governor.left(&uid);
        shared.crowd.forget(&uid);
        shared.submissions.claims.release(&uid);
        shared.retries.forget(&uid);
        shared.written.shown(object);
        let context = &self.0;
        shared.tenants.sweep(|key| context.needs_connection(key));
    }

    fn present(&self, object: &ExportJob, _: Option<&ExportJob>) {
        let shared = &self.0.shared;
        shared.underway.there(&object.uid().unwrap_or_default());
        let claims = &shared.submissions.claims;
        match shared.reach.shard() {
            None => claims.present(object),
            Some(_) => claims.arrived(object, shared.settings.limits.windows.whole()),
        }
        if is_ended(object) {
            self.took(object);
            self.0.let_go_of(object);
        } else {
            self.0.holds_on_to(object);
        }
        self.0.wake_dataset_of(object);
    }

    fn relisted(&self) {
        let context = &self.0;
        context.shared.written.relisted();
        let claims = &context.shared.submissions.claims;
        let window = context.shared.settings.limits.windows.whole();
        let there = context.stores.exports.state();
        for uid in claims.relisted(context.scope.as_deref(), &there, window) {
            context.shared.underway.gone(&uid);
            context.forget_export(&uid);
        }
        let window = Duration::try_from(window).unwrap_or_default();
        claims.complete_from(Instant::now() + window);
        let _ = context.listed.exports.set(());
        // An export that went unnoticed holds nothing any more.
        let uids: HashSet<String> = there.iter().filter_map(|export| export.uid()).collect();
        context.shared.holds.only(&uids);
        self.wake_held();
        // Whatever happened meanwhile: what is not submitted yet looks before it is.
        for export in there.iter().filter(|export| !is_ended(export)) {
            context.shared.exports.poke(ObjectRef::from_obj(&**export));
        }
    }

    fn mended(&self, object: ObjectRef<ExportJob>) {
        self.0.shared.exports.poke(object);
    }

    fn lost(&self, object: &ObjectRef<ExportJob>) {
        let uid = object.extra.uid.as_deref().unwrap_or_default();
        let window = self.0.shared.settings.limits.windows.whole();
        self.0.shared.submissions.claims.gone(uid, window);
    }

    fn gone(&self, object: &ExportJob) {
        let uid = object.uid().unwrap_or_default();
        let context = &self.0;
        let window = context.shared.settings.limits.windows.whole();
        context.shared.underway.gone(&uid);
        context.forget_export(&uid);
        context.shared.submissions.claims.gone(&uid, window);
        context.let_go_of(object);
        context.wake_dataset_of(object);
        context
            .shared
            .tenants
            .sweep(|key| context.needs_connection(key));
    }

    fn invalid(&self, object: ObjectRef<ExportJob>, error: &InvalidObject) {
        self.refuse(&object, error);
    }
}
