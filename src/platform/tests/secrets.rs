//! A canary: what is secret appears in nothing that is printed.

use super::*;

const SECRET: &str = "canary-secret-7f3a";
const TOKEN: &str = "canary-token-91bc";

fn settings(stub: &Stub) -> Settings {
    let mut settings = stub.settings();
    settings.credential = Credential::OAuthServerToServer {
        client_id: "client".to_owned(),
        client_secret: SecretString::from(SECRET),
        scopes: vec!["openid".to_owned()],
    };
    settings
}

fn is_clean(text: &str) {
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn settings_and_clients_print_no_secret() {
    let stub = Stub::always(200, "{}").await;
    let mut settings = settings(&stub);
    is_clean(&format!(
        "{settings:?} {settings:#?} {:?}",
        settings.credential
    ));
    is_clean(&format!(
        "{:?}",
        Platform::new(settings.clone(), PlatformClock::system()).unwrap()
    ));
    settings.credential = Credential::AccessToken {
        access_token: SecretString::from(TOKEN),
        api_key: "key".to_owned(),
    };
    is_clean(&format!("{settings:?}"));
    is_clean(&format!(
        "{:?}",
        Platform::new(settings, PlatformClock::system()).unwrap()
    ));
}

/// A gateway that answers with all that it was sent, in every field that is ever read.
#[tokio::test]
async fn a_reply_that_repeats_what_it_was_sent_shows_no_secret() {
    for status in [200, 302, 400, 401, 403, 404, 429, 500] {
        let stub = Stub::bare(move |seen, _| {
            if seen.is_token_call() {
                return Canned::json(&json!({"access_token": TOKEN, "expires_in": 60}));
            }
            let echo = format!("{SECRET} {} {}", seen.header("authorization"), seen.body);
            let body = json!({
                "title": echo, "code": echo, "requestId": echo, "error_description": echo,
                "message": echo, "status": echo, "id": 1, "errors": [{"code": echo, "msg": echo}],
            });
            Canned::text(status, body.to_string())
        })
        .await;
        let platform = Platform::new(settings(&stub), PlatformClock::system()).unwrap();
        match submit(&platform).await {
            Ok(job) => is_clean(&format!("{job:?}")),
            Err(error) => is_clean(&format!("{error} {error:?} {error:#?}")),
        }
        if let Err(error) = platform.export_jobs(None, 1).await {
            is_clean(&format!("{error} {error:?}"));
        }
    }
}

#[tokio::test]
async fn a_token_endpoint_that_repeats_the_secret_does_not_show_it() {
    for status in [200, 400, 401, 429, 500] {
        let stub = Stub::bare(move |seen, _| {
            let body = json!({"error": seen.body, "error_description": seen.body});
            Canned::text(status, body.to_string())
        })
        .await;
        let platform = Platform::new(settings(&stub), PlatformClock::system()).unwrap();
        let error = platform.authenticate().await.unwrap_err();
        is_clean(&format!("{error} {error:?}"));
        let error = submit(&platform).await.unwrap_err();
        is_clean(&format!("{error} {error:?}"));
    }
}

#[tokio::test]
async fn the_causes_of_an_error_show_no_secret() {
    let stub = Stub::bare(|_, _| Canned::silent()).await;
    let mut settings = settings(&stub);
    settings.timeouts.call = Duration::from_millis(50);
    let platform = Platform::new(settings, PlatformClock::system()).unwrap();
    let error = platform.authenticate().await.unwrap_err();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    let mut depth = 0;
    while let Some(error) = cause {
        is_clean(&format!("{error} {error:?}"));
        cause = error.source();
        depth += 1;
    }
    assert!(depth > 1, "the cause is there for the log");
}
