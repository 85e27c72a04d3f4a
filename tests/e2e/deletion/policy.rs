//! `spec.deletionPolicy`, and who says what holds without it.

use aep_export_operator::api::{ExportDeletionPolicy, ExportJob, PolicySource};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{cancels, states};
use crate::harness::{World, export_into};

const POLICY: &str = "aep-export.dev/deletion-policy";

async fn world(flags: &[&str], annotation: Option<&str>) -> World {
    let mut world = World::without_operator("deletion").await;
    if let Some(word) = annotation {
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        let patch = json!({ "metadata": { "annotations": { POLICY: word } } });
        namespaces
            .patch(
                &world.namespace,
                &PatchParams::default(),
                &Patch::Merge(patch),
            )
            .await
            .unwrap();
    }
    world.start_operator(flags).await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    world
}

/// Has an export run and deletes it; gives what its status said of its policy.
async fn deleted(world: &World, own: Option<&str>) -> (ExportDeletionPolicy, PolicySource) {
    let mut spec = export_into("profiles");
    if let Some(own) = own {
        spec["deletionPolicy"] = json!(own);
    }
    world.create::<ExportJob>("one", spec).await;
    let running = world.until_phase("one", "Running").await;
    let effective = running.status.unwrap().effective.unwrap();
    world.delete::<ExportJob>("one").await;
    world.until_gone::<ExportJob>("one").await;
    (effective.deletion_policy, effective.deletion_policy_from)
}

#[tokio::test]
async fn what_holds_is_the_objects_word_then_the_namespaces_then_the_operators() {
    use ExportDeletionPolicy::{Cancel, Orphan};
    use PolicySource::{Namespace, Operator, Spec};
    let flag = &["--deletion-policy", "Orphan"][..];
    for (flags, annotation, own, expected) in [
        (&[][..], None, None, (Cancel, Operator)),
        (flag, None, None, (Orphan, Operator)),
        (flag, Some("Cancel"), None, (Cancel, Namespace)),
        (&[][..], Some("Orphan"), None, (Orphan, Namespace)),
        (flag, Some("Orphan"), Some("Cancel"), (Cancel, Spec)),
        (&[][..], None, Some("Orphan"), (Orphan, Spec)),
    ] {
        let world = world(flags, annotation).await;
        assert_eq!(deleted(&world, own).await, expected);
        let (asked, state) = match expected.0 {
            Cancel => (1, "CANCELLED"),
            Orphan => (0, "PROCESSING"),
        };
        assert_eq!(cancels(&world).await, asked, "{expected:?}");
        assert_eq!(states(&world).await, [state], "{expected:?}");
        if expected.0 == Orphan {
            let note = world.event("one", "Orphaned").await;
            assert!(note.contains("1001"), "{note}");
        }
    }
}

#[tokio::test]
async fn a_namespaces_word_that_means_nothing_is_told_and_not_read() {
    let world = world(&[], Some("orphan")).await;
    let effective = deleted(&world, None).await;
    assert_eq!(
        effective,
        (ExportDeletionPolicy::Cancel, PolicySource::Operator)
    );
    let note = world.event("one", "InvalidPolicy").await;
    assert!(
        note.contains("\"orphan\"") && note.contains(POLICY),
        "{note}"
    );
    assert_eq!(states(&world).await, ["CANCELLED"]);
}
