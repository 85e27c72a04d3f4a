//! The finalizer of a dataset, and who uses it.

use super::*;

async fn until_held(world: &World) -> ProfileDataset {
    world.until("mine", "held", is_held).await
}

async fn until_free(world: &World) -> ProfileDataset {
    let free =
        |dataset: &ProfileDataset| !is_held(dataset) && condition(dataset, "InUse").is_none();
    world.until("mine", "free", free).await
}

async fn until_in_use(world: &World) -> ProfileDataset {
    let in_use =
        |dataset: &ProfileDataset| is_held(dataset) && is(&conditions(dataset), "InUse", "True");
    world.until("mine", "in use", in_use).await
}

#[tokio::test]
async fn a_dataset_shows_that_it_is_in_use_from_the_first_export_to_the_last() {
    let world = furnished(json!({})).await;
    run(&world, "first", "mine").await;
    let used = until_in_use(&world).await;
    assert_eq!(true_conditions(&used), ["InUse", "Ready"]);
    run(&world, "second", "mine").await;
    let reads = calls(&world, "GET").await;
    let still = get(&world, "mine").await;
    assert_eq!(still.resource_version(), used.resource_version());
    world.delete::<ExportJob>("first").await;
    world.until_gone::<ExportJob>("first").await;
    let still = get(&world, "mine").await;
    assert_eq!(still.resource_version(), used.resource_version());
    assert_eq!(calls(&world, "GET").await, reads);
    end_all(&world).await;
    let free = until_free(&world).await;
    assert_eq!(true_conditions(&free), ["Ready"]);
    assert_eq!(calls(&world, "GET").await, reads + 1, "for its last batch");
    assert!(free.status.unwrap().last_batch.is_some());
}

#[tokio::test]
async fn the_finalizer_follows_the_policy_and_comes_back_if_somebody_takes_it_off() {
    let world = furnished(json!({ "deletionPolicy": "Delete" })).await;
    assert!(is_held(&get(&world, "mine").await));
    let strip = json!({ "metadata": { "finalizers": null } });
    world
        .patch::<ProfileDataset>("mine", strip.clone())
        .await
        .unwrap();
    until_held(&world).await;
    edit(&world, "mine", json!({ "deletionPolicy": "Retain" })).await;
    until_free(&world).await;
    run(&world, "export", "mine").await;
    until_in_use(&world).await;
    world.patch::<ProfileDataset>("mine", strip).await.unwrap();
    until_in_use(&world).await;
    edit(&world, "mine", json!({ "deletionPolicy": "Delete" })).await;
    end_all(&world).await;
    world.until_phase("export", "Succeeded").await;
    let unused = |d: &ProfileDataset| condition(d, "InUse").is_none();
    let unused = world.until("mine", "not in use", unused).await;
    assert!(is_held(&unused));
    assert_eq!(calls(&world, "DELETE").await, 0);
}

#[tokio::test]
async fn the_finalizer_is_there_before_the_request_to_create() {
    let world = World::start("dataset").await;
    world.connect().await;
    answers(&world, "POST", None, json!({ "delayMilliseconds": 1000 })).await;
    let delete = with(&json!({ "deletionPolicy": "Delete" }));
    world.create::<ProfileDataset>("mine", delete).await;
    eventually("a request", || async {
        match calls(&world, "POST").await {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    assert!(is_held(&get(&world, "mine").await));
    until_ready(&world, "mine").await;
}

#[tokio::test]
async fn a_dataset_that_nobody_uses_goes_without_an_operator() {
    let mut world = furnished(json!({})).await;
    run(&world, "export", "mine").await;
    end_all(&world).await;
    world.until_phase("export", "Succeeded").await;
    until_free(&world).await;
    world.stop_operator();
    world.delete::<ProfileDataset>("mine").await;
    world.until_gone::<ProfileDataset>("mine").await;
    assert!(only(&world).await["deletedAt"].is_null());
}
