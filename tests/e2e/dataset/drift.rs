//! Differences between spec and Catalog: mended, reported, or told.

use super::*;

/// A dataset with a name, a description and a tag, in a tenant of its own.
async fn described(flags: &[&str], policies: Value) -> World {
    let mut world = World::without_operator("dataset").await;
    world.start_operator(flags).await;
    world.connect().await;
    let mut spec = with(&policies);
    spec["dataset"] = json!({
        "name": "Weekly", "description": "For reports,\nin €", "tags": { "team": ["sales", "eu"] },
    });
    world.create::<ProfileDataset>("mine", spec).await;
    until_ready(&world, "mine").await;
    world
}

/// Somebody renames the dataset, describes and tags it otherwise.
async fn meddle(world: &World) {
    change(world, |body| {
        body["name"] = json!("Renamed");
        body["description"] = json!("x".repeat(300));
        body["tags"]["team"] = json!(["sales"]);
        body["tags"]["theirs"] = json!(["kept"]);
        body["tags"].as_object_mut().unwrap().remove(OBJECT);
    })
    .await;
}

async fn assert_mended(world: &World) {
    let dataset = only(world).await;
    let body = &dataset["body"];
    assert_eq!(body["name"], "Weekly");
    assert_eq!(body["description"], "For reports,\nin €");
    let tags = &body["tags"];
    assert_eq!(tags["team"], json!(["sales", "eu"]));
    assert_eq!(tags["theirs"], json!(["kept"]), "not ours to change");
    assert_eq!(tags[OBJECT], json!([format!("{}/mine", world.namespace)]));
    let tagged = tags.as_object().unwrap().len();
    assert_eq!(tagged, 5, "nothing else: {tags}");
}

async fn until_mended(world: &World) -> String {
    let note = world.event("mine", "Mended").await;
    let mended = until_ready(world, "mine").await;
    assert_eq!(true_conditions(&mended), ["Ready"]);
    assert!(mended.status.unwrap().drift.is_empty());
    assert_mended(world).await;
    note
}

#[tokio::test]
async fn drift_is_found_when_the_dataset_is_read_again_and_is_mended_by_one_call() {
    let world = described(&["--dataset-refresh", "1s"], json!({})).await;
    meddle(&world).await;
    let note = until_mended(&world).await;
    for field in [
        "name from \"Renamed\" to \"Weekly\"",
        "description",
        "tags.team",
    ] {
        assert!(note.contains(field), "{note}");
    }
    assert_eq!(calls(&world, "PATCH").await, 1);
    let sent = &world.simulator.calls("PATCH", DATASETS).await[0];
    let paths = sent["body"].as_array().unwrap().iter();
    let paths: Vec<_> = paths.map(|operation| operation["path"].clone()).collect();
    assert_eq!(
        paths,
        [
            "/name",
            "/description",
            "/tags/team",
            "/tags/aep-export.dev~1object"
        ]
    );
}

#[tokio::test]
async fn a_person_who_asks_has_drift_mended_now_and_is_told_when() {
    let world = described(&[], json!({})).await;
    meddle(&world).await;
    let asked = "2026-11-01T08:00:00Z";
    annotate(&world, "mine", "reconcile.fluxcd.io/requestedAt", asked).await;
    until_mended(&world).await;
    let status = get(&world, "mine").await.status.unwrap();
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some(asked));
    let reads = calls(&world, "GET").await;
    reconcile(&world, "mine", "2026-11-01T09:00:00Z").await;
    assert_eq!(
        calls(&world, "GET").await,
        reads + 1,
        "one look for one word"
    );
    // Something else wakes it, which asks for nothing.
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    world.patch::<ProfileDataset>("mine", label).await.unwrap();
    reconcile(&world, "mine", "2026-11-01T10:00:00Z").await;
    assert_eq!(calls(&world, "GET").await, reads + 2);
}

