//! Every sample request, as an object, reaches the platform value for value.

use aep_export_operator::api::ProfileDataset;
use serde_json::json;

use super::{
    DATASETS, PROFILE_DATASET, SEGMENTATION_DATASET, file, files_below, request, seed_dataset,
};
use crate::harness::{World, conditions, is};

/// A sample request.
struct Sample {
    /// The example and the fixture, without `.yaml` and `.json`.
    name: &'static str,
    /// The example's object.
    object: &'static str,
    /// The guide's section.
    section: &'static str,
}

/// Profile guide: the datasets.
const PROFILE_DATASETS: [Sample; 2] = [
    Sample {
        name: "profile-guide/create-dataset",
        object: "profile-data-export",
        section: "Create a target dataset (pt-BR; ja, 2023)",
    },
    Sample {
        name: "profile-guide/create-dataset-with-file-description",
        object: "profile-data-export-persisted",
        section: "Create a target dataset (zh-Hant, 2020; fr)",
    },
];

/// Profile guide: the exports, the same in all its editions (zh-Hant, 2020; fr; pt-BR; ja, 2023).
const PROFILE_EXPORTS: [Sample; 3] = [
    Sample {
        name: "profile-guide/export-profiles-and-events",
        object: "profiles-and-events",
        section: "Initiate export job",
    },
    Sample {
        name: "profile-guide/export-profiles-only",
        object: "profiles-only",
        section: "Additional export payload examples: profile data only",
    },
    Sample {
        name: "profile-guide/export-events-only",
        object: "events-only",
        section: "Additional export payload examples: event data only",
    },
];

/// Segmentation guide (zh-Hant, 2023): the export.
const SEGMENTATION_EXPORT: Sample = Sample {
    name: "segmentation-guide/export-segments",
    object: "segments",
    section: "Create a new export job",
};

/// Examples that are no sample requests; `demo.rs` covers them.
const OTHERS: [&str; 5] = [
    "cluster-connection",
    "connection",
    "demo/connection",
    "demo/dataset",
    "demo/exports",
];

#[test]
fn every_example_is_covered_and_every_fixture_has_its_example() {
    let samples = PROFILE_DATASETS
        .iter()
        .chain(&PROFILE_EXPORTS)
        .chain([&SEGMENTATION_EXPORT]);
    let mut fixtures: Vec<&str> = samples.map(|sample| sample.name).collect();
    fixtures.sort_unstable();
    assert_eq!(files_below("tests/fixtures", "json"), fixtures);
    let mut examples = [fixtures.as_slice(), &OTHERS].concat();
    examples.sort_unstable();
    assert_eq!(files_below("examples", "yaml"), examples);
}

#[tokio::test]
async fn profile_guide_create_a_target_dataset_sends_the_documented_requests() {
    let world = World::start("profile-datasets").await;
    let flavour = json!({ "flavour": "profile" });
    world.simulator.put("switches", flavour).await;
    let next = json!({ "nextDatasetId": PROFILE_DATASET });
    world.simulator.put("defaults", next).await;
    world.connect().await;
    for Sample {
        name,
        object,
        section,
    } in PROFILE_DATASETS
    {
        let before = world.simulator.calls("POST", DATASETS).await.len();
        apply(&world, name);
        let dataset = world
            .until::<ProfileDataset>(object, "Ready", |d| is(&conditions(d), "Ready", "True"))
            .await;
        let calls = world.simulator.calls("POST", DATASETS).await;
        assert_eq!(calls.len(), before + 1, "{section}");
        let mut body = calls[before]["body"].clone();
        let tags = body.as_object_mut().unwrap().remove("tags").unwrap();
        assert_eq!(body, request(name), "{section}");
        let tags: Vec<_> = tags.as_object().unwrap().keys().cloned().collect();
        let identity = ["object", "owner", "uid"].map(|tag| format!("aep-export.dev/{tag}"));
        assert_eq!(tags, identity, "{section}: nothing but the identity");
        let id = dataset.status.unwrap().dataset_id.unwrap();
        assert_eq!(before == 0, id == PROFILE_DATASET, "{section}: {id}");
    }
}

#[tokio::test]
async fn profile_guide_export_jobs_sends_the_documented_requests() {
    let world = World::start("profile-exports").await;
    seed_dataset(&world.simulator, PROFILE_DATASET).await;
    // What this guide's service takes: no filter, no evaluation, only policies that are there.
    let flavour = json!({ "flavour": "profile", "unknownMergePolicy": "refused" });
    world.simulator.put("switches", flavour).await;
    world.connect().await;
    for sample in PROFILE_EXPORTS {
        sends_the_documented_request(&world, &sample, PROFILE_DATASET).await;
    }
}

#[tokio::test]
async fn segmentation_guide_create_a_new_export_job_sends_the_documented_request() {
    let world = World::start("segmentation-export").await;
    seed_dataset(&world.simulator, SEGMENTATION_DATASET).await;
    let flavour = json!({ "flavour": "segmentation", "unknownMergePolicy": "refused" });
    world.simulator.put("switches", flavour).await;
    world.connect().await;
    sends_the_documented_request(&world, &SEGMENTATION_EXPORT, SEGMENTATION_DATASET).await;
}

async fn sends_the_documented_request(world: &World, sample: &Sample, dataset: &str) {
    let Sample {
        name,
        object,
        section,
    } = sample;
    let before = world.simulator.posts().await.len();
    apply(world, name);
    let export = world.until_phase(object, "Succeeded").await;
    let posts = world.simulator.posts().await;
    assert_eq!(posts.len(), before + 1, "{section}: one request");
    assert_eq!(posts[before]["body"], request(name), "{section}");
    let status = export.status.unwrap();
    assert_eq!(status.dataset_id.as_deref(), Some(dataset), "{section}");
    let submission = status.submission.unwrap();
    assert_eq!(posts[before]["requestId"], submission.request_id.as_str());
}

/// Applies an example as a user does.
fn apply(world: &World, name: &str) {
    let path = file(&format!("examples/{name}.yaml"));
    world.kubectl(&["apply", "-f", path.to_str().unwrap()]);
}
