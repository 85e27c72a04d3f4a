//! A shared connection, and what uses it, as kstatus and Argo CD read them.

use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::Shared;
use crate::{contract::kstatus::Kstatus, gitops::Record, harness::reason};

const SHARED: &str = "ClusterPlatformConnection";

impl Shared {
    async fn set_secret(&self, value: &str) {
        let patch = json!({ "stringData": { "client_secret": value } });
        let patched = self.world.patch::<Secret>("aep-credentials", patch).await;
        patched.unwrap();
    }
}

#[tokio::test]
async fn kstatus_and_argo_cd_read_a_shared_connection_in_every_state_as_it_is_meant() {
    let mut shared = Shared::start(json!({})).await;
    let name = shared.name.clone();
    let record = Record::begin(&shared.world);
    record.until(SHARED, &name, "- Verified").await;
    shared.set_secret("wrong").await;
    record.until(SHARED, &name, "- InvalidClient").await;
    shared.world.delete::<Secret>("aep-credentials").await;
    record.until(SHARED, &name, "- SecretNotFound").await;

    // Nobody has seen the edit yet.
    shared.world.stop_operator();
    shared
        .edit(json!({ "budget": { "maxRunningExports": 7 } }))
        .await;
    record.until(SHARED, &name, "not seen").await;
    shared.world.create_credential("aep-credentials").await;
    let flags = ["--connection-recheck", "1s"];
    shared.world.start_operator(&flags).await;
    let ready = |c: &_| reason(c, "Ready") == "Verified";
    shared.until("Ready", ready).await;

    // What cannot be asked for a moment is not ready for that moment, and nothing worse.
    let down = json!({
        "method": "GET", "path": "/data/foundation/sandbox*",
        "action": { "reply": { "status": 503 } },
    });
    shared.world.simulator.fault(down).await;
    record.until(SHARED, &name, "- Verified shaken").await;
    shared.world.simulator.delete("faults").await;

    // Who uses it, and may no more.
    shared.dataset().await;
    shared.until_dataset("Available").await;
    shared.world.simulator.hold_jobs().await;
    shared.world.export("running").await;
    shared.world.until_phase("running", "Running").await;
    shared.select(Value::Null).await;
    shared.until_dataset("NamespaceNotAllowed").await;
    shared.world.export("late").await;
    shared.until_export("late", "DatasetStalled").await;

    // What is deleted goes, in the end.
    let deleted = shared.connections();
    let deleted = deleted.delete(&name, &DeleteParams::default()).await;
    deleted.unwrap();
    record.until(SHARED, &name, "deleted").await;
    shared.end("running").await;
    shared.world.until_phase("running", "Succeeded").await;

    let states = record.end().await;
    for (state, wanted) in [
        ("- Verified", Kstatus::Current),
        ("- InvalidClient", Kstatus::Failed),
        ("- SecretNotFound", Kstatus::InProgress),
        ("not seen", Kstatus::InProgress),
        ("- Verified shaken", Kstatus::InProgress),
        ("deleted", Kstatus::Terminating),
    ] {
        let said = states.get(&format!("{SHARED} {state}"));
        assert_eq!(said, Some(&wanted), "{state} of {states:#?}");
    }
    for state in [
        "ProfileDataset - NamespaceNotAllowed InUse",
        "ExportJob Pending DatasetStalled",
    ] {
        let said = states.get(state);
        assert_eq!(said, Some(&Kstatus::Failed), "{state} of {states:#?}");
    }
}
