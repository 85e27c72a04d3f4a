use kube::ResourceExt;
use serde_json::json;

use super::*;

/// An export that has ended as the operator leaves it.
fn ended() -> ExportJob {
    let at = "2026-11-25T08:00:00Z";
    serde_json::from_value(json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "ExportJob",
        "metadata": {
            "name": "weekly", "namespace": "team", "uid": "u", "resourceVersion": "7",
            "generation": 1,
        },
        "spec": { "export": { "destination": { "datasetRef": { "name": "profiles" } } } },
        "status": {
            "observedGeneration": 1,
            "phase": "Succeeded",
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "it did",
                "lastTransitionTime": at, "observedGeneration": 1,
            }],
            "jobId": "1001",
            "completionTime": at,
            "submission": {
                "attempt": 1, "try": "nonce", "requestId": "r", "fingerprint": "f",
                "target": {
                    "platform": "https://platform.adobe.io", "organizationId": "o@AdobeOrg",
                    "sandbox": "prod", "datasetId": "d",
                },
                "intentTime": at, "sendBefore": at, "settleAfter": at, "outcome": "Posted",
            },
        },
    }))
    .unwrap()
}

#[test]
fn an_export_that_has_ended_and_says_so_is_at_rest() {
    assert!(is_at_rest(&ended()));
}

#[test]
fn an_export_of_which_a_pass_would_still_make_something_is_not_at_rest() {
    type Change = fn(&mut ExportJob);
    let changes: [(&str, Change); 9] = [
        ("it goes on", |export| {
            export.status.as_mut().unwrap().completion_time = None;
        }),
        ("it is held", |export| {
            export.finalizers_mut().push(EXPORT_FINALIZER.into());
        }),
        ("it is deleted", |export| {
            let now = export.status.as_ref().unwrap().completion_time.unwrap();
            export.metadata.deletion_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        }),
        ("it expires", |export| {
            export.spec.ttl_seconds_after_finished = Some(60);
        }),
        ("that it does not expire is not said", |export| {
            export.spec.ttl_seconds_after_finished = Some(60);
            let label = "argocd.argoproj.io/instance".to_owned();
            export.labels_mut().insert(label, "app".into());
        }),
        ("it was edited", |export| {
            export.metadata.generation = Some(2);
        }),
        ("a look was asked for", |export| {
            let [_, own] = crate::api::REQUEST_ANNOTATIONS;
            export.annotations_mut().insert(own.into(), "now".into());
        }),
        ("another job of it is on record", |export| {
            let status = export.status.as_mut().unwrap();
            let submission = status.submission.as_mut().unwrap();
            submission.surplus_job_ids.push("1002".into());
        }),
        ("it says nothing", |export| export.status = None),
    ];
    for (why, change) in changes {
        let mut export = ended();
        change(&mut export);
        assert!(!is_at_rest(&export), "{why}");
    }
}

#[test]
fn an_export_that_does_not_expire_for_what_manages_it_is_at_rest_once_it_says_so() {
    let mut export = ended();
    export.spec.ttl_seconds_after_finished = Some(60);
    let label = "argocd.argoproj.io/instance".to_owned();
    export.labels_mut().insert(label, "app".into());
    export.status = Some(rested(&export));
    assert!(is_at_rest(&export));
}
