//! Requests that a tenant refuses: they end at once, and are not sent again.

use aep_export_operator::api::{ExportJob, SubmissionOutcome};
use serde_json::{Value, json};

use super::{Case, case, each, full, plain, segments, submit, switches_of, tenant, world};
use crate::harness::{condition, outcome, true_conditions};

/// What is exported, and a word of the tenant's that the condition has.
type Refused = (Value, &'static str);

fn cases() -> Vec<Case<Refused>> {
    let mut unknown = plain();
    unknown["mergePolicy"] = json!({ "id": "nobody-knows-it" });
    vec![
        case(1, json!({ "flavour": "profile" }), (segments(), "filter")),
        case(
            1,
            json!({ "flavour": "openapi" }),
            (full(), "evaluationInfo"),
        ),
        case(
            4,
            json!({ "filterInRequest": "refused" }),
            (segments(), "filter"),
        ),
        case(
            5,
            json!({ "evaluationInRequest": "refused" }),
            (full(), "toIngestTimestamp"),
        ),
        case(
            0,
            json!({ "unknownMergePolicy": "refused" }),
            (unknown, "nobody-knows-it"),
        ),
        case(
            0,
            json!({ "filterInRequest": "refused", "exportErrorBodies": "envelope" }),
            (segments(), "UPLIB-101206-500"),
        ),
        case(
            0,
            json!({ "filterInRequest": "refused", "exportErrorBodies": "empty" }),
            (segments(), "status 400"),
        ),
    ]
}

#[tokio::test]
async fn a_request_that_the_flavour_refuses_ends_as_rejected_and_says_why() {
    let world = world("rejections", &[]).await;
    let world = &world;
    each(cases(), |name, case| async move {
        let tenant = tenant(world, &name, &case.switches).await;
        let (export, why) = case.that;
        submit(world, &name, &name, export).await;
        let export: ExportJob = world.until_phase(&name, "Failed").await;
        assert_eq!(true_conditions(&export), ["Failed", "Stalled"]);
        let failed = condition(&export, "Failed").unwrap();
        assert_eq!(failed.reason, "Rejected");
        assert!(failed.message.contains(why), "{}", failed.message);
        assert_eq!(outcome(&export), Some(SubmissionOutcome::Rejected));
        let status = export.status.unwrap();
        assert_eq!(status.job_id, None);
        assert!(status.completion_time.is_some());
        // One that the tenant takes still goes through, and the first is not sent again.
        let other = format!("{name}-plain");
        submit(world, &name, &other, plain()).await;
        world.until_phase(&other, "Succeeded").await;
        assert_eq!(tenant.simulator.posts().await.len(), 2);
        assert_eq!(tenant.simulator.jobs().await.len(), 1);
    })
    .await;
}

/// The switches that this file has cases for.
pub(super) fn covered() -> Vec<Value> {
    switches_of(cases())
}
