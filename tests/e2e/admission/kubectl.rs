//! What kubectl shows of the kinds.

use aep_export_operator::api::ExportJob;
use serde_json::json;

use super::table::manifest;
use crate::harness::{World, eventually, export_into, kubectl};

#[tokio::test]
async fn kubectl_explains_a_field_in_the_depth_of_a_spec() {
    let world = World::without_operator("explain").await;
    for (field, wanted) in [
        (
            "exportjob.spec.export.filter.segments.status",
            "Which members, by their status",
        ),
        (
            "aepjob.spec.export.destination.datasetRef",
            "A `ProfileDataset` of the same namespace.",
        ),
        (
            "profiledataset.spec.dataset.fileDescription.format",
            "ENUM:",
        ),
        (
            "aepconn.spec.auth.oauthServerToServer.secretRef.name",
            "The name of the Secret.",
        ),
        ("exportjob.status.phase", "One word for people and columns"),
    ] {
        // The API server publishes the schema of a new kind a moment after the kind itself.
        eventually(&format!("an explanation of {field}"), || async {
            let (_, said) = kubectl(&world.namespace, &["explain", field], None);
            if said.contains(wanted) {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await;
    }
}

#[tokio::test]
async fn kubectl_shows_all_kinds_by_the_category_and_selects_by_fields() {
    let world = World::start("get").await;
    let dataset = world.furnish().await;
    world.export("done").await;
    world
        .create::<ExportJob>("waiting", export_into("not-there"))
        .await;
    world.until_phase("done", "Succeeded").await;
    world.until_phase("waiting", "Pending").await;

    let all = world.kubectl(&["get", "aep", "-o", "wide"]);
    for wanted in [
        "platformconnection.aep-export.dev/prod",
        "profiledataset.aep-export.dev/profiles",
        "exportjob.aep-export.dev/done",
        "exportjob.aep-export.dev/waiting",
        "JOB ID",
        "LAST BATCH",
        "ORGANIZATION",
        "DatasetNotFound",
    ] {
        assert!(all.contains(wanted), "no {wanted} in\n{all}");
    }
    let by_id = format!("status.datasetId={dataset}");
    for (kind, selector, selected) in [
        ("exportjobs", "status.phase=Succeeded", "done"),
        ("aepjob", "status.phase!=Succeeded", "waiting"),
        ("aepjob", "status.connection.name=prod", "done"),
        ("aepjob", &by_id, "done"),
        (
            "aepjob",
            "spec.export.destination.datasetRef.name=not-there",
            "waiting",
        ),
        ("aepds", "spec.connectionRef.name=prod", "profiles"),
        ("aepds", "spec.connectionRef.name=dev", ""),
    ] {
        let names = "jsonpath={.items[*].metadata.name}";
        let shown = world.kubectl(&["get", kind, "--field-selector", selector, "-o", names]);
        assert_eq!(shown, selected, "{kind} by {selector}");
    }
}

#[tokio::test]
async fn kubectl_says_everything_that_is_wrong_with_a_manifest_at_once() {
    let world = World::without_operator("apply").await;
    let wrong = json!({
        "spec": {
            "organizationId": "745F37C35E4B776E0A49421B",
            "sandbox": "Prod",
            "auth": { "accessToken": { "secretRef": { "name": "aep-token" } } },
        },
    });
    let wrong = manifest("PlatformConnection", "prod", &wrong).to_string();
    for args in [
        &["apply", "-f", "-"][..],
        &["apply", "--server-side", "-f", "-"],
        &["create", "-f", "-"],
        &["apply", "--dry-run=server", "-f", "-"],
    ] {
        let (applied, said) = kubectl(&world.namespace, args, Some(&wrong));
        assert!(!applied, "{said}");
        for wanted in [
            "spec.organizationId: Invalid value: \"745F37C35E4B776E0A49421B\": write the \
             organisation's id as Adobe shows it, as 745F37C35E4B776E0A49421B@AdobeOrg",
            "spec.sandbox: Invalid value: \"Prod\": write the sandbox's name (not its title)",
            "spec.auth: Invalid value: write exactly one of oauthServerToServer",
        ] {
            assert!(
                said.contains(wanted),
                "kubectl {args:?} says no {wanted}:\n{said}"
            );
        }
    }
}
