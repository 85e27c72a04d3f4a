//! Replies that are lost, whole or in part, on the wire.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::support::{DATASETS, JOBS, Tenant, UNION, smallest};

/// A fault for the next export.
fn next_export(action: &Value) -> Value {
    json!({"name": "lost", "method": "POST", "path": JOBS, "times": 1, "action": action})
}

#[tokio::test]
async fn a_reply_can_be_lost_by_a_close_or_a_reset_before_or_after_the_commit() {
    for (how, error, fate) in [
        ("close", None, "closed"),
        ("reset", Some(ErrorKind::ConnectionReset), "reset"),
    ] {
        for commit in [false, true] {
            let tenant = Tenant::start().await;
            let dataset = tenant.dataset().await;
            let lose = json!({"lose": {"how": how, "commit": commit}});
            tenant.fault(next_export(&lose)).await;
            let brought = tenant.brought("POST", JOBS, &smallest(&dataset)).await;
            assert_eq!((brought.text.as_str(), brought.error), ("", error), "{how}");
            let call = tenant.last_call().await;
            assert_eq!(
                (&call["connection"], &call["status"], &call["committed"]),
                (&json!(fate), &Value::Null, &json!(commit))
            );
            let list = tenant.get(JOBS).await.with(200).json();
            let there = list["records"].as_array().unwrap().len();
            assert_eq!(there, usize::from(commit), "{how}");
            // The fault has acted once; the next call is as ever.
            tenant
                .send("POST", JOBS, &smallest(&dataset))
                .await
                .with(200);
        }
    }
}

#[tokio::test]
async fn a_hang_ends_when_its_time_is_over() {
    for commit in [false, true] {
        let tenant = Tenant::start().await;
        let dataset = tenant.dataset().await;
        let lose = json!({"lose": {"how": "hang", "forMilliseconds": 200, "commit": commit}});
        tenant.fault(next_export(&lose)).await;
        let begin = Instant::now();
        let brought = tenant.brought("POST", JOBS, &smallest(&dataset)).await;
        assert!(begin.elapsed() >= Duration::from_millis(200));
        assert_eq!((brought.text.as_str(), brought.error), ("", None));
        let call = tenant.last_call().await;
        assert_eq!(
            (&call["connection"], &call["status"], &call["committed"]),
            (&json!("hung"), &Value::Null, &json!(commit))
        );
    }
}

#[tokio::test]
async fn a_call_that_hangs_has_its_effect_when_its_caller_leaves() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let lose = json!({"lose": {"how": "hang", "commit": true}});
    tenant.fault(next_export(&lose)).await;
    let stream = tenant.call("POST", JOBS, &smallest(&dataset)).await;
    let hangs = |ledger: &Value| {
        let last = ledger["requests"].as_array().unwrap().last().unwrap();
        last["connection"] == "hung"
    };
    let ledger = tenant.until_ledger(hangs).await;
    assert_eq!(ledger["summary"]["exports"]["created"], 1);
    drop(stream);
    let list = tenant.get(JOBS).await.with(200).json();
    assert_eq!(list["records"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_ledger_knows_of_a_caller_who_left_before_the_answer() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let day = json!({"delayMilliseconds": 86_400_000});
    tenant.fault(next_export(&day)).await;
    let last = |ledger: &Value| {
        ledger["requests"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone()
    };
    let stream = tenant.call("POST", JOBS, &smallest(&dataset)).await;
    let ledger = tenant
        .until_ledger(|ledger| last(ledger)["fault"] == "lost")
        .await;
    assert_eq!(last(&ledger)["connection"], Value::Null);
    drop(stream);
    let ledger = tenant
        .until_ledger(|ledger| !last(ledger)["connection"].is_null())
        .await;
    let call = last(&ledger);
    assert_eq!(
        (&call["connection"], &call["status"], &call["committed"]),
        (&json!("left"), &Value::Null, &json!(false))
    );
}

#[tokio::test]
async fn the_tenants_own_reply_can_end_in_the_middle() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let cut = json!({"tenant": {"cut": {"afterBytes": 10}}});
    tenant.fault(next_export(&cut)).await;
    let brought = tenant.brought("POST", JOBS, &smallest(&dataset)).await;
    let (head, body) = brought.parts();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert_eq!((body.len(), brought.error), (10, None));
    assert!(brought.announced() > 100, "{head}");
    let call = tenant.last_call().await;
    assert_eq!(
        (&call["connection"], &call["status"], &call["committed"]),
        (&json!("truncated"), &json!(200), &json!(true))
    );
    // A client takes it for what it is.
    tenant.fault(next_export(&cut)).await;
    let request = tenant.request("POST", JOBS).json(&smallest(&dataset));
    assert!(request.send().await.unwrap().bytes().await.is_err());
}

#[tokio::test]
async fn a_reply_in_place_of_the_tenants_can_end_in_the_middle_with_and_without_commit() {
    for commit in [false, true] {
        let tenant = Tenant::start().await;
        let dataset = tenant.dataset().await;
        let reply = json!({"reply": {"status": 200, "body": {"id": 1, "status": "NEW"},
                                     "commit": commit, "cut": {"afterBytes": 0}}});
        tenant.fault(next_export(&reply)).await;
        let brought = tenant.brought("POST", JOBS, &smallest(&dataset)).await;
        assert_eq!((brought.parts().1, brought.announced()), ("", 23));
        let call = tenant.last_call().await;
        assert_eq!(
            (&call["connection"], &call["committed"]),
            (&json!("truncated"), &json!(commit))
        );
    }
}

#[tokio::test]
async fn a_reply_can_stop_in_the_middle_and_be_reset_or_hang() {
    let tenant = Tenant::start().await;
    let reset = json!({"tenant": {"cut": {"afterBytes": 5, "how": "reset"}}});
    tenant.fault(json!({"times": 1, "action": reset})).await;
    let brought = tenant.brought("GET", JOBS, &Value::Null).await;
    assert_eq!(brought.error, Some(ErrorKind::ConnectionReset));
    let hang = json!({"tenant": {"cut": {"afterBytes": 5, "how": "hang",
                                         "forMilliseconds": 200}}});
    tenant.fault(json!({"times": 1, "action": hang})).await;
    let begin = Instant::now();
    let mut stream = tenant.call("GET", JOBS, &Value::Null).await;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(200));
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), 5);
}

