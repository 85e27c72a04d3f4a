//! The eight error envelopes become one type, by consequence.

use super::*;

/// The error that a read ends with.
async fn read(canned: impl Fn() -> Canned + Send + Sync + 'static) -> PlatformError {
    let stub = Stub::start(move |_, _| canned()).await;
    stub.platform()
        .patch_dataset(&dataset("d"), &[])
        .await
        .unwrap_err()
}

async fn of(status: u16, body: &'static str) -> PlatformError {
    read(move || Canned::text(status, body)).await
}

#[tokio::test]
async fn the_gateways_envelope_is_read() {
    use Consequence::{Forbidden, Rejected, Retry, Throttled, Unauthenticated};
    let throttled = Throttled { retry_after: None };
    for (status, code, consequence) in [
        (400, "400003", Rejected),
        (401, "401013", Unauthenticated),
        (403, "403000", Forbidden),
        (403, "403010", Forbidden),
        (403, "403027", Forbidden),
        (403, "503020", Retry),
        (429, "429001", throttled),
        (429, "429050", throttled),
        (503, "503000", Retry),
        (503, "503010", Retry),
    ] {
        let error = read(move || Canned::text(status, gateway(code))).await;
        assert_eq!(error.consequence(), consequence, "{code}");
        assert_eq!((error.status(), error.code()), (Some(status), Some(code)));
        assert_eq!(error.title(), Some("the gateway's words"));
    }
}

#[tokio::test]
async fn a_code_that_is_a_number_is_a_code() {
    let error = of(
        429,
        r#"{"error_code": 429050, "message": "Too many requests"}"#,
    )
    .await;
    assert_eq!(error.code(), Some("429050"));
}

#[tokio::test]
async fn the_catalogs_envelope_is_read() {
    let error = of(
        404,
        r#"{"type": "/placeholder/type/uri", "status": 404, "title": "NotFoundError",
            "detail": "DataSet not found."}"#,
    )
    .await;
    assert_eq!(error.consequence(), Consequence::NotFound);
    assert_eq!(
        (error.code(), error.title()),
        (None, Some("NotFoundError: DataSet not found."))
    );
}

#[tokio::test]
async fn the_segmentation_services_envelope_is_read() {
    let error = of(
        400,
        r#"{"requestId": "fggdhzT89v3qlldeezJ9eVQtKiR51hkZ",
            "errors": {"400": [{"code": 400, "message": "There is a problem."}]},
            "type": "https://ns.adobe.com/aep/errors/UPLIB-101206-500",
            "title": "There is a problem extracting the user JSON.", "status": 400}"#,
    )
    .await;
    assert_eq!(
        error.consequence(),
        Consequence::Rejected,
        "by the status, not the type's -500"
    );
    assert_eq!(error.code(), Some("UPLIB-101206-500"));
    assert_eq!(
        error.title(),
        Some("There is a problem extracting the user JSON.")
    );
    assert_eq!(error.request_id(), Some("fggdhzT89v3qlldeezJ9eVQtKiR51hkZ"));
    assert_eq!(
        error.to_string(),
        "patch dataset: the platform rejects the request: There is a problem extracting the user \
         JSON. (status 400, code UPLIB-101206-500, request fggdhzT89v3qlldeezJ9eVQtKiR51hkZ)"
    );
}

#[tokio::test]
async fn an_envelope_with_everything_inside_its_errors_is_read() {
    let error = of(
        400,
        r#"{"errors": {"type": "https://ns.adobe.com/aep/errors/UPLIB-1-400", "title": "Inner",
                       "status": 400}}"#,
    )
    .await;
    assert_eq!(
        (error.code(), error.title()),
        (Some("UPLIB-1-400"), Some("Inner"))
    );
    let error = of(
        400,
        r#"{"errors": {"400": [{"code": "X-7", "message": "Inner"}]}}"#,
    )
    .await;
    assert_eq!((error.code(), error.title()), (Some("X-7"), Some("Inner")));
}

#[tokio::test]
async fn the_older_profile_envelope_is_read() {
    let error = of(
        403,
        r#"{"message": "UPS-ACC-1000004: IMS Org is not provisioned.", "statusCode": "403"}"#,
    )
    .await;
    assert_eq!(error.consequence(), Consequence::Forbidden);
    assert_eq!(error.code(), Some("UPS-ACC-1000004"));
    let error = of(
        429,
        r#"[{"message": "slow", "cause": "c", "retryAfterMs": "2500", "statusCode": "429"}]"#,
    )
    .await;
    assert_eq!(error.retry_after(), Some(Duration::from_millis(2500)));
    assert_eq!(error.title(), Some("slow"));
}

