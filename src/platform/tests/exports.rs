//! Export jobs over HTTP.

use super::*;

#[tokio::test]
async fn every_call_carries_the_tenants_headers() {
    let stub = Stub::always(200, include_str!("../fixtures/profile-get-job.json")).await;
    stub.platform()
        .export_job(&job("24115"))
        .await
        .unwrap()
        .unwrap();
    let calls = stub.calls();
    assert_eq!(
        (&*calls[0].method, &*calls[0].target),
        ("GET", "/data/core/ups/export/jobs/24115")
    );
    assert_eq!(calls[0].header("authorization"), "Bearer token-1");
    assert_eq!(calls[0].header("x-api-key"), "client");
    assert_eq!(calls[0].header("x-gw-ims-org-id"), "ORG@AdobeOrg");
    assert_eq!(calls[0].header("x-sandbox-name"), "dev");
    assert_eq!(calls[0].header("accept"), "application/json");
    assert_eq!(calls[0].header("content-type"), "");
    let id = calls[0].header("x-request-id");
    assert!(
        id.len() == 32 && id.bytes().all(|c| c.is_ascii_alphanumeric()),
        "{id}"
    );
}

#[tokio::test]
async fn a_submission_carries_its_body_and_its_own_request_id() {
    let stub = Stub::always(200, include_str!("../fixtures/profile-create-job.json")).await;
    let made = submit(&stub.platform()).await.unwrap();
    assert_eq!(made.id, job("24115"));
    let calls = stub.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (&*calls[0].method, &*calls[0].target),
        ("POST", "/data/core/ups/export/jobs")
    );
    assert_eq!(calls[0].header("x-request-id"), "r".repeat(32));
    assert_eq!(calls[0].header("content-type"), "application/json");
    assert_eq!(
        calls[0].header("content-length"),
        calls[0].body.len().to_string()
    );
    assert_eq!(calls[0].header("transfer-encoding"), "");
    assert_eq!(calls[0].body, r#"{"destination":{"datasetId":"d"}}"#);
}

#[tokio::test]
async fn a_job_that_is_not_there_is_none() {
    for body in ["", "{}", r#"{"title": "NotFoundError", "status": 404}"#] {
        let stub = Stub::always(404, body).await;
        assert_eq!(
            stub.platform().export_job(&job("1")).await.unwrap(),
            None,
            "{body}"
        );
        let deleted = stub.platform().delete_export_job(&job("1")).await.unwrap();
        assert_eq!(deleted, Deletion::Absent);
    }
}

#[tokio::test]
async fn a_404_that_is_not_the_platforms_proves_no_absence() {
    let stub = Stub::always(404, "<html>nginx</html>").await;
    let error = stub.platform().export_job(&job("1")).await.unwrap_err();
    assert_eq!(error.consequence(), Consequence::Retry);
    let stub = Stub::always(404, gateway("404000")).await;
    let error = stub.platform().export_job(&job("1")).await.unwrap_err();
    assert_eq!(
        error.consequence(),
        Consequence::Rejected,
        "the path is wrong, not the id"
    );
}

/// Both guides, "Cancel": 204 without a body, 200 (or an impossible 204) with one.
#[tokio::test]
async fn any_2xx_to_a_cancellation_is_accepted() {
    let sample = include_str!("../fixtures/segmentation-delete-job.json");
    for (status, body) in [(204, ""), (200, sample), (202, ""), (200, "<html>")] {
        let stub = Stub::always(status, body).await;
        let deleted = stub
            .platform()
            .delete_export_job(&job("726"))
            .await
            .unwrap();
        assert_eq!(deleted, Deletion::Accepted, "{status} {body}");
        assert_eq!(
            stub.calls()[0].method,
            "DELETE",
            "not POST, as the guides' cURL has it"
        );
    }
}

#[tokio::test]
async fn a_reply_to_a_read_that_cannot_be_read_may_pass() {
    for body in [
        "",
        "{",
        "<html>",
        "null",
        "[]",
        r#"{"id": 1}"#,
        r#"{"status": "NEW"}"#,
        // About another job.
        r#"{"id": 2, "status": "SUCCEEDED"}"#,
    ] {
        let stub = Stub::always(200, body).await;
        let error = stub.platform().export_job(&job("1")).await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::Retry, "{body}");
        assert_eq!(
            (error.outcome(), error.status()),
            ("malformed", Some(200)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_id_that_would_change_the_path_is_not_asked_for() {
    let stub = Stub::always(200, "{}").await;
    for id in ["", ".", "..", "a b", "a\nb"] {
        let error = stub.platform().export_job(&job(id)).await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::Rejected, "{id:?}");
    }
    assert_eq!(stub.seen().len(), 0);
    stub.platform()
        .export_job(&job("a/b?c#d"))
        .await
        .unwrap_err();
    assert_eq!(
        stub.calls()[0].target,
        "/data/core/ups/export/jobs/a%2Fb%3Fc%23d"
    );
}

#[tokio::test]
async fn calls_are_made_below_an_endpoint_that_has_a_path() {
    let stub = Stub::always(200, "{}").await;
    let mut settings = stub.settings();
    settings.endpoints.platform = stub.url.join("proxy/aep/").unwrap();
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    platform.export_job(&job("1")).await.unwrap_err();
    assert_eq!(
        stub.calls()[0].target,
        "/proxy/aep/data/core/ups/export/jobs/1"
    );
}
