//! Whose a dataset is: taken up, taken over, or left to its owner.

use super::*;

const ELSEWHERE: &str = "5b0000000000000000000007";

/// Puts a dataset into the Catalog that says so of its owner.
async fn seed(world: &World, owner: &str) {
    let object = owner.split_once('/').unwrap().1;
    let body = json!({
        "name": "Made elsewhere",
        "schemaRef": { "id": UNION },
        "tags": { OWNER: [owner], OBJECT: [object], UID: ["another"], "team": ["sales"] },
    });
    let dataset = json!({ "id": ELSEWHERE, "body": body });
    world.simulator.post("datasets", dataset).await;
}

/// How many calls may have changed a dataset.
async fn writes(world: &World) -> usize {
    calls(world, "POST").await + calls(world, "PATCH").await + calls(world, "DELETE").await
}

#[tokio::test]
async fn an_object_that_was_made_again_puts_its_own_uid_on_what_it_takes_up() {
    let world = furnished(json!({})).await;
    let first = get(&world, "mine").await;
    world.delete::<ProfileDataset>("mine").await;
    world.until_gone::<ProfileDataset>("mine").await;
    world
        .create::<ProfileDataset>("mine", with(&json!({})))
        .await;
    let second = until_ready(&world, "mine").await;
    let note = world.event("mine", "Mended").await;
    assert!(note.contains("tags.aep-export.dev/uid"), "{note}");
    let dataset = only(&world).await;
    assert_ne!(first.uid(), second.uid());
    assert_eq!(dataset["tags"][UID], json!([second.uid().unwrap()]));
    let taken_up = second.status.unwrap().target.unwrap();
    assert_eq!(taken_up.sandbox, "prod");
    let events = world.events_of("mine").await;
    let taken = |(_, note): &(String, String)| note.contains("taken up");
    assert!(events.iter().any(taken), "{events:?}");
}

#[tokio::test]
async fn what_cannot_be_changed_of_a_dataset_is_immutable_for_who_took_it_up() {
    let world = furnished(json!({})).await;
    world.delete::<ProfileDataset>("mine").await;
    world.until_gone::<ProfileDataset>("mine").await;
    world
        .create::<ProfileDataset>("mine", with(&json!({})))
        .await;
    until_ready(&world, "mine").await;
    let other = json!({ "spec": { "dataset": { "fileDescription": { "format": "csv" } } } });
    let refused = world.patch::<ProfileDataset>("mine", other).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("fileDescription is immutable"), "{said}");
}

#[tokio::test]
async fn a_lost_clusters_dataset_is_taken_over_by_the_line_in_the_message() {
    let world = World::start("dataset").await;
    world.connect().await;
    let owner = format!("lost-cluster/{}/mine", world.namespace);
    seed(&world, &owner).await;
    world
        .create::<ProfileDataset>("mine", with(&json!({})))
        .await;
    let stalled = until_reason(&world, "mine", "OwnedByAnotherCluster").await;
    assert_eq!(true_conditions(&stalled), ["Stalled"]);
    let said = condition(&stalled, "Stalled").unwrap().message;
    assert!(said.contains(ELSEWHERE) && said.contains(&owner), "{said}");
    assert_eq!(stalled.status.unwrap().dataset_id, None);
    assert_eq!(writes(&world).await, 0);
    let (_, line) = said.split_once("kubectl ").unwrap();
    let (line, patch) = line.split_once(" -p '").unwrap();
    let (patch, _) = patch.split_once('\'').unwrap();
    let args: Vec<&str> = line.split(' ').chain(["-p", patch]).collect();
    world.kubectl(&args);
    let ready = until_ready(&world, "mine").await;
    let status = ready.status.clone().unwrap();
    assert_eq!(status.dataset_id.as_deref(), Some(ELSEWHERE));
    assert_eq!(status.owned, Some(true));
    let dataset = only(&world).await;
    let tags = &dataset["tags"];
    assert_eq!(tags[UID], json!([ready.uid().unwrap()]));
    assert_eq!(tags[OWNER], json!([status.owner.unwrap()]));
    assert_ne!(tags[OWNER], json!([owner]));
    assert_eq!(tags["team"], json!(["sales"]), "nobody's but theirs");
    assert_eq!(dataset["name"], "Profile Data Export");
    let note = world.event("mine", "TakenOver").await;
    assert!(note.contains(&owner), "{note}");
}

#[tokio::test]
async fn a_dataset_is_taken_over_at_once_where_the_spec_says_so_from_the_start() {
    let world = World::start("dataset").await;
    world.connect().await;
    seed(&world, &format!("lost-cluster/{}/mine", world.namespace)).await;
    // The first answer is lost, and nobody knows whether it took effect.
    let lost = json!({ "lose": { "how": "close", "commit": true } });
    answers(&world, "PATCH", Some(1), lost).await;
    let always = with(&json!({ "adoptionPolicy": "Always" }));
    world.create::<ProfileDataset>("mine", always).await;
    until_ready(&world, "mine").await;
    assert_eq!(only(&world).await["id"], ELSEWHERE);
    assert_eq!(calls(&world, "POST").await, 0);
}