#[tokio::test]
async fn the_newer_services_envelope_is_read() {
    let error = of(
        403,
        r#"{"type": "http://ns.adobe.com/aep/errors/PDP-4041-403", "title": "No permission",
            "status": 403, "report": {"additionalContext": {"request-id": "rq"}},
            "error-chain": [{"serviceId": "s", "errorCode": "PDP-4041-403"}]}"#,
    )
    .await;
    assert_eq!(
        (error.consequence(), error.code()),
        (Consequence::Forbidden, Some("PDP-4041-403"))
    );
    assert_eq!(
        (error.title(), error.request_id()),
        (Some("No permission"), Some("rq"))
    );
    let error = of(
        429,
        r#"{"title": "RequestRateTooLarge", "status": 429, "detail": "wait"}"#,
    )
    .await;
    assert_eq!(
        error.consequence(),
        Consequence::Throttled { retry_after: None }
    );
}

#[tokio::test]
async fn the_label_services_envelope_is_read() {
    let error = of(
        409,
        r#"{"timestamp": "t", "status": "CONFLICT", "code": "PES-409", "message": "Conflict.",
            "violations": []}"#,
    )
    .await;
    assert_eq!(
        (error.consequence(), error.code()),
        (Consequence::Rejected, Some("PES-409"))
    );
    assert_eq!(error.title(), Some("Conflict."));
}

#[tokio::test]
async fn the_flow_services_envelope_is_read() {
    let error = of(
        412,
        r#"{"errorMessage": "Supplied version=[1] does not match"}"#,
    )
    .await;
    assert_eq!(error.consequence(), Consequence::Rejected);
    assert_eq!(error.title(), Some("Supplied version=[1] does not match"));
}

#[tokio::test]
async fn an_oauth_error_is_read() {
    let error = of(
        400,
        r#"{"error": "invalid_client", "error_description": "invalid client_secret parameter"}"#,
    )
    .await;
    assert_eq!(error.code(), Some("invalid_client"));
    assert_eq!(error.title(), Some("invalid client_secret parameter"));
}

#[tokio::test]
async fn empty_and_foreign_bodies_leave_the_status_to_speak() {
    for body in [
        "",
        "<html><b>503</b></html>",
        "null",
        "7",
        "\"x\"",
        "[]",
        "{",
        "{\"a\": 1}",
    ] {
        let error = of(503, body).await;
        assert_eq!(error.consequence(), Consequence::Retry, "{body}");
        assert_eq!(
            (error.code(), error.title(), error.status()),
            (None, None, Some(503))
        );
        let text = error.to_string();
        assert!(text.starts_with("patch dataset: the platform is not available (status 503"));
    }
}

#[tokio::test]
async fn the_status_decides_what_follows() {
    use Consequence::{
        Forbidden, NotFound, Redirected, Rejected, Retry, Throttled, Unauthenticated,
    };
    for (status, consequence) in [
        (300, Redirected),
        (304, Redirected),
        (308, Redirected),
        (400, Rejected),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (405, Rejected),
        (408, Retry),
        (409, Rejected),
        (412, Rejected),
        (413, Rejected),
        (422, Rejected),
        (429, Throttled { retry_after: None }),
        (500, Retry),
        (502, Retry),
        (503, Retry),
        (504, Retry),
        (599, Retry),
    ] {
        assert!(is_error(status));
        assert_eq!(
            read(move || Canned::status(status)).await.consequence(),
            consequence,
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_catalog_500_says_that_it_may_be_throttling() {
    let error = read(|| Canned::status(500).with("retry-after", "7")).await;
    assert_eq!(error.consequence(), Consequence::Retry);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert!(error.to_string().contains("too many calls"), "{error}");
}

#[tokio::test]
async fn retry_after_is_honoured_in_both_forms_by_the_platforms_own_clock() {
    let wait = |seconds| Consequence::Throttled {
        retry_after: Some(Duration::from_secs(seconds)),
    };
    for status in [429, 503] {
        let error = read(move || Canned::status(status).with("retry-after", "30")).await;
        assert_eq!(error.consequence(), wait(30));
    }
    // A date means the server's own time, not this machine's.
    let error = read(|| {
        Canned::status(429)
            .with("date", "Wed, 21 Oct 2015 07:28:00 GMT")
            .with("retry-after", "Wed, 21 Oct 2015 07:28:42 GMT")
    })
    .await;
    let Consequence::Throttled {
        retry_after: Some(wait),
    } = error.consequence()
    else {
        panic!("{error:?}")
    };
    assert!((41..=42).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn the_replys_request_id_is_kept_and_else_the_one_that_was_sent() {
    let error = read(|| Canned::status(500).with("x-request-id", "theirs")).await;
    assert_eq!(error.request_id(), Some("theirs"));
    let error = read(|| Canned::status(500)).await;
    assert_eq!(error.request_id().map(str::len), Some(32));
}

#[tokio::test]
async fn an_errors_text_is_bounded_however_long_the_platforms_is() {
    let long = "日本\u{1b}[31m".repeat(5000);
    let body = json!({"title": long, "code": long, "requestId": long}).to_string();
    let error = read(move || Canned::text(400, body.clone())).await;
    assert!(error.title().unwrap().chars().count() <= 256);
    assert!(error.code().unwrap().chars().count() <= 64);
    let text = error.to_string();
    assert!(
        text.len() <= 1000 && !text.contains('\u{1b}'),
        "{}",
        text.len()
    );
}
