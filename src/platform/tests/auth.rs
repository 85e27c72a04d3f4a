//! Access tokens.

use super::*;

fn throttled() -> Consequence {
    Consequence::Throttled {
        retry_after: Some(Duration::from_secs(30)),
    }
}

#[tokio::test]
async fn a_token_is_asked_for_by_a_form_with_scopes_between_commas() {
    let stub = Stub::always(200, "{}").await;
    let platform = stub.platform();
    let expiry = platform.authenticate().await.unwrap().expect("an expiry");
    let left = expiry.duration_since(platform.now()).as_secs();
    assert!((86_300..=86_399).contains(&left), "in seconds: {left}");
    let seen = stub.seen();
    assert_eq!(
        (&*seen[0].method, &*seen[0].target),
        ("POST", "/ims/token/v3")
    );
    assert_eq!(
        seen[0].header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(
        seen[0].body,
        "grant_type=client_credentials&client_id=client&client_secret=s3cret-of-the-client\
         &scope=openid%2CAdobeID"
    );
    assert_eq!(seen[0].header("authorization"), "");
    assert_eq!(seen[0].header("x-api-key"), "");
}

#[tokio::test]
async fn a_given_token_is_used_as_it_is_and_has_no_expiry() {
    let stub = Stub::always(200, r#"{"records": []}"#).await;
    let mut settings = stub.settings();
    settings.credential = Credential::AccessToken {
        access_token: SecretString::from("given"),
        api_key: "key".to_owned(),
    };
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    assert_eq!(platform.authenticate().await.unwrap(), None);
    platform.export_jobs(None, 1).await.unwrap();
    assert_eq!(stub.calls()[0].header("authorization"), "Bearer given");
    assert_eq!(stub.calls()[0].header("x-api-key"), "key");
    assert_eq!(stub.token_calls(), 0);
}

#[tokio::test]
async fn a_thousand_callers_make_one_call_for_a_token() {
    let stub = Stub::always(200, "{}").await;
    let platform = stub.platform();
    let callers = (0..1000).map(|_| {
        let platform = platform.clone();
        tokio::spawn(async move { platform.authenticate().await })
    });
    for caller in futures::future::join_all(callers).await {
        assert!(caller.unwrap().unwrap().is_some());
    }
    assert_eq!(stub.token_calls(), 1);
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_wait_and_not_kept() {
    let stub = Stub::bare(|_, before| match before {
        0 => Canned::status(500),
        number => token_reply(number),
    })
    .await;
    let hands = Hands::new();
    let platform = Platform::new(stub.settings(), hands.clock()).unwrap();
    let callers = (0..100).map(|_| platform.authenticate());
    for result in futures::future::join_all(callers).await {
        assert_eq!(result.unwrap_err().consequence(), Consequence::Retry);
    }
    assert_eq!(stub.token_calls(), 1);
    hands.turn(Duration::from_secs(1));
    assert!(platform.authenticate().await.is_ok());
    assert_eq!(stub.token_calls(), 2);
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_nothing_stuck() {
    let stub = Stub::bare(|_, before| match before {
        0 => Canned::silent(),
        number => token_reply(number),
    })
    .await;
    let platform = stub.platform();
    let first = tokio::spawn({
        let platform = platform.clone();
        async move { platform.authenticate().await }
    });
    while stub.token_calls() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    first.await.unwrap_err();
    assert!(platform.authenticate().await.is_ok());
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let stub = Stub::always(200, r#"{"records": []}"#).await;
    let hands = Hands::new();
    let platform = Platform::new(stub.settings(), hands.clock()).unwrap();
    let first = platform.authenticate().await.unwrap().unwrap();
    hands.turn(Duration::from_secs(86_399 - 601));
    assert_eq!(platform.authenticate().await.unwrap(), Some(first));
    assert_eq!(stub.token_calls(), 1);
    hands.turn(Duration::from_secs(1));
    platform.export_jobs(None, 1).await.unwrap();
    assert_eq!(stub.token_calls(), 2, "ten minutes before the end");
    assert_eq!(stub.calls()[0].header("authorization"), "Bearer token-2");
}

#[tokio::test]
async fn a_short_lived_token_is_renewed_in_the_last_tenth_of_its_life() {
    let stub =
        Stub::bare(|_, _| Canned::json(&json!({"access_token": "t", "expires_in": 100}))).await;
    let hands = Hands::new();
    let platform = Platform::new(stub.settings(), hands.clock()).unwrap();
    platform.authenticate().await.unwrap();
    hands.turn(Duration::from_secs(89));
    platform.authenticate().await.unwrap();
    assert_eq!(stub.token_calls(), 1);
    hands.turn(Duration::from_secs(1));
    platform.authenticate().await.unwrap();
    assert_eq!(stub.token_calls(), 2);
}

#[tokio::test]
async fn a_token_that_is_still_good_outlives_a_failed_renewal() {
    let stub = Stub::bare(|seen, before| match (seen.is_token_call(), before) {
        (true, 0) => token_reply(1),
        (true, _) => Canned::status(503),
        (false, _) => Canned::text(200, r#"{"records": []}"#),
    })
    .await;
    let hands = Hands::new();
    let platform = Platform::new(stub.settings(), hands.clock()).unwrap();
    platform.authenticate().await.unwrap();
    hands.turn(Duration::from_secs(86_399 - 60));
    for _ in 0..20 {
        platform.export_jobs(None, 1).await.unwrap();
    }
    assert_eq!(stub.token_calls(), 2, "one renewal was tried, not twenty");
    hands.turn(Duration::from_mins(1));
    let error = platform.export_jobs(None, 1).await.unwrap_err();
    assert_eq!(error.consequence(), Consequence::Retry);
}

#[tokio::test]
async fn a_submission_does_not_wait_for_a_renewal() {
    let stub = Stub::always(200, include_str!("../fixtures/profile-create-job.json")).await;
    let hands = Hands::new();
    let platform = Platform::new(stub.settings(), hands.clock()).unwrap();
    platform.authenticate().await.unwrap();
    hands.turn(Duration::from_secs(86_399 - 60));
    submit(&platform).await.unwrap();
    assert_eq!(stub.token_calls(), 1);
}

#[tokio::test]
async fn an_absurd_life_is_cut_to_a_day() {
    for (told, life) in [
        (json!(86_399_992), 86_400),
        (json!(u64::MAX >> 1), 86_400),
        (json!("3600"), 3600),
        (json!(3600.0), 3600),
        (Value::Null, 300),
    ] {
        let stub =
            Stub::bare(move |_, _| Canned::json(&json!({"access_token": "t", "expires_in": told})))
                .await;
        let hands = Hands::new();
        let platform = Platform::new(stub.settings(), hands.clock()).unwrap();
        let expiry = platform.authenticate().await.unwrap().unwrap();
        assert_eq!(expiry.duration_since(platform.now()).as_secs(), life);
    }
}

#[tokio::test]
async fn a_reply_without_a_usable_token_may_pass() {
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"access_token": ""}"#,
        r#"{"access_token": 7}"#,
        "{\"access_token\": \"a\\nb\", \"expires_in\": 60}",
        r#"{"access_token": "t", "expires_in": 0}"#,
        r#"{"access_token": "t", "expires_in": -1}"#,
        r#"{"access_token": "t", "expires_in": "soon"}"#,
    ] {
        let stub = Stub::bare(move |_, _| Canned::text(200, body)).await;
        let error = stub.platform().authenticate().await.unwrap_err();
        assert_eq!(
            (error.consequence(), error.outcome()),
            (Consequence::Retry, "malformed")
        );
    }
}

#[tokio::test]
async fn what_ims_refuses_is_named() {
    use CredentialPart::{ClientId, ClientSecret, Scopes, Unnamed};
    for (error, description, part, reason) in [
        (
            "invalid_client",
            "invalid client_secret parameter",
            ClientSecret,
            "ClientSecretRejected",
        ),
        (
            "invalid_client",
            "invalid client_id parameter",
            ClientId,
            "ClientIdRejected",
        ),
        ("invalid_scope", "", Scopes, "ScopesRejected"),
        ("access_denied", "no", Unnamed, "CredentialRejected"),
    ] {
        let body = json!({"error": error, "error_description": description}).to_string();
        let stub = Stub::bare(move |_, _| Canned::text(400, body.clone())).await;
        let refused = stub.platform().authenticate().await.unwrap_err();
        assert_eq!(refused.consequence(), Consequence::CredentialRejected(part));
        assert_eq!((refused.reason(), refused.code()), (reason, Some(error)));
    }
}

#[tokio::test]
async fn other_answers_of_ims_are_told_apart() {
    let of = async |canned: fn() -> Canned| {
        let stub = Stub::bare(move |_, _| canned()).await;
        let platform = stub.platform();
        let error = platform.authenticate().await.unwrap_err();
        let again = platform.authenticate().await.unwrap_err();
        assert_eq!(again.consequence(), error.consequence());
        assert_eq!(stub.token_calls(), 1, "a failure holds for a moment");
        error.consequence()
    };
    assert_eq!(
        of(|| Canned::status(429).with("retry-after", "30")).await,
        throttled()
    );
    assert_eq!(
        of(|| Canned::text(429, r#"{"error": "slow_down"}"#)).await,
        Consequence::Throttled { retry_after: None }
    );
    assert_eq!(
        of(|| Canned::status(503).with("retry-after", "30")).await,
        throttled()
    );
    assert_eq!(of(|| Canned::status(500)).await, Consequence::Retry);
    assert_eq!(
        of(|| Canned::text(403, "<html>proxy</html>")).await,
        Consequence::Retry
    );
    let redirect = of(|| Canned::status(302).with("location", "https://evil.example/")).await;
    assert_eq!(redirect, Consequence::Redirected);
}

#[tokio::test]
async fn ims_is_left_alone_as_long_as_it_asks_for() {
    let stub = Stub::bare(|_, before| match before {
        0 => Canned::status(429).with("retry-after", "30"),
        number => token_reply(number),
    })
    .await;
    let hands = Hands::new();
    let platform = Platform::new(stub.settings(), hands.clock()).unwrap();
    platform.authenticate().await.unwrap_err();
    hands.turn(Duration::from_secs(29));
    platform.authenticate().await.unwrap_err();
    assert_eq!(stub.token_calls(), 1);
    hands.turn(Duration::from_secs(1));
    platform.authenticate().await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_the_call_repeated_once() {
    let stub = Stub::start(|seen, _| match seen.header("authorization") {
        "Bearer token-1" => Canned::text(401, gateway("401013")),
        _ => Canned::text(200, r#"{"records": []}"#),
    })
    .await;
    let platform = stub.platform();
    platform.export_jobs(None, 1).await.unwrap();
    assert_eq!((stub.token_calls(), stub.calls().len()), (2, 2));
}

#[tokio::test]
async fn a_token_refused_for_a_thousand_calls_is_replaced_once() {
    let stub = Stub::start(|seen, _| match seen.header("authorization") {
        "Bearer token-1" => Canned::status(401),
        _ => Canned::text(200, r#"{"records": []}"#),
    })
    .await;
    let platform = stub.platform();
    let calls = (0..200).map(|_| platform.export_jobs(None, 1));
    for result in futures::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(stub.token_calls(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_too_ends_it() {
    let stub = Stub::always(401, gateway("401013")).await;
    let platform = stub.platform();
    for _ in 0..5 {
        let error = platform.export_jobs(None, 1).await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::Unauthenticated);
        assert_eq!(error.code(), Some("401013"));
    }
    assert_eq!(
        stub.token_calls(),
        2,
        "IMS is not asked again for each call"
    );
}

#[tokio::test]
async fn a_given_token_that_is_refused_is_not_tried_again() {
    let stub = Stub::always(401, "").await;
    let mut settings = stub.settings();
    settings.credential = Credential::AccessToken {
        access_token: SecretString::from("given"),
        api_key: "key".to_owned(),
    };
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    let error = platform.export_jobs(None, 1).await.unwrap_err();
    assert_eq!(error.consequence(), Consequence::Unauthenticated);
    assert_eq!(stub.calls().len(), 1);
}
