//! The list of jobs and its pages.

use serde_json::{Value, json};

use crate::support::{JOBS, Tenant};

/// Five jobs, a second apart; returns their ids, newest first.
async fn five(tenant: &Tenant) -> Vec<i64> {
    for number in 1..=5 {
        let seed = json!({"id": number, "datasetId": "d",
                          "creationTime": 1_559_674_261_000_i64 + number * 1000});
        tenant.admin("POST", "/jobs", seed).await.with(201);
    }
    vec![5, 4, 3, 2, 1]
}

fn ids(list: &Value) -> Vec<i64> {
    list["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_cursor_leads_through_all_jobs_newest_first_whatever_the_end_looks_like() {
    let tenant = Tenant::start().await;
    let expected = five(&tenant).await;
    for end in ["empty", "absent", "null", "noLinkObject"] {
        tenant.switch(json!({"nextLinkAtEnd": end})).await;
        let mut path = format!("{JOBS}?limit=2");
        let mut found = Vec::new();
        let last = loop {
            let list = tenant.get(&path).await.with(200).json();
            found.extend(ids(&list));
            match list["link"]["next"].as_str() {
                Some(next) if !next.is_empty() => path = format!("/data/core/ups{next}"),
                _ => break list,
            }
        };
        assert_eq!(found, expected, "{end}");
        let link = match end {
            "empty" => json!({"next": ""}),
            "absent" => json!({}),
            "null" => json!({"next": null}),
            _ => Value::Null,
        };
        assert_eq!(last["link"], link, "{end}");
        assert_eq!(last.get("link").is_none(), end == "noLinkObject");
    }
}

#[tokio::test]
async fn a_cursor_holds_its_place_while_jobs_come_and_go() {
    let tenant = Tenant::start().await;
    five(&tenant).await;
    let first = tenant.get(&format!("{JOBS}?limit=2")).await.json();
    assert_eq!(first["page"]["pageOffset"], "1559674265000_4");
    assert_eq!(
        first["link"]["next"],
        "/export/jobs/?limit=2&offset=1559674265000_4"
    );
    tenant
        .admin("POST", "/jobs", json!({"id": 6, "datasetId": "d"}))
        .await
        .with(201);
    tenant
        .admin("DELETE", "/jobs/4", Value::Null)
        .await
        .with(204);
    let next = tenant
        .get(&format!("{JOBS}?limit=2&offset=1559674265000_4"))
        .await
        .json();
    assert_eq!(ids(&next), [3, 2]);
}

#[tokio::test]
async fn the_list_can_be_narrowed_to_a_documented_status() {
    let tenant = Tenant::start().await;
    five(&tenant).await;
    tenant.steer(3, json!({"finishNow": true})).await;
    let list = tenant
        .get(&format!("{JOBS}?status=SUCCEEDED"))
        .await
        .with(200)
        .json();
    assert_eq!(ids(&list), [3]);
    let list = tenant
        .get(&format!("{JOBS}?status=NEW&limit=3"))
        .await
        .with(200)
        .json();
    assert_eq!(
        list["link"]["next"],
        "/export/jobs/?limit=3&offset=1559674263000_2&status=NEW"
    );
    tenant
        .get(&format!("{JOBS}?status=PROCESSING"))
        .await
        .with(400);
}

#[tokio::test]
async fn a_parameter_that_the_flavour_does_not_have_is_refused() {
    let tenant = Tenant::start().await;
    for bad in [
        "start=4",
        "page=2",
        "sort=updateTime:asc",
        "limit=0",
        "limit=1001",
        "offset=7",
        "dataSetId=x",
    ] {
        tenant.get(&format!("{JOBS}?{bad}")).await.with(400);
    }
}

#[tokio::test]
async fn the_profile_guides_parameters_work_when_they_are_switched_on() {
    let tenant = Tenant::start().await;
    five(&tenant).await;
    tenant.switch(json!({"listParameters": "profile"})).await;
    let list = async |query: &str| {
        ids(&tenant
            .get(&format!("{JOBS}?{query}"))
            .await
            .with(200)
            .json())
    };
    assert_eq!(list("start=4").await, [1]);
    assert_eq!(list("limit=2&page=1").await, [3, 2]);
    assert_eq!(list("sort=creationTime:asc&limit=2").await, [1, 2]);
    assert_eq!(list("limit=1&offset=1559674265000_4").await, [3]);
    let page = tenant.get(&format!("{JOBS}?limit=2&start=1")).await.json();
    assert_eq!(page["link"]["next"], "/export/jobs/?limit=2&start=3");
    tenant.get(&format!("{JOBS}?status=NEW")).await.with(400);
    tenant.get(&format!("{JOBS}?sort=name:asc")).await.with(400);
}

#[tokio::test]
async fn a_page_has_the_size_that_the_switches_say() {
    let tenant = Tenant::start().await;
    five(&tenant).await;
    tenant
        .switch(json!({"pageSizeDefault": 2, "pageSizeMaximum": 3}))
        .await;
    assert_eq!(ids(&tenant.get(JOBS).await.json()), [5, 4]);
    tenant.get(&format!("{JOBS}?limit=3")).await.with(200);
    tenant.get(&format!("{JOBS}?limit=4")).await.with(400);
}

/// The ids of all pages, from the first on; between the first two, `act` happens.
async fn paged(tenant: &Tenant, act: impl AsyncFnOnce()) -> Vec<i64> {
    let list = tenant.get(&format!("{JOBS}?limit=2")).await.with(200);
    let mut list = list.json();
    let mut found = ids(&list);
    act().await;
    while let Some(next) = list["link"]["next"].as_str()
        && !next.is_empty()
    {
        let path = format!("/data/core/ups{next}");
        list = tenant.get(&path).await.with(200).json();
        found.extend(ids(&list));
    }
    found
}

#[tokio::test]
async fn a_cursor_that_counts_shifts_records_when_jobs_come_and_go() {
    let tenant = Tenant::start().await;
    let all = five(&tenant).await;
    tenant.switch(json!({"listCursor": "number"})).await;
    assert_eq!(paged(&tenant, async || {}).await, all);
    let first = tenant.get(&format!("{JOBS}?limit=2")).await.json();
    assert_eq!(first["link"]["next"], "/export/jobs/?limit=2&offset=2");
    let come = async || {
        let seed = json!({"id": 6, "datasetId": "d"});
        tenant.admin("POST", "/jobs", seed).await.with(201);
    };
    assert_eq!(paged(&tenant, come).await, [5, 4, 4, 3, 2, 1]);
    let go = async || {
        tenant
            .admin("DELETE", "/jobs/6", Value::Null)
            .await
            .with(204);
    };
    assert_eq!(paged(&tenant, go).await, [6, 5, 3, 2, 1]);
    let other = format!("{JOBS}?limit=2&offset=1559674265000_4");
    tenant.get(&other).await.with(400);
}

#[tokio::test]
async fn a_job_can_appear_behind_the_cursor_of_a_list_that_is_being_read() {
    let tenant = Tenant::start().await;
    five(&tenant).await;
    let hidden = json!({"id": 9, "datasetId": "d", "creationTime": 1_559_674_265_500_i64,
                        "visibleAfterListCalls": 1});
    tenant.admin("POST", "/jobs", hidden).await.with(201);
    assert_eq!(paged(&tenant, async || {}).await, [5, 4, 3, 2, 1]);
    assert_eq!(paged(&tenant, async || {}).await, [5, 9, 4, 3, 2, 1]);
    // GET knows it from the beginning.
    tenant.get(&format!("{JOBS}/9")).await.with(200);
}
