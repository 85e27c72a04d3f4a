//! The documented lists, read page by page through the platform's client.

use aep_export_operator::platform::{Job, JobState};
use serde_json::{Value, json};

use super::{JOBS, Tenant, reply};

/// A list whose first page is a sample, and whose second is the tenant's: one older job.
async fn pages_of(sample: &str) -> (Tenant, Vec<Job>) {
    let tenant = Tenant::start().await;
    let older = json!({
        "id": 96, "datasetId": "5b7c86968f7b6501e21ba9df", "status": "SUCCEEDED",
        "creationTime": 1_538_573_416_000_i64, "foreign": true,
    });
    tenant.simulator.post("jobs", older).await;
    tenant
        .simulator
        .fault(json!({
            "method": "GET",
            "path": JOBS,
            "action": { "respond": { "body": reply(sample) } },
        }))
        .await;
    let jobs = read_to_the_end(&tenant).await;
    (tenant, jobs)
}

async fn read_to_the_end(tenant: &Tenant) -> Vec<Job> {
    let mut jobs = Vec::new();
    let mut after = None;
    loop {
        let page = tenant
            .platform()
            .export_jobs(after.as_ref(), 2)
            .await
            .unwrap();
        assert_eq!(page.unreadable, 0);
        jobs.extend(page.jobs);
        match page.next {
            Some(next) => after = Some(next),
            None => return jobs,
        }
    }
}

fn ids(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.id.as_str()).collect()
}

/// The paths and queries that the list was asked by.
async fn asked(tenant: &Tenant) -> Vec<(String, String)> {
    let calls = tenant.simulator.calls("GET", JOBS).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    calls
        .iter()
        .map(|call| (text(&call["path"]), text(&call["query"])))
        .collect()
}

fn assert_is_job_722(job: &Job) {
    assert_eq!(job.state(), JobState::Failed);
    let errors: Vec<_> = job
        .errors
        .iter()
        .map(|error| (error.code.as_str(), error.message.as_str()))
        .collect();
    let path = "adl://va7devprofilesnapshot.azuredatalakestore.net/snapshot/722";
    let writing = format!("Error writing profiles to output path '{path}'");
    let wanted = [
        ("0090000009", writing.as_str()),
        ("unknown", "Job aborted."),
    ];
    assert_eq!(errors, wanted);
    assert_eq!(job.total_milliseconds, Some(505_864));
    assert_eq!(
        job.dataset_id.as_ref().unwrap().as_str(),
        "5bb4c46757920712f924a3eb"
    );
    assert_eq!(
        job.request_id.as_deref(),
        Some("KbOAsV7HXmdg262lc4yZZhoml27UWXPZ")
    );
}

#[tokio::test]
async fn profile_guide_list_all_export_jobs_is_read_to_its_end() {
    let (tenant, jobs) = pages_of("profile-list-jobs").await;
    assert_eq!(ids(&jobs), ["726", "722", "96"]);
    assert_eq!(jobs[0].state(), JobState::Succeeded);
    assert_eq!(jobs[0].dataset_write_milliseconds, Some(543));
    assert_eq!(jobs[0].exported_profiles, None);
    assert_is_job_722(&jobs[1]);
    assert_eq!(jobs[1].batches, []);
    let next = (
        format!("{JOBS}/"),
        "limit=2&offset=1538573416687_722".to_owned(),
    );
    assert_eq!(
        asked(&tenant).await,
        [(JOBS.to_owned(), "limit=2".to_owned()), next]
    );
}

#[tokio::test]
async fn segmentation_guide_retrieve_a_list_of_export_jobs_is_read_to_its_end() {
    let (tenant, jobs) = pages_of("segmentation-list-jobs").await;
    assert_eq!(ids(&jobs), ["100", "722", "96"]);
    assert_eq!(jobs[0].state(), JobState::Succeeded);
    assert_eq!(jobs[0].errors[0].code, "0100000003");
    assert_eq!(jobs[0].errors[0].message, "Error in Export Job");
    assert_eq!(jobs[0].exported_profiles, Some(20));
    let fields = json!("identities.id,personalEmail.address");
    assert_eq!(jobs[0].echoed.get("fields").unwrap(), fields);
    assert_is_job_722(&jobs[1]);
    assert_eq!(jobs[1].batches[0].id.as_str(), "IWEQ6920712f9475762D");
    // By link.next; page.pageOffset is another one in this guide.
    let next = (
        format!("{JOBS}/"),
        "limit=2&offset=1538573416687_722".to_owned(),
    );
    assert_eq!(asked(&tenant).await[1], next);
}

#[tokio::test]
async fn profile_guide_list_all_export_jobs_is_what_the_tenant_makes_of_its_jobs() {
    let tenant = Tenant::start().await;
    let sample = reply("profile-list-jobs");
    for record in sample["records"].as_array().unwrap() {
        tenant
            .simulator
            .post("jobs", json!({ "document": record }))
            .await;
    }
    let older = json!({
        "id": 96, "datasetId": "5b7c86968f7b6501e21ba9df", "status": "FAILED",
        "creationTime": 1_538_573_416_000_i64,
    });
    tenant.simulator.post("jobs", older).await;
    let jobs = read_to_the_end(&tenant).await;
    assert_eq!(ids(&jobs), ["726", "722", "96"]);
    assert_is_job_722(&jobs[1]);
    let next = (
        format!("{JOBS}/"),
        "limit=2&offset=1538573416687_722".to_owned(),
    );
    assert_eq!(asked(&tenant).await[1], next);
}
