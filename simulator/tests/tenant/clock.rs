//! A tenant whose clock is wrong.

use serde_json::{Value, json};

use crate::support::{DATASETS, FORM, JOBS, Tenant, smallest};

async fn shift(tenant: &Tenant, seconds: i64) {
    let clock = tenant
        .admin("PUT", "/clock", json!({"shiftSeconds": seconds}))
        .await
        .with(200)
        .json();
    // The clock of the jobs goes on as it went.
    assert_eq!(clock, json!({"scale": 0.0, "shiftSeconds": seconds}));
}

fn ahead(milliseconds: i64) -> i64 {
    milliseconds - jiff::Timestamp::now().as_millisecond()
}

/// Whether two times differ by so many seconds, as near as a slow machine allows.
fn about(milliseconds: i64, seconds: i64) -> bool {
    (milliseconds - seconds * 1000).abs() < 30_000
}

#[tokio::test]
async fn dates_and_times_are_those_of_a_clock_that_goes_wrong_and_jumps_back() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    for seconds in [0, 3600, -3600, 0] {
        shift(&tenant, seconds).await;
        let reply = tenant
            .send("POST", JOBS, &smallest(&dataset))
            .await
            .with(200);
        let date = jiff::fmt::rfc2822::parse(reply.header("date")).unwrap();
        let date = date.timestamp().as_millisecond();
        assert!(about(ahead(date), seconds), "{date}");
        let job = reply.json();
        let created = job["creationTime"].as_i64().unwrap();
        assert!(about(ahead(created), seconds), "{created}");
        let call = tenant.last_call().await;
        let at: jiff::Timestamp = call["at"].as_str().unwrap().parse().unwrap();
        assert!(about(ahead(at.as_millisecond()), seconds), "{call}");
    }
    // What was made an hour ahead is still there, and sorted by what its time says.
    let list = tenant.get(JOBS).await.with(200).json();
    let ids: Vec<&Value> = list["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["id"])
        .collect();
    assert_eq!(ids, [1002, 1004, 1001, 1003]);
    for id in ids {
        tenant.get(&format!("{JOBS}/{id}")).await.with(200);
    }
}

#[tokio::test]
async fn the_date_of_every_reply_is_that_of_the_tenants_clock() {
    let tenant = Tenant::start().await;
    shift(&tenant, -3600).await;
    tenant
        .fault(json!({"path": "/data/foundation/*", "times": 1,
                      "action": {"reply": {"status": 503, "retryAfterDateSeconds": 10}}}))
        .await;
    let replies = [
        tenant.ims(FORM).await.with(200),
        tenant.get(DATASETS).await.with(503),
        tenant.get(&format!("{JOBS}/1")).await.with(404),
    ];
    for reply in &replies {
        for name in ["date", "retry-after"] {
            let Some(value) = reply.headers.get(name) else {
                continue;
            };
            let date = jiff::fmt::rfc2822::parse(value.to_str().unwrap()).unwrap();
            let date = date.timestamp().as_millisecond();
            assert!(about(ahead(date), -3600), "{name}");
        }
        assert_eq!(reply.headers.get_all("date").iter().count(), 1);
    }
}

#[tokio::test]
async fn a_token_ends_when_the_tenants_clock_says_so() {
    let tenant = Tenant::start().await;
    tenant
        .admin("PUT", "/credentials", json!({"tokenLifetimeSeconds": 600}))
        .await
        .with(204);
    let token = tenant.ims(FORM).await.with(200).json();
    let caller = Tenant {
        url: tenant.url.clone(),
        client: tenant.client.clone(),
        token: token["access_token"].as_str().unwrap().to_owned(),
    };
    caller.get(JOBS).await.with(200);
    shift(&tenant, 3600).await;
    caller.get(JOBS).await.with(401);
    shift(&tenant, -3600).await;
    caller.get(JOBS).await.with(200);
}

#[tokio::test]
async fn lags_do_not_care_for_the_clock() {
    let tenant = Tenant::start().await;
    shift(&tenant, 3600).await;
    let lag = json!({"listLagSeconds": 600, "getLagSeconds": 600, "tagQueryLagSeconds": 600});
    tenant.switch(lag).await;
    let job = tenant.job().await;
    shift(&tenant, 9000).await;
    let list = tenant.get(JOBS).await.with(200).json();
    assert_eq!(list["records"], json!([]));
    tenant.get(&format!("{JOBS}/{job}")).await.with(404);
    let none = json!({"listLagSeconds": 0, "getLagSeconds": 0});
    tenant.switch(none).await;
    shift(&tenant, -9000).await;
    assert_eq!(tenant.shown(job).await["id"], job);
}

#[tokio::test]
async fn a_clock_that_cannot_be_is_refused() {
    let tenant = Tenant::start().await;
    for bad in [
        json!({}),
        json!({"shiftSeconds": 1.5}),
        json!({"shiftSeconds": 1_000_000_001}),
        json!({"shift": 1}),
        json!({"scale": -1, "shiftSeconds": 5}),
    ] {
        tenant.admin("PUT", "/clock", bad).await.with(400);
    }
    let clock = tenant.admin("GET", "/clock", Value::Null).await.json();
    assert_eq!(clock["shiftSeconds"], 0);
}