#[tokio::test]
async fn who_lost_a_dataset_to_another_cluster_writes_nothing_to_it_any_more() {
    let world = furnished(json!({ "adoptionPolicy": "Always", "deletionPolicy": "Delete" })).await;
    let owner = format!("another-cluster/{}/mine", world.namespace);
    change(&world, |body| body["tags"][OWNER] = json!([owner])).await;
    reconcile(&world, "mine", "1").await;
    let stalled = until_reason(&world, "mine", "OwnedByAnotherCluster").await;
    assert_eq!(true_conditions(&stalled), ["Stalled"]);
    let said = condition(&stalled, "Stalled").unwrap().message;
    assert!(said.contains(&owner), "{said}");
    let status = stalled.status.unwrap();
    assert_eq!((status.owned, status.owner), (Some(false), Some(owner)));
    let before = writes(&world).await;
    edit(&world, "mine", json!({ "dataset": { "name": "Mine" } })).await;
    reconcile(&world, "mine", "2").await;
    world
        .create::<ExportJob>("into-it", export_into("mine"))
        .await;
    let waits = |e: &ExportJob| reason(e, "Stalled") == "DatasetStalled";
    world.until("into-it", "waiting", waits).await;
    world.delete::<ProfileDataset>("mine").await;
    world.until_gone::<ProfileDataset>("mine").await;
    let note = world.event("mine", "DatasetKept").await;
    assert!(note.contains("another-cluster"), "{note}");
    assert_eq!(writes(&world).await, before);
    assert!(only(&world).await["deletedAt"].is_null());
}

#[tokio::test]
async fn a_dataset_that_another_object_claims_is_left_to_it() {
    let world = furnished(json!({})).await;
    let tags = only(&world).await["tags"].clone();
    let other = tags[OWNER][0].as_str().unwrap().replace("/mine", "/theirs");
    change(&world, |body| body["tags"][OWNER] = json!([other])).await;
    reconcile(&world, "mine", "1").await;
    let stalled = until_reason(&world, "mine", "OwnedByAnother").await;
    let said = condition(&stalled, "Stalled").unwrap().message;
    assert!(said.contains(&other), "{said}");
    assert_eq!(calls(&world, "PATCH").await, 0);
}

#[tokio::test]
async fn who_only_reads_a_dataset_sees_whose_it_is_and_writes_nothing() {
    let world = furnished(json!({})).await;
    let id = world.dataset_id("mine").await;
    let spec = json!({ "connectionRef": { "name": "prod" }, "datasetId": id });
    world.create::<ProfileDataset>("theirs", spec).await;
    let reader = until_ready(&world, "theirs").await;
    let owner = format!("/{}/mine", world.namespace);
    let said = condition(&reader, "Ready").unwrap().message;
    assert!(said.contains(&owner), "{said}");
    let status = reader.status.unwrap();
    assert_eq!(status.owned, Some(false));
    assert!(status.owner.unwrap().ends_with(&owner));
    let before = writes(&world).await;
    change(&world, |body| body["name"] = json!("Renamed")).await;
    reconcile(&world, "theirs", "1").await;
    world.delete::<ProfileDataset>("theirs").await;
    world.until_gone::<ProfileDataset>("theirs").await;
    assert_eq!(writes(&world).await, before);
}

#[tokio::test]
async fn a_status_that_names_a_dataset_of_nobody_or_of_others_steers_nothing() {
    for tags in [json!({}), json!({ OWNER: ["here/other/object"] })] {
        let mut world = World::without_operator("dataset").await;
        let body = json!({ "name": "Customers", "schemaRef": { "id": UNION }, "tags": tags });
        let theirs = json!({ "id": ELSEWHERE, "body": body });
        world.simulator.post("datasets", theirs).await;
        let policies = json!({ "deletionPolicy": "Delete", "adoptionPolicy": "Always" });
        world
            .create::<ProfileDataset>("forged", with(&policies))
            .await;
        let status = json!({ "datasetId": ELSEWHERE, "owned": true });
        world.write_status::<ProfileDataset>("forged", status).await;
        world.start_operator(&[]).await;
        world.connect().await;
        let stalled = |d: &ProfileDataset| {
            let reason = reason(d, "Stalled");
            reason == "OwnerTagMissing" || reason == "OwnedByAnotherCluster"
        };
        world.until("forged", "stalled", stalled).await;
        world.delete::<ProfileDataset>("forged").await;
        world.until_gone::<ProfileDataset>("forged").await;
        world.event("forged", "DatasetKept").await;
        assert_eq!(writes(&world).await, 0);
        assert!(only(&world).await["deletedAt"].is_null());
    }
}
