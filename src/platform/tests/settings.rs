//! Settings that can't be used are refused before anything is sent.

use super::*;

fn settings() -> Settings {
    let url: Url = "https://platform.adobe.io".parse().unwrap();
    Settings::new(
        Endpoints {
            platform: url.clone(),
            ims: url,
        },
        "O@AdobeOrg",
        "dev",
        credential(),
    )
}

fn refused(change: impl FnOnce(&mut Settings)) -> &'static str {
    let mut settings = settings();
    change(&mut settings);
    let error = Platform::new(settings, PlatformClock::system()).unwrap_err();
    assert_eq!(error.reason(), "InvalidSettings");
    let Consequence::Misconfigured { setting } = error.consequence() else {
        panic!("{error}")
    };
    assert!(
        error
            .to_string()
            .starts_with(&format!("configure: {setting} ")),
        "{error}"
    );
    setting
}

fn oauth(client_id: &str, client_secret: &str, scopes: &[&str]) -> Credential {
    Credential::OAuthServerToServer {
        client_id: client_id.to_owned(),
        client_secret: SecretString::from(client_secret),
        scopes: scopes.iter().copied().map(str::to_owned).collect(),
    }
}

fn given(access_token: &str, api_key: &str) -> Credential {
    Credential::AccessToken {
        access_token: SecretString::from(access_token),
        api_key: api_key.to_owned(),
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_named() {
    assert!(Platform::new(settings(), PlatformClock::system()).is_ok());
    assert_eq!(
        refused(|it| it.organization_id = String::new()),
        "organization_id"
    );
    assert_eq!(
        refused(|it| it.organization_id = "a\nb".to_owned()),
        "organization_id"
    );
    assert_eq!(refused(|it| it.sandbox = "\u{0}".to_owned()), "sandbox");
    assert_eq!(refused(|it| it.user_agent = "\r".to_owned()), "user_agent");
    assert_eq!(
        refused(|it| it.credential = oauth("", "s", &["a"])),
        "client_id"
    );
    assert_eq!(
        refused(|it| it.credential = oauth("c", "", &["a"])),
        "client_secret"
    );
    assert_eq!(refused(|it| it.credential = oauth("c", "s", &[])), "scopes");
    assert_eq!(refused(|it| it.credential = given("", "k")), "access_token");
    assert_eq!(
        refused(|it| it.credential = given("a\nb", "k")),
        "access_token"
    );
    assert_eq!(refused(|it| it.credential = given("t", "")), "api_key");
    for url in [
        "ftp://a",
        "data:,",
        "https://u:p@a",
        "https://a?b",
        "https://a#b",
    ] {
        let url: Url = url.parse().unwrap();
        assert_eq!(
            refused(|it| it.endpoints.platform = url.clone()),
            "endpoints.platform"
        );
        assert_eq!(
            refused(|it| it.endpoints.ims = url.clone()),
            "endpoints.ims"
        );
    }
}