#[tokio::test]
async fn a_body_that_is_no_longer_than_the_cut_is_sent_whole() {
    let tenant = Tenant::start().await;
    let reply = json!({"reply": {"status": 200, "body": "whole", "cut": {"afterBytes": 5}}});
    tenant.fault(json!({"action": reply})).await;
    assert_eq!(tenant.get(JOBS).await.with(200).text, "whole");
    assert_eq!(tenant.last_call().await["connection"], "kept");
}

#[tokio::test]
async fn a_success_may_have_a_body_that_nobody_can_read_with_and_without_commit() {
    for (body, text) in [
        (
            json!("{\"id\": 1001, \"status\": "),
            "{\"id\": 1001, \"status\": ",
        ),
        (
            json!("<html><body>Gateway</body></html>"),
            "<html><body>Gateway</body></html>",
        ),
        (Value::Null, ""),
    ] {
        for commit in [false, true] {
            let tenant = Tenant::start().await;
            let dataset = tenant.dataset().await;
            let mut reply = json!({"status": 200, "commit": commit,
                                   "headers": {"Content-Type": "application/json"}});
            if !body.is_null() {
                reply["body"] = body.clone();
            }
            tenant.fault(next_export(&json!({"reply": reply}))).await;
            let reply = tenant
                .send("POST", JOBS, &smallest(&dataset))
                .await
                .with(200);
            assert_eq!(reply.text, text);
            let ledger = tenant.ledger().await;
            assert_eq!(ledger["summary"]["exports"]["created"], u8::from(commit));
        }
    }
}

#[tokio::test]
async fn a_dataset_and_a_cancel_can_be_lost_too() {
    let tenant = Tenant::start().await;
    let body = json!({"name": "lost", "schemaRef": {"id": UNION}});
    for (commit, there) in [(false, 0), (true, 1)] {
        let lose = json!({"lose": {"how": "close", "commit": commit}});
        tenant
            .fault(json!({"method": "POST", "path": DATASETS, "times": 1, "action": lose}))
            .await;
        let brought = tenant.brought("POST", DATASETS, &body).await;
        assert_eq!(brought.text, "");
        let summary = tenant.ledger().await["summary"].clone();
        assert_eq!(summary["datasets"]["created"], there);
    }
    let job = tenant.job().await;
    let path = format!("{JOBS}/{job}");
    for (commit, status) in [(false, "NEW"), (true, "CANCELLING")] {
        let lose = json!({"lose": {"how": "reset", "commit": commit}});
        tenant
            .fault(json!({"method": "DELETE", "times": 1, "action": lose}))
            .await;
        let brought = tenant.brought("DELETE", &path, &Value::Null).await;
        assert_eq!(brought.error, Some(ErrorKind::ConnectionReset));
        assert_eq!(tenant.shown(job).await["status"], status);
    }
}
