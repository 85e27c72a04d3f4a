//! The kinds that have a controller, of whichever scope.

use std::fmt::Debug;

use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::Request,
    runtime::{
        controller::Action,
        reflector::{ObjectRef, Store},
    },
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Context, PassError, Stores, connection, dataset, export};
use crate::{
    api::{ClusterPlatformConnection, ExportJob, PlatformConnection, ProfileDataset},
    decide::tenancy::Whose,
};

/// A kind that has a controller.
pub trait Kind:
    Resource<DynamicType = (), Scope: Within>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// The kind's name, as a metric's label.
    const KIND: &'static str;
    /// Its status.
    type Status: Clone + PartialEq + Default + Send;

    /// The objects of this kind, as the watch last saw them.
    fn store(stores: &Stores) -> &Store<Self>;
    /// The status, if there is one.
    fn status(&self) -> Option<&Self::Status>;
    /// Puts a status in.
    fn put_status(&mut self, status: Self::Status);
    /// Which operator serves it, as far as the stores tell.
    fn whose(&self, context: &Context) -> Whose;
    /// It is another operator's: whatever is kept of it, from a time when it was not, goes.
    fn left_alone(&self, context: &Context);
    /// One pass over the object.
    fn pass(&self, context: &Context) -> impl Future<Output = Result<Action, PassError>> + Send;
}

/// Where the objects of a kind are: in namespaces, or in the cluster.
pub trait Within: Sized + 'static {
    /// The objects of a namespace; none: all, which those of the cluster always are.
    fn api<K>(client: Client, namespace: Option<&str>) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = Self>;

    /// The namespace of an object, where it has to have one.
    ///
    /// # Errors
    ///
    /// It has none: no API server serves such an object.
    fn namespace_of<K: Resource>(object: &K) -> Result<Option<String>, PassError>;
}

impl Within for NamespaceResourceScope {
    fn api<K>(client: Client, namespace: Option<&str>) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = Self>,
    {
        match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    fn namespace_of<K: Resource>(object: &K) -> Result<Option<String>, PassError> {
        let namespace = object.meta().namespace.clone();
        namespace
            .map(Some)
            .ok_or(PassError::Incomplete("namespace"))
    }
}

impl Within for ClusterResourceScope {
    fn api<K>(client: Client, _: Option<&str>) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = Self>,
    {
        Api::all(client)
    }

    fn namespace_of<K: Resource>(_: &K) -> Result<Option<String>, PassError> {
        Ok(None)
    }
}

macro_rules! kind {
    ($kind:ident, $store:ident, $status:ident, $whose:path, $left:path, $pass:path) => {
        impl Kind for $kind {
            const KIND: &'static str = stringify!($kind);
            type Status = crate::api::$status;

            fn store(stores: &Stores) -> &Store<Self> {
                &stores.$store
            }

            fn status(&self) -> Option<&Self::Status> {
                self.status.as_ref()
            }

            fn put_status(&mut self, status: Self::Status) {
                self.status = Some(status);
            }

            fn whose(&self, context: &Context) -> Whose {
                $whose(context, self)
            }

            fn left_alone(&self, context: &Context) {
                $left(context, self);
            }

            fn pass(
                &self,
                context: &Context,
            ) -> impl Future<Output = Result<Action, PassError>> + Send {
                $pass(self, context)
            }
        }
    };
}

kind!(
    PlatformConnection,
    connections,
    PlatformConnectionStatus,
    Context::whose_connection,
    Context::leave_connection_alone,
    connection::pass
);
kind!(
    ClusterPlatformConnection,
    cluster_connections,
    PlatformConnectionStatus,
    Context::whose_connection,
    Context::leave_connection_alone,
    connection::pass
);
kind!(
    ProfileDataset,
    datasets,
    ProfileDatasetStatus,
    Context::whose_dataset,
    Context::leave_dataset_alone,
    dataset::pass
);
kind!(
    ExportJob,
    exports,
    ExportJobStatus,
    Context::whose_export,
    Context::leave_export_alone,
    export::pass
);

impl Context {
    /// The objects of a kind in this one's namespace.
    pub(super) fn api<K: Kind>(&self, object: &K) -> Result<Api<K>, PassError> {
        let namespace = K::Scope::namespace_of(object)?;
        Ok(K::Scope::api(self.client.clone(), namespace.as_deref()))
    }

    /// An object as the API server has it now, if it is there. One that cannot be read is not.
    pub(super) async fn fetch<K: Kind>(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<K>, PassError> {
        let api = K::Scope::api::<K>(self.client.clone(), namespace);
        match api.get_opt(name).await {
            Ok(found) => Ok(found),
            Err(kube::Error::SerdeError(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The requests for objects of a kind in this one's namespace.
pub(super) fn requests_of<K: Kind>(object: &K) -> Result<Request, PassError> {
    let namespace = K::Scope::namespace_of(object)?;
    Ok(Request::new(K::url_path(&(), namespace.as_deref())))
}

/// An object of a namespace, or of the cluster.
pub(super) fn reference<K: Kind>(namespace: Option<&str>, name: &str) -> ObjectRef<K> {
    let object = ObjectRef::new(name);
    match namespace {
        Some(namespace) => object.within(namespace),
        None => object,
    }
}

/// A name for a sentence in which objects of several namespaces may be.
pub(super) fn name_in<K: Kind>(object: &K, apart: bool) -> String {
    match object.namespace().filter(|_| apart) {
        Some(namespace) => format!("{namespace}/{}", object.name_any()),
        None => object.name_any(),
    }
}
