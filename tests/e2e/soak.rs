//! What comes and goes leaves nothing behind in the operator.

use std::collections::BTreeMap;

use aep_export_operator::api::{ExportJob, ProfileDataset};
use serde_json::json;

use crate::harness::{SHORT_WINDOWS, World, conditions, eventually, export_into, is};

/// Objects of one wave.
const WAVE: usize = 40;

/// What the operator has at one moment.
struct Taken {
    files: usize,
    tasks: u64,
    resident_kilobytes: u64,
}

/// The values of a metric by its one label, or by nothing.
async fn values(world: &World, metric: &str) -> BTreeMap<String, u64> {
    let page = world.admin_page("/metrics").await;
    let lines = page.lines().filter(|line| line.starts_with(metric));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let label = name.split('"').nth(1).unwrap_or_default();
            (label.to_owned(), value.parse().unwrap())
        })
        .collect()
}

async fn taken(world: &World) -> Taken {
    let process = format!("/proc/{}", world.operator_id());
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let resident = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let resident = resident.split_whitespace().nth(1).unwrap();
    let tasks = values(world, "aep_export_operator_tasks").await;
    Taken {
        files: std::fs::read_dir(format!("{process}/fd")).unwrap().count(),
        tasks: tasks[""],
        resident_kilobytes: resident.parse().unwrap(),
    }
}

/// Exports and datasets that come, do what they are for, and go.
async fn wave(world: &World, number: usize) {
    let export = |at: usize| format!("wave-{number}-{at}");
    for at in 0..WAVE {
        world
            .create::<ExportJob>(&export(at), export_into("profiles"))
            .await;
    }
    let dataset = format!("wave-{number}");
    let spec = json!({ "connectionRef": { "name": "prod" }, "dataset": { "name": dataset } });
    world.create::<ProfileDataset>(&dataset, spec).await;
    for at in 0..WAVE {
        world.until_phase(&export(at), "Succeeded").await;
    }
    let ready = |d: &ProfileDataset| is(&conditions(d), "Ready", "True");
    world.until(&dataset, "Ready", ready).await;
    for at in 0..WAVE {
        world.delete::<ExportJob>(&export(at)).await;
    }
    world.delete::<ProfileDataset>(&dataset).await;
    for at in 0..WAVE {
        world.until_gone::<ExportJob>(&export(at)).await;
    }
    world.until_gone::<ProfileDataset>(&dataset).await;
}

#[tokio::test]
async fn what_is_kept_of_objects_goes_with_them() {
    let mut world = World::without_operator("soak").await;
    world.start_operator(&SHORT_WINDOWS).await;
    world.furnish().await;
    wave(&world, 0).await;
    let left = || async {
        let kept = values(&world, "aep_export_operator_kept_entries").await;
        let stays = [
            "clients", "secrets", "told", "objects", "readings", "holds", "searches",
        ];
        let of_exports: Vec<_> = kept
            .iter()
            .filter(|(of, number)| !stays.contains(&of.as_str()) && **number > 0)
            .collect();
        // What stays is that of the connection and the dataset that stay.
        let of_others: Vec<_> = kept
            .iter()
            .filter(|(of, number)| stays.contains(&of.as_str()) && **number > 2)
            .collect();
        if of_exports.is_empty() && of_others.is_empty() {
            Ok(())
        } else {
            Err(format!("{of_exports:?} {of_others:?}"))
        }
    };
    eventually("nothing to be kept", left).await;
    let before = taken(&world).await;
    for number in 1..4 {
        wave(&world, number).await;
        eventually("nothing to be kept", left).await;
    }
    // Connections that nobody uses are closed after some seconds, and their tasks end; a few more or
    // less are open at any moment.
    eventually("connections to be closed", || async {
        let after = taken(&world).await;
        if after.files <= before.files + 8 && after.tasks <= before.tasks + 8 {
            Ok(())
        } else {
            let (files, tasks) = (after.files, after.tasks);
            Err(format!(
                "{files} after {}, {tasks} after {}",
                before.files, before.tasks
            ))
        }
    })
    .await;
    let after = taken(&world).await;
    let (now, then) = (after.resident_kilobytes, before.resident_kilobytes);
    assert!(now <= then + 4 * 1024, "{now} kB after {then} kB");
}
