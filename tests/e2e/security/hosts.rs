//! T2 and T7: where a credential goes.

use aep_export_operator::api::{ExportJob, PlatformConnection};
use serde_json::json;

use super::{CREDENTIAL, IMS, at, seen, until_reason};
use crate::{
    harness::{World, reason},
    samples::Tenant,
};

#[tokio::test]
async fn a_connection_with_a_host_of_its_owners_never_has_a_token_fetched_for_it() {
    let world = World::start("harvest").await;
    world.create_secret("aep-credentials", &CREDENTIAL).await;
    let theirs = Tenant::start().await;
    let allowed = world.simulator.url();
    let port = theirs.simulator.url().rsplit(':').next().unwrap();
    // Hosts that lead to the machine of whoever wrote them, or to where no credential belongs.
    let hosts = [
        format!("http://localhost:{port}"),
        format!("http://[::1]:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://127.0.0.2:{port}"),
        format!("http://127.0.0.1.nip.example:{port}"),
        "https://169.254.169.254".to_owned(),
        "https://kubernetes.default.svc".to_owned(),
        "https://platform.adobe.io.evil.example".to_owned(),
    ];
    for (number, host) in hosts.iter().enumerate() {
        for (which, spec) in [
            ("platform", at(&world, host, allowed)),
            ("ims", at(&world, allowed, host)),
        ] {
            let name = format!("{which}-{number}");
            let object = json!({
                "apiVersion": "aep-export.dev/v1alpha1",
                "kind": "PlatformConnection",
                "metadata": { "name": name },
                "spec": spec,
            });
            let object: PlatformConnection = serde_json::from_value(object).unwrap();
            let params = kube::api::PostParams::default();
            match world.api().create(&params, &object).await {
                Ok(_) => drop(until_reason(&world, &name, "HostNotAllowed").await),
                // A form that the API does not take in the first place.
                Err(kube::Error::Api(refused)) if refused.code == 422 => {}
                Err(error) => panic!("{host}: {error}"),
            }
        }
    }
    assert_eq!(seen(&theirs).await, json!([]));
    let ledger = world.simulator.ledger().await;
    assert_eq!(ledger["requests"], json!([]), "nor where it is allowed");
}

#[tokio::test]
async fn a_redirect_of_the_identity_service_takes_no_secret_to_another_host() {
    let world = World::start("redirected").await;
    world.create_secret("aep-credentials", &CREDENTIAL).await;
    let theirs = Tenant::start().await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}{IMS}", theirs.simulator.url());
        world.simulator.delete("faults").await;
        let before = world.simulator.calls("POST", IMS).await.len();
        let action = json!({ "reply": { "status": status, "headers": { "Location": to } } });
        let fault = json!({ "path": IMS, "action": action });
        world.simulator.fault(fault).await;
        let name = format!("by-{status}");
        world
            .create::<PlatformConnection>(&name, world.connection_spec())
            .await;
        until_reason(&world, &name, "HostNotAllowed").await;
        let after = world.simulator.calls("POST", IMS).await.len();
        assert!(after > before, "{status}: nothing was asked for");
    }
    assert_eq!(seen(&theirs).await, json!([]));
}

/// What is on record of a submission says where its later calls go. Somebody who may write a status
/// writes a host of theirs into it.
#[tokio::test]
async fn a_target_that_was_forged_into_a_status_is_never_called() {
    let mut world = World::start("target").await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    world.export("forged").await;
    world.until_phase("forged", "Running").await;
    let theirs = Tenant::start().await;
    // The port of an allowed host, so that the allow list alone would let it pass.
    world.stop_operator();
    let target = json!({ "platform": theirs.simulator.url() });
    let status = json!({ "submission": { "target": target } });
    world.write_status::<ExportJob>("forged", status).await;
    world.restart_operator().await;
    // Held until its connection goes where its status says, which it never does.
    let waits = |e: &ExportJob| {
        let reason = reason(e, "Ready");
        reason == "ConnectionNotFound" || reason == "ForeignStatus"
    };
    world.until("forged", "waiting", waits).await;
    world.delete::<ExportJob>("forged").await;
    let leaving = |e: &ExportJob| e.metadata.deletion_timestamp.is_some() && waits(e);
    world.until("forged", "waiting", leaving).await;
    assert_eq!(seen(&theirs).await, json!([]));
}
