//! The umbrella chart of `gitops/helm/`, and what Helm makes of exports.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use aep_control_plane::{Helm, on_stderr, shared};
use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::process::Command;

use super::end;
use crate::harness::{World, conditions, eventually, is, kubectl};

const JOBS: &str = "/data/core/ups/export/jobs";
/// The release with the exports.
const EXPORTS: &str = "marketing-exports";

/// The pinned Helm 4, or the one that the environment names.
fn binary() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let find = || Helm::V4.locate_or_build(&mut on_stderr());
    FOUND
        .get_or_init(|| find().unwrap_or_else(|error| panic!("{error}")))
        .clone()
}

/// Installs or upgrades a release of the chart with values, waits as `flags` say, and gives whether
/// it succeeded and what it said.
async fn upgrade(world: &World, release: &str, values: &Value, flags: &[&str]) -> (bool, String) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("values.json");
    std::fs::write(&file, values.to_string()).unwrap();
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("gitops/helm/marketing");
    let output = Command::new(binary())
        .args(["upgrade", "--install", release])
        .arg(chart)
        .args(["--namespace", &world.namespace])
        .arg("--values")
        .arg(&file)
        .args(flags)
        .env_clear()
        .env("HOME", home.path())
        .env("KUBECONFIG", shared().unwrap().kubeconfig())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

/// The values of a release of exports with these runs of the example.
fn runs(runs: &[&str]) -> Value {
    json!({
        "base": { "enabled": false },
        "exports": { "exports": { "weekly": { "runs": runs } } },
    })
}

/// A world with the release of what exports need, whose jobs run until they are told to end.
async fn world(name: &str) -> World {
    let world = World::start(name).await;
    world.simulator.hold_jobs().await;
    world.create_credential("aep-credentials").await;
    let url = world.simulator.url();
    let base = json!({
        "exports": { "enabled": false },
        "base": { "connection": { "endpoints": { "platform": url, "ims": url } } },
    });
    let wait = ["--wait", "--timeout", "60s"];
    let (installed, said) = upgrade(&world, "marketing-base", &base, &wait).await;
    assert!(installed, "{said}");
    // What helm waited for is so.
    let connection = world.api::<PlatformConnection>().get("prod").await.unwrap();
    assert!(is(&conditions(&connection), "Ready", "True"), "{said}");
    let dataset = world
        .api::<ProfileDataset>()
        .get("weekly-profiles")
        .await
        .unwrap();
    assert!(is(&conditions(&dataset), "Ready", "True"), "{said}");
    world
}

