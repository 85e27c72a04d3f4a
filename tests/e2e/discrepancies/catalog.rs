//! The client's calls to the Catalog, the sandbox service and IMS, against the tenant's own checks.

use aep_export_operator::{
    governor::Permit,
    platform::{
        BatchId, BatchState, Consequence, CredentialPart, DatasetId, PatchOperation, Platform,
    },
};
use serde_json::{Value, json};

use super::{Case, DATASET, Turns, case, open_fence, switches_of};
use crate::{
    harness::eventually,
    samples::{DATASETS, JOBS, Tenant, UNION, client, seed_dataset},
};

fn dataset(tags: &Value) -> Value {
    json!({
        "name": "Profile Data Export",
        "schemaRef": { "id": UNION, "contentType": "application/vnd.adobe.xed+json;version=1" },
        "tags": tags,
    })
}

async fn tags_of(platform: &Platform, id: &DatasetId) -> Value {
    let dataset = platform.dataset(id).await.unwrap().unwrap();
    json!(dataset.tags)
}

/// Whether a partial object or a whole one takes the tags' place does not matter to JSON Patch;
/// nor does what the Catalog answers when there is nothing to delete.
fn catalogs() -> Vec<Case<()>> {
    vec![
        case(0, json!({ "patchTags": "replace" }), ()),
        case(0, json!({ "patchTags": "merge" }), ()),
        case(0, json!({ "datasetDeleteMissing": "emptyList" }), ()),
        case(0, json!({ "datasetDeleteMissing": "notFound" }), ()),
    ]
}

#[tokio::test]
async fn a_dataset_is_created_read_changed_and_deleted() {
    let mut turns = Turns::start().await;
    for case in catalogs() {
        let tenant = turns.begin(&case).await;
        let (simulator, platform) = (&tenant.simulator, tenant.platform());
        let body = dataset(&json!({ "team": ["marketing"] }));
        let id = platform
            .create_dataset(&body, &open_fence(platform), Permit::free())
            .await
            .unwrap();
        let read = platform.dataset(&id).await.unwrap().unwrap();
        assert_eq!(read.name.as_deref(), Some("Profile Data Export"));
        assert_eq!(read.schema_id.as_deref(), Some(UNION));
        assert_eq!(json!(read.tags), json!({ "team": ["marketing"] }));

        let changes = [
            PatchOperation::Add("/tags/owner".to_owned(), json!(["a"])),
            PatchOperation::Replace("/tags/team".to_owned(), json!(["sales", "finance"])),
            PatchOperation::Add("/description".to_owned(), json!("Weekly")),
        ];
        platform.patch_dataset(&id, &changes).await.unwrap();
        let read = platform.dataset(&id).await.unwrap().unwrap();
        assert_eq!(read.description.as_deref(), Some("Weekly"));
        let tags = json!({ "owner": ["a"], "team": ["sales", "finance"] });
        assert_eq!(json!(read.tags), tags);
        let gone = [PatchOperation::Remove("/tags/team".to_owned())];
        platform.patch_dataset(&id, &gone).await.unwrap();
        assert_eq!(tags_of(platform, &id).await, json!({ "owner": ["a"] }));

        platform.delete_dataset(&id).await.unwrap();
        assert_eq!(platform.dataset(&id).await.unwrap(), None);
        platform.delete_dataset(&id).await.unwrap();
        let error = platform.patch_dataset(&id, &gone).await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::NotFound);
        assert_eq!(error.title(), Some("NotFoundError: DataSet not found."));
        let path = format!("{DATASETS}/{id}");
        assert_eq!(simulator.calls("DELETE", &path).await.len(), 2);
    }
}

