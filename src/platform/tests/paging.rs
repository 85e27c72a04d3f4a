//! The list of export jobs, page by page.

use super::*;

fn list(link: &str) -> String {
    format!(r#"{{"records": [{{"id": 1, "status": "NEW"}}]{link}}}"#)
}

/// Both guides, "List all export jobs" and "Retrieve a list of export jobs".
#[tokio::test]
async fn the_guides_lists_are_read() {
    let profile = include_str!("../fixtures/profile-list-jobs.json");
    let segmentation = include_str!("../fixtures/segmentation-list-jobs.json");
    for (text, first, batches_of_722) in [(profile, "726", 0), (segmentation, "100", 1)] {
        let stub = Stub::always(200, text).await;
        let page = stub.platform().export_jobs(None, 2).await.unwrap();
        assert_eq!(stub.calls()[0].target, "/data/core/ups/export/jobs?limit=2");
        let ids: Vec<_> = page.jobs.iter().map(|job| job.id.as_str()).collect();
        assert_eq!(ids, [first, "722"]);
        assert_eq!(page.unreadable, 0);
        let next = Cursor("/export/jobs/?limit=2&offset=1538573416687_722".to_owned());
        assert_eq!(
            page.next,
            Some(next),
            "not page.pageOffset, which differs in one guide"
        );
        let [succeeded, failed] = &page.jobs[..] else {
            panic!("two jobs")
        };
        assert_eq!(succeeded.state(), JobState::Succeeded);
        assert_eq!(failed.state(), JobState::Failed);
        assert_eq!(failed.errors[0].code, "0090000009");
        assert_eq!(failed.errors[1].message, "Job aborted.");
        assert_eq!(failed.batches.len(), batches_of_722);
        assert_eq!(failed.total_milliseconds, Some(505_864));
        assert_eq!(failed.dataset_id, Some(dataset("5bb4c46757920712f924a3eb")));
    }
}

/// Segmentation guide, "Retrieve a list of export jobs": job 100.
#[tokio::test]
async fn a_succeeded_job_may_have_errors() {
    let stub = Stub::always(200, include_str!("../fixtures/segmentation-list-jobs.json")).await;
    let page = stub.platform().export_jobs(None, 2).await.unwrap();
    assert_eq!(page.jobs[0].state(), JobState::Succeeded);
    let error = JobError {
        code: "0100000003".into(),
        message: "Error in Export Job".into(),
    };
    assert_eq!(page.jobs[0].errors, [error]);
    assert_eq!(page.jobs[0].exported_profiles, Some(20));
}

#[tokio::test]
async fn the_next_page_is_relative_to_the_apis_base() {
    let next = "/export/jobs/?limit=2&offset=1538573416687_722";
    for link in [
        next.to_owned(),
        next[1..].to_owned(),
        format!("/data/core/ups{next}"),
    ] {
        let stub = Stub::start(move |_, before| match before {
            0 => Canned::text(200, list(&format!(r#", "link": {{"next": "{link}"}}"#))),
            _ => Canned::text(200, list("")),
        })
        .await;
        let platform = stub.platform();
        let page = platform.export_jobs(None, 2).await.unwrap();
        let last = platform.export_jobs(page.next.as_ref(), 2).await.unwrap();
        assert_eq!(last.next, None);
        assert_eq!(stub.calls()[1].target, format!("/data/core/ups{next}"));
    }
}

#[tokio::test]
async fn every_way_to_end_a_list_ends_it() {
    for link in [
        "",
        r#", "link": null"#,
        r#", "link": {}"#,
        r#", "link": {"next": null}"#,
        r#", "link": {"next": ""}"#,
        r#", "link": {"next": " "}"#,
    ] {
        let stub = Stub::always(200, list(link)).await;
        let page = stub.platform().export_jobs(None, 10).await.unwrap();
        assert_eq!((page.jobs.len(), page.next), (1, None), "{link}");
    }
}

#[tokio::test]
async fn a_link_that_cannot_be_followed_is_an_error_and_not_the_end() {
    for link in [
        r#", "link": 3"#,
        r#", "link": {"next": 3}"#,
        r#", "link": {"next": ["x"]}"#,
        r#", "link": {"next": "https://evil.example/export/jobs?limit=2"}"#,
        r#", "link": {"next": "//evil.example/export/jobs"}"#,
        r#", "link": {"next": "/../../../elsewhere"}"#,
        r#", "link": {"next": "/%2e%2e/elsewhere"}"#,
        r#", "link": {"next": "javascript:alert(1)"}"#,
    ] {
        let stub = Stub::always(200, list(link)).await;
        let error = stub.platform().export_jobs(None, 10).await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::Retry, "{link}");
        assert_eq!(error.outcome(), "malformed", "{link}");
    }
}

#[tokio::test]
async fn an_absolute_link_to_the_same_host_is_followed() {
    let next = Arc::new(Mutex::new(String::new()));
    let link = Arc::clone(&next);
    let stub = Stub::start(move |_, before| match before {
        0 => Canned::text(
            200,
            list(&format!(
                r#", "link": {{"next": "{}"}}"#,
                link.lock().unwrap()
            )),
        ),
        _ => Canned::text(200, list("")),
    })
    .await;
    *next.lock().unwrap() = format!("{}data/core/ups/export/jobs?offset=7", stub.url);
    let platform = stub.platform();
    let page = platform.export_jobs(None, 10).await.unwrap();
    platform.export_jobs(page.next.as_ref(), 10).await.unwrap();
    assert_eq!(
        stub.calls()[1].target,
        "/data/core/ups/export/jobs?offset=7"
    );
}

#[tokio::test]
async fn a_page_whose_next_is_itself_is_refused() {
    let stub = Stub::always(200, list(r#", "link": {"next": "/export/jobs?offset=1"}"#)).await;
    let platform = stub.platform();
    let page = platform.export_jobs(None, 10).await.unwrap();
    let error = platform
        .export_jobs(page.next.as_ref(), 10)
        .await
        .unwrap_err();
    assert_eq!(error.consequence(), Consequence::Retry);
    assert!(error.to_string().contains("same again"), "{error}");
}

#[tokio::test]
async fn records_that_are_no_jobs_are_counted() {
    let body =
        r#"{"records": [{"id": 1, "status": "NEW"}, {"id": 2}, {"status": "NEW"}, 3, null]}"#;
    let stub = Stub::always(200, body).await;
    let page = stub.platform().export_jobs(None, 10).await.unwrap();
    assert_eq!((page.jobs.len(), page.unreadable), (1, 4));
}

#[tokio::test]
async fn a_list_without_records_is_not_an_empty_list() {
    for body in ["{}", r#"{"records": null}"#, r#"{"records": {}}"#, "[]"] {
        let stub = Stub::always(200, body).await;
        let error = stub.platform().export_jobs(None, 10).await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::Retry, "{body}");
    }
    let stub = Stub::always(200, r#"{"records": []}"#).await;
    assert_eq!(
        stub.platform().export_jobs(None, 10).await.unwrap().jobs,
        []
    );
}