/// Waits until an export is there and runs.
async fn until_running(world: &World, name: &str) {
    let api = world.api::<ExportJob>();
    eventually(&format!("{name} to run"), || async {
        let export = api.get_opt(name).await.map_err(|error| error.to_string())?;
        let status = export.and_then(|export| export.status);
        match status.and_then(|status| status.phase).as_deref() {
            Some("Running") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn helm_waits_for_the_end_of_an_export() {
    let world = world("helm").await;
    let long = ["--wait", "--timeout", "120s"];
    let values = runs(&["1"]);
    let install = upgrade(&world, EXPORTS, &values, &long);
    let job = async {
        until_running(&world, "weekly-1").await;
        end(&world, "weekly-1", "release").await;
    };
    let ((installed, said), ()) = tokio::join!(install, job);
    assert!(installed, "{said}");
    let export = world.get("weekly-1").await;
    assert!(is(&conditions(&export), "Complete", "True"));
    // By this mark it is known that Helm would create it again.
    assert_eq!(export.annotations()["meta.helm.sh/release-name"], EXPORTS);
}

#[tokio::test]
async fn one_old_failed_export_makes_helms_wait_fail_until_its_manifest_is_removed() {
    let world = world("helm").await;
    let long = ["--wait", "--timeout", "20s"];
    let values = runs(&["1"]);
    let install = upgrade(&world, EXPORTS, &values, &long);
    let job = async {
        until_running(&world, "weekly-1").await;
        end(&world, "weekly-1", "fail").await;
    };
    let ((installed, said), ()) = tokio::join!(install, job);
    assert!(!installed, "{said}");
    assert!(said.contains("weekly-1"), "{said}");
    world.until_phase("weekly-1", "Failed").await;

    // The next run is well, and the release is not.
    let outcome = json!({ "outcome": "succeed" });
    world.simulator.put("defaults", outcome).await;
    let (upgraded, said) = upgrade(&world, EXPORTS, &runs(&["1", "2"]), &long).await;
    assert!(!upgraded, "{said}");
    let which = "weekly-1 not ready. status: Failed, message: the platform says";
    assert!(said.contains(which), "{said}");
    world.until_phase("weekly-2", "Succeeded").await;

    let (upgraded, said) = upgrade(&world, EXPORTS, &runs(&["2"]), &long).await;
    assert!(upgraded, "{said}");
    world.until_gone::<ExportJob>("weekly-1").await;
    assert_eq!(world.simulator.posts().await.len(), 2);
}

#[tokio::test]
async fn a_rollback_after_too_short_a_time_deletes_and_so_cancels_an_export_that_runs() {
    let world = world("helm").await;
    let short = ["--rollback-on-failure", "--timeout", "10s"];
    // Of an install nothing stays; an upgrade goes back to what was there before.
    for (name, before) in [("1", None), ("2", Some(runs(&[])))] {
        if let Some(before) = before {
            let (installed, said) = upgrade(&world, EXPORTS, &before, &["--wait"]).await;
            assert!(installed, "{said}");
        }
        let (upgraded, said) = upgrade(&world, EXPORTS, &runs(&[name]), &short).await;
        assert!(!upgraded, "{said}");
        world
            .until_gone::<ExportJob>(&format!("weekly-{name}"))
            .await;
    }
    let jobs = world.simulator.jobs().await;
    assert_eq!(jobs.len(), 2, "{jobs:#?}");
    assert!(
        jobs.iter().all(|job| job["status"] == "CANCELLED"),
        "{jobs:#?}"
    );
    assert_eq!(world.simulator.calls("DELETE", JOBS).await.len(), 2);
}

#[tokio::test]
async fn without_remediation_an_export_outlives_the_time_that_helm_waited() {
    let world = world("helm").await;
    let short = ["--wait", "--timeout", "10s"];
    let (installed, said) = upgrade(&world, EXPORTS, &runs(&["1"]), &short).await;
    assert!(!installed, "{said}");
    until_running(&world, "weekly-1").await;
    end(&world, "weekly-1", "release").await;
    world.until_phase("weekly-1", "Succeeded").await;
    let (upgraded, said) = upgrade(&world, EXPORTS, &runs(&["1"]), &short).await;
    assert!(upgraded, "{said}");
    assert_eq!(world.simulator.posts().await.len(), 1);
    assert!(world.simulator.calls("DELETE", JOBS).await.is_empty());
}

#[tokio::test]
async fn a_helm_hook_is_not_waited_for() {
    let world = world("hook").await;
    let mut values = runs(&[]);
    values["exports"]["annotations"] = json!({ "helm.sh/hook": "post-install" });
    values["exports"]["exports"]["weekly"]["runs"] = json!(["1"]);
    let long = ["--wait", "--timeout", "60s"];
    let (installed, said) = upgrade(&world, EXPORTS, &values, &long).await;
    assert!(installed, "{said}");
    // Helm is done, and the export runs on.
    until_running(&world, "weekly-1").await;
    let wait = [
        "wait",
        "exportjob/weekly-1",
        "--for=jsonpath={.status.completionTime}",
    ];
    let short = [&wait[..], &["--timeout=1s"]].concat();
    let (ended, said) = kubectl(&world.namespace, &short, None);
    assert!(!ended, "{said}");
    end(&world, "weekly-1", "release").await;
    let long = [&wait[..], &["--timeout=60s"]].concat();
    let (ended, said) = kubectl(&world.namespace, &long, None);
    assert!(ended, "{said}");
}