#[tokio::test]
async fn datasets_are_found_by_all_of_their_tags_and_those_exactly() {
    let tenant = Tenant::start().await;
    let (simulator, platform) = (&tenant.simulator, tenant.platform());
    let tagged = [
        ("one", json!({ "owner": ["a"], "uid": ["1"] })),
        ("two", json!({ "owner": ["a", "b"], "uid": ["2"] })),
        ("three", json!({ "owner": ["ab"], "uid": ["1"] })),
    ];
    for (id, tags) in &tagged {
        let seed = json!({ "id": id, "body": dataset(tags) });
        simulator.post("datasets", seed).await;
    }
    let found = |tags: Vec<(&'static str, &'static str)>| async move {
        let found = platform.datasets_by_tags(&tags).await.unwrap();
        let mut ids: Vec<String> = found.iter().map(|it| it.id.to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(found(vec![("owner", "a")]).await, ["one", "two"]);
    assert_eq!(found(vec![("owner", "b")]).await, ["two"]);
    assert_eq!(found(vec![("owner", "a"), ("uid", "1")]).await, ["one"]);
    assert_eq!(found(vec![("owner", "c")]).await, [""; 0]);
    let error = platform
        .datasets_by_tags(&[("owner", "*")])
        .await
        .unwrap_err();
    assert_eq!(
        error.consequence(),
        Consequence::Rejected,
        "a star would find all"
    );
}

/// The tag query lags behind.
fn lags() -> Vec<Case<()>> {
    vec![case(0, json!({ "tagQueryLagSeconds": 1_000_000 }), ())]
}

#[tokio::test]
async fn a_new_dataset_may_be_found_by_its_tag_only_later() {
    let mut turns = Turns::start().await;
    for case in lags() {
        let tenant = turns.begin(&case).await;
        let (simulator, platform) = (&tenant.simulator, tenant.platform());
        let body = dataset(&json!({ "owner": ["a"] }));
        let id = platform
            .create_dataset(&body, &open_fence(platform), Permit::free())
            .await
            .unwrap();
        assert_eq!(
            platform.datasets_by_tags(&[("owner", "a")]).await.unwrap(),
            []
        );
        let now = json!({ "tagQueryLagSeconds": 0 });
        simulator.put("switches", now).await;
        let found = platform.datasets_by_tags(&[("owner", "a")]).await.unwrap();
        assert_eq!(found[0].id, id);
    }
}

#[tokio::test]
async fn the_sandboxes_are_those_of_the_credential() {
    let tenant = Tenant::start().await;
    let (simulator, platform) = (&tenant.simulator, tenant.platform());
    let sandbox = |name: &str, kind: &str, state: &str, region: &str| json!({ "name": name, "type": kind, "state": state, "region": region });
    let sandboxes = json!([
        sandbox("prod", "production", "active", "VA7"),
        sandbox("dev-1", "development", "creating", "NLD2"),
    ]);
    simulator
        .put("sandboxes", json!({ "sandboxes": sandboxes }))
        .await;
    let seen = platform.sandboxes().await.unwrap();
    let seen: Vec<Value> = seen
        .iter()
        .map(|it| {
            let [kind, state, region] =
                [&it.kind, &it.state, &it.region].map(|it| it.as_deref().unwrap());
            sandbox(&it.name, kind, state, region)
        })
        .collect();
    assert_eq!(json!(seen), sandboxes);
}

#[tokio::test]
async fn a_batch_tells_of_its_status_and_of_what_is_in_it() {
    let tenant = Tenant::start().await;
    let (simulator, platform) = (&tenant.simulator, tenant.platform());
    seed_dataset(simulator, DATASET).await;
    let job = json!({ "id": 7, "datasetId": DATASET, "outcome": "hold" });
    simulator.post("jobs", job).await;
    let jobs = platform.export_jobs(None, 10).await.unwrap().jobs;
    let id = &jobs[0].batches[0].id;
    let before = platform.batch(id).await.unwrap().unwrap();
    assert_eq!(BatchState::of(&before.status), BatchState::Pending);
    assert_eq!(
        (before.records, before.files, before.bytes),
        (None, None, None)
    );
    let end = json!({ "outcome": "release", "finishNow": true });
    simulator.put("jobs/7", end).await;
    let after = platform.batch(id).await.unwrap().unwrap();
    assert_eq!(BatchState::of(&after.status), BatchState::Readable);
    assert_eq!(
        (after.records, after.files, after.bytes),
        (Some(20), Some(1), Some(10_240))
    );
    let unknown = BatchId::new("da5cfb4de32c4b93a09f7e37fa53ad52");
    assert_eq!(platform.batch(&unknown).await.unwrap(), None);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let tenant = Tenant::start().await;
    let (simulator, platform) = (&tenant.simulator, tenant.platform());
    let short = json!({ "tokenLifetimeSeconds": 3 });
    simulator.put("credentials", short).await;
    eventually("another token", || async {
        platform.sandboxes().await.unwrap();
        let issued = simulator.ledger().await["tokens"]["issued"].clone();
        if issued.as_u64() >= Some(2) {
            Ok(())
        } else {
            Err(issued.to_string())
        }
    })
    .await;
    let calls = simulator.calls("GET", "/data/").await;
    let refused = calls.iter().filter(|call| call["status"] == 401).count();
    assert_eq!(refused, 0, "no call met the end of its token");
}

#[tokio::test]
async fn a_token_that_is_revoked_costs_one_call_and_not_its_answer() {
    let tenant = Tenant::start().await;
    let (simulator, platform) = (&tenant.simulator, tenant.platform());
    platform.sandboxes().await.unwrap();
    simulator
        .put("credentials", json!({ "revokeTokens": true }))
        .await;
    assert_eq!(platform.sandboxes().await.unwrap().len(), 1);
    let statuses = |calls: Vec<Value>| -> Vec<Value> {
        calls.iter().map(|call| call["status"].clone()).collect()
    };
    let calls = simulator
        .calls("GET", "/data/foundation/sandbox-management")
        .await;
    assert_eq!(statuses(calls), [200, 401, 200]);
    assert_eq!(simulator.ledger().await["tokens"]["issued"], 2);

    // The creation of a dataset too: the gateway's own 401 proves that nobody has seen it.
    simulator
        .put("credentials", json!({ "revokeTokens": true }))
        .await;
    platform
        .create_dataset(&dataset(&json!({})), &open_fence(platform), Permit::free())
        .await
        .unwrap();
    let calls = simulator.calls("POST", DATASETS).await;
    assert_eq!(statuses(calls), [401, 201]);
}

#[tokio::test]
async fn a_credential_that_is_wrong_is_told_apart_by_its_part() {
    let tenant = Tenant::start().await;
    let changes = [
        (
            json!({ "clientSecrets": ["another"] }),
            CredentialPart::ClientSecret,
        ),
        (json!({ "clientId": "another" }), CredentialPart::ClientId),
    ];
    for (change, part) in changes {
        tenant.simulator.put("credentials", change).await;
        let error = client(&tenant.simulator).sandboxes().await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::CredentialRejected(part));
    }
}

#[tokio::test]
async fn another_organisation_and_an_unknown_sandbox_are_forbidden() {
    let tenant = Tenant::start().await;
    let (simulator, platform) = (&tenant.simulator, tenant.platform());
    simulator
        .put("sandboxes", json!({ "sandboxes": [{ "name": "dev" }] }))
        .await;
    let error = platform.export_jobs(None, 1).await.unwrap_err();
    assert_eq!(error.consequence(), Consequence::Forbidden);
    assert_eq!(error.code(), Some("403025"));
    let other = json!({ "organizationId": "1BD6382559DF0C130A49422D@AdobeOrg" });
    simulator.put("credentials", other).await;
    let error = platform.export_jobs(None, 1).await.unwrap_err();
    assert_eq!(error.consequence(), Consequence::Forbidden);
    assert_eq!(error.code(), Some("403027"));
    assert_eq!(
        simulator.calls("GET", JOBS).await.len(),
        2,
        "neither is asked again"
    );
}

/// The switches that this file has cases for.
pub(super) fn covered() -> Vec<Value> {
    [switches_of(catalogs()), switches_of(lags())].concat()
}
