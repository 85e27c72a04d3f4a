//! Which edits of an object are refused, before and after its intent is on record.

use futures::{StreamExt, stream};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};

use super::table::{check, create, manifest, objects, refusal, rows};
use crate::harness::World;

/// An edit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What it is.
    case: String,
    /// Of what.
    kind: String,
    /// How the object differs from the kind's base before the edit.
    #[serde(default)]
    from: Value,
    /// Whether the intent to submit is on record.
    #[serde(default)]
    submitted: bool,
    /// The edit, as a merge patch.
    edit: Value,
    /// The field that the refusal names; absent if the edit is accepted.
    at: Option<String>,
    /// What the refusal says.
    says: Option<String>,
}

fn table() -> Vec<Row> {
    rows(include_str!("edits.yaml"))
}

/// The kind, the field and the message of every edit that is refused.
pub fn refused() -> impl Iterator<Item = (String, String, String)> {
    table()
        .into_iter()
        .filter_map(|row| Some((row.kind, row.at?, row.says?)))
}

#[tokio::test]
async fn what_is_immutable_stays_as_it_is_and_all_else_may_be_edited() {
    let world = World::without_operator("edits").await;
    let attempts = table()
        .into_iter()
        .enumerate()
        .map(|(i, row)| attempt(&world, format!("{}-{i}", world.namespace), row));
    let results: Vec<_> = stream::iter(attempts).buffer_unordered(8).collect().await;
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

async fn attempt(world: &World, name: String, row: Row) -> Result<(), String> {
    let Row {
        case,
        kind,
        from,
        submitted,
        edit,
        at,
        says,
    } = row;
    let told = |why| format!("{kind}, {case}: {why}\nwanted {at:?}: {says:?}");
    let before = match &from {
        Value::Null => json!({}),
        _ => from,
    };
    let before = manifest(&kind, &name, &before);
    let created = create(&world.client, &world.namespace, &kind, &before).await;
    created.map_err(|error| told(error.to_string()))?;
    let api = objects(&world.client, &world.namespace, &kind);
    let params = PatchParams::default();
    if submitted {
        let status = Patch::Merge(json!({ "status": { "submission": submission(&kind) } }));
        let recorded = api.patch_status(&name, &params, &status).await;
        recorded.map_err(|error| told(error.to_string()))?;
    }
    let edited = api.patch(&name, &params, &Patch::Merge(&edit)).await;
    if kind == "ClusterPlatformConnection" {
        // It does not go with the namespace.
        let gone = api.delete(&name, &DeleteParams::default()).await;
        gone.map_err(|error| told(error.to_string()))?;
    }
    match &says {
        Some(says) => {
            let status = refusal(edited).map_err(told)?;
            check(&status, at.as_deref(), says).map_err(told)
        }
        None => edited.map(drop).map_err(|error| told(error.to_string())),
    }
}

/// An intent as the operator records it.
fn submission(kind: &str) -> Value {
    let mut submission = json!({
        "try": "0123456789abcdef0123456789abcdef",
        "target": {
            "platform": "https://platform.adobe.io",
            "organizationId": "745F37C35E4B776E0A49421B@AdobeOrg",
            "sandbox": "prod",
        },
        "intentTime": "2026-11-01T00:00:00Z",
        "sendBefore": "2026-11-01T00:00:10Z",
        "settleAfter": "2026-11-01T00:02:30Z",
    });
    if kind == "ExportJob" {
        submission["attempt"] = json!(1);
        submission["requestId"] = json!("0123456789abcdefghijklmnopqrstuv");
        submission["fingerprint"] = json!("0".repeat(64));
    }
    submission
}
