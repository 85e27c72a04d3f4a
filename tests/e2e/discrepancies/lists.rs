//! The list of export jobs, page by page.

use aep_export_operator::platform::Consequence;
use serde_json::{Value, json};

use super::{Case, DATASET, Turns, case, switches_of};
use crate::samples::{JOBS, Tenant};

/// Every list, whatever its parameters and the form of its end, is read to the end.
fn lists() -> Vec<Case<()>> {
    let mut cases = vec![
        case(13, json!({ "listParameters": "segmentation" }), ()),
        case(13, json!({ "listParameters": "profile" }), ()),
        case(0, json!({ "pageSizeDefault": 1 }), ()),
        case(0, json!({ "pageSizeDefault": 2, "pageSizeMaximum": 2 }), ()),
    ];
    for word in ["empty", "absent", "null", "noLinkObject"] {
        cases.push(case(0, json!({ "nextLinkAtEnd": word }), ()));
    }
    cases
}

#[tokio::test]
async fn row_13_a_list_is_read_to_its_end() {
    let mut turns = Turns::start().await;
    for case in lists() {
        let tenant = turns.begin(&case).await;
        let before = tenant.simulator.calls("GET", JOBS).await.len();
        let mut seeded = Vec::new();
        for _ in 0..5 {
            // Made in the same millisecond.
            let job = json!({ "datasetId": DATASET, "creationTime": 1_538_573_416_000_i64 });
            let job = tenant.simulator.post("jobs", job).await;
            seeded.insert(0, job["id"].to_string());
        }
        let mut ids = Vec::new();
        let mut after = None;
        loop {
            let page = tenant
                .platform()
                .export_jobs(after.as_ref(), 2)
                .await
                .unwrap();
            ids.extend(page.jobs.iter().map(|job| job.id.to_string()));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(ids, seeded);
        let calls = tenant.simulator.calls("GET", JOBS).await.len();
        assert_eq!(calls, before + 3);
    }
}

#[tokio::test]
async fn a_page_larger_than_the_tenant_gives_is_refused_and_not_an_empty_list() {
    let tenant = Tenant::start().await;
    let small = json!({ "pageSizeDefault": 2, "pageSizeMaximum": 2 });
    tenant.simulator.put("switches", small).await;
    let error = tenant.platform().export_jobs(None, 3).await.unwrap_err();
    assert_eq!(error.consequence(), Consequence::Rejected);
    assert!(
        error.to_string().contains("limit: must be 1 to 2"),
        "{error}"
    );
}

/// The switches that this file has cases for.
pub(super) fn covered() -> Vec<Value> {
    switches_of(lists())
}
