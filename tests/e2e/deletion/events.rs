//! Events of objects in a namespace that is being deleted, where none can be created.

use aep_export_operator::api::ExportJob;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};

use super::{run, states};
use crate::harness::World;

#[tokio::test]
async fn what_is_told_of_an_object_in_a_namespace_that_goes_is_told_where_the_operator_is() {
    let mut world = World::without_operator("going").await;
    let home = world.live_elsewhere().await;
    world.start_operator(&[]).await;
    world.furnish().await;
    run(&world, &["running"]).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces
        .delete(&world.namespace, &DeleteParams::default())
        .await
        .unwrap();
    world.until_gone::<ExportJob>("running").await;
    assert_eq!(states(&world).await, ["CANCELLED"]);
    let event = world.event_in(&home, "Cancelled").await;
    let note = event.note.unwrap();
    let object = format!("ExportJob {}/running: ", world.namespace);
    assert!(note.starts_with(&object), "{note}");
    let (regarding, related) = (event.regarding.unwrap(), event.related.unwrap());
    assert_eq!(regarding.name.as_deref(), Some("running"));
    assert_eq!(regarding.namespace, Some(home));
    assert_eq!(related.namespace.as_ref(), Some(&world.namespace));
    assert_eq!(related.uid, regarding.uid);
    assert_eq!(related.kind.as_deref(), Some("ExportJob"));
}