#[tokio::test]
async fn an_edit_of_name_description_and_tags_is_carried_into_the_catalog() {
    let world = described(&[], json!({})).await;
    let dataset = json!({ "name": "Monthly", "description": "New", "tags": { "team": ["hr"] } });
    edit(&world, "mine", json!({ "dataset": dataset })).await;
    let edited = |d: &ProfileDataset| {
        is(&conditions(d), "Ready", "True")
            && d.status.as_ref().unwrap().name.as_deref() == Some("Monthly")
    };
    world.until("mine", "edited", edited).await;
    let body = only(&world).await["body"].clone();
    assert_eq!(body["description"], "New");
    assert_eq!(body["tags"]["team"], json!(["hr"]));
    // What the spec no longer names is left as it is.
    let less = json!({ "dataset": { "description": null, "tags": null, "name": "Yearly" } });
    edit(&world, "mine", less).await;
    let edited = |d: &ProfileDataset| {
        is(&conditions(d), "Ready", "True")
            && d.status.as_ref().unwrap().name.as_deref() == Some("Yearly")
    };
    world.until("mine", "edited", edited).await;
    let body = only(&world).await["body"].clone();
    assert_eq!(body["description"], "New");
    assert_eq!(body["tags"]["team"], json!(["hr"]));
}

#[tokio::test]
async fn a_tag_query_that_is_behind_and_the_tag_switches_make_no_difference() {
    let world = described(&[], json!({})).await;
    for switches in [
        json!({ "patchTags": "replace" }),
        json!({ "patchTags": "merge", "tagQueryLagSeconds": 60 }),
    ] {
        world.simulator.put("switches", switches.clone()).await;
        meddle(&world).await;
        reconcile(&world, "mine", &switches.to_string()).await;
        until_mended(&world).await;
    }
}

#[tokio::test]
async fn who_only_observes_is_told_what_differs_and_writes_nothing() {
    let world = described(&[], json!({ "managementPolicy": "Observe" })).await;
    meddle(&world).await;
    let drifted = reconcile(&world, "mine", "1").await;
    assert_eq!(true_conditions(&drifted), ["Drifted", "Ready"]);
    let drift = drifted.status.unwrap().drift;
    let fields: Vec<&str> = drift.iter().map(|drift| drift.field.as_str()).collect();
    assert_eq!(fields, ["name", "description", "tags.team"]);
    assert_eq!(drift[0].wanted, "Weekly");
    assert_eq!(drift[0].found.as_deref(), Some("Renamed"));
    assert_eq!(drift[1].found.as_deref(), Some(&*"x".repeat(128)));
    assert_eq!(calls(&world, "PATCH").await, 0);
    world.event("mine", "Drifted").await;
    // Exports go on into it.
    world
        .create::<ExportJob>("into-it", export_into("mine"))
        .await;
    world.until_phase("into-it", "Succeeded").await;
    edit(&world, "mine", json!({ "managementPolicy": null })).await;
    until_mended(&world).await;
}

#[tokio::test]
async fn a_mend_that_fails_is_told_and_tried_again_not_at_once() {
    let world = described(&[], json!({})).await;
    answers(&world, "PATCH", None, unavailable()).await;
    meddle(&world).await;
    annotate(&world, "mine", "aep-export.dev/requested-at", "1").await;
    let failing = until_reason(&world, "mine", "PlatformUnavailable").await;
    assert_eq!(true_conditions(&failing), ["Reconciling"]);
    let drift = failing.status.unwrap().drift;
    assert_eq!(drift.len(), 4);
    world.event("mine", "PlatformUnavailable").await;
    assert_tries_apart(&world, "PATCH").await;
    world.simulator.delete("faults").await;
    until_mended(&world).await;
}

#[tokio::test]
async fn a_mend_without_the_right_to_it_stalls_and_an_edit_is_tried_at_once() {
    let world = described(&[], json!({})).await;
    let forbidden = json!({ "reply": { "status": 403, "body": { "title": "Forbidden" } } });
    answers(&world, "PATCH", Some(1), forbidden).await;
    let name = json!({ "dataset": { "name": "Monthly" } });
    edit(&world, "mine", name).await;
    let stalled = until_reason(&world, "mine", "AccessDenied").await;
    assert_eq!(true_conditions(&stalled), ["Stalled"]);
    edit(&world, "mine", json!({ "dataset": { "name": "Yearly" } })).await;
    until_ready(&world, "mine").await;
    assert_eq!(only(&world).await["name"], "Yearly");
}

#[tokio::test]
async fn a_mend_that_has_no_effect_is_asked_for_again_and_not_without_end() {
    let world = described(&[], json!({})).await;
    let ignored = json!({ "reply": { "status": 200, "body": ["@/dataSets/x"], "commit": false } });
    answers(&world, "PATCH", Some(2), ignored).await;
    meddle(&world).await;
    annotate(&world, "mine", "aep-export.dev/requested-at", "1").await;
    let waiting = |d: &ProfileDataset| {
        let said = condition(d, "Reconciling").map(|c| c.message);
        said.is_some_and(|said| said.contains("does not show it"))
    };
    let waiting = world.until("mine", "waiting", waiting).await;
    assert_eq!(reason(&waiting, "Ready"), "Mending");
    until_mended(&world).await;
    assert_eq!(calls(&world, "PATCH").await, 3);
}

#[tokio::test]
async fn what_is_mended_shows_as_not_ready_meanwhile() {
    let world = described(&[], json!({})).await;
    answers(
        &world,
        "PATCH",
        Some(1),
        json!({ "delayMilliseconds": 1000 }),
    )
    .await;
    meddle(&world).await;
    annotate(&world, "mine", "aep-export.dev/requested-at", "1").await;
    let mending = until_reason(&world, "mine", "Mending").await;
    assert_eq!(true_conditions(&mending), ["Reconciling"]);
    until_mended(&world).await;
}

#[tokio::test]
async fn a_schema_that_differs_is_told_and_never_mended() {
    let world = World::start("dataset").await;
    world.connect().await;
    let mut spec = owned("Weekly");
    let version = |version| format!("application/vnd.adobe.xed+json;version={version}");
    spec["dataset"]["schemaRef"] = json!({ "id": UNION, "contentType": version(1) });
    world.create::<ProfileDataset>("mine", spec).await;
    until_ready(&world, "mine").await;
    change(&world, |body| {
        body["schemaRef"]["contentType"] = json!(version(2));
        body["name"] = json!("Renamed");
    })
    .await;
    let stalled = reconcile(&world, "mine", "1").await;
    assert_eq!(reason(&stalled, "Stalled"), "SchemaDiffers");
    change(&world, |body| {
        body["schemaRef"]["id"] = json!("https://ns.adobe.com/other");
    })
    .await;
    let stalled = reconcile(&world, "mine", "2").await;
    assert_eq!(reason(&stalled, "Stalled"), "NotOnUnionSchema");
    assert_eq!(calls(&world, "PATCH").await, 0);
}

#[tokio::test]
async fn a_dataset_that_is_deleted_in_the_catalog_is_made_again_only_by_a_person() {
    let world = furnished(json!({})).await;
    let id = world.dataset_id("mine").await;
    world.simulator.delete(&format!("datasets/{id}")).await;
    let stalled = reconcile(&world, "mine", "1").await;
    assert_eq!(reason(&stalled, "Stalled"), "DatasetMissing");
    let said = condition(&stalled, "Stalled").unwrap().message;
    assert!(
        said.contains(&id) && said.contains("kubectl delete"),
        "{said}"
    );
    world
        .create::<ExportJob>("into-it", export_into("mine"))
        .await;
    let waits = |e: &ExportJob| reason(e, "Stalled") == "DatasetStalled";
    world.until("into-it", "waiting", waits).await;
    reconcile(&world, "mine", "2").await;
    assert_eq!(all(&world).await.len(), 1);
    world.delete::<ProfileDataset>("mine").await;
    world.until_gone::<ProfileDataset>("mine").await;
    world
        .create::<ProfileDataset>("mine", with(&json!({})))
        .await;
    until_ready(&world, "mine").await;
    assert_eq!(all(&world).await.len(), 2);
    world.until_phase("into-it", "Succeeded").await;
}
