//! IMS and the gateway's checks.

use aep_simulator::{Options, Sandbox};
use serde_json::json;

use crate::support::{DATASETS, FORM, JOBS, ORGANIZATION, Tenant, read};

#[tokio::test]
async fn a_token_has_its_life_in_seconds() {
    let tenant = Tenant::start().await;
    let reply = tenant.ims(FORM).await.with(200).json();
    assert_eq!(reply["token_type"], "bearer");
    assert_eq!(reply["expires_in"], 86_399);
}

#[tokio::test]
async fn ims_refuses_what_is_not_documented_with_400() {
    let tenant = Tenant::start().await;
    let cases = [
        (
            "grant_type=client_credentials&client_id=demo-client&client_secret=demo-secret",
            "invalid_request",
            "scope",
        ),
        (
            "grant_type=client_credentials&client_id=demo-client&scope=openid",
            "invalid_request",
            "client_secret",
        ),
        (
            "grant_type=client_credentials&client_secret=demo-secret&scope=openid",
            "invalid_request",
            "client_id",
        ),
        (
            "client_id=demo-client&client_secret=demo-secret&scope=openid",
            "invalid_request",
            "grant_type",
        ),
        (
            "grant_type=client_credentials&client_id=x&client_secret=demo-secret&scope=openid",
            "invalid_client",
            "invalid client_id parameter",
        ),
        (
            "grant_type=client_credentials&client_id=demo-client&client_secret=x&scope=openid",
            "invalid_client",
            "invalid client_secret parameter",
        ),
        (
            "grant_type=password&client_id=demo-client&client_secret=demo-secret&scope=openid",
            "unsupported_grant_type",
            "client_credentials",
        ),
        (
            "grant_type=client_credentials&client_id=demo-client&client_secret=demo-secret\
             &scope=openid+AdobeID",
            "invalid_scope",
            "comma",
        ),
    ];
    for (form, error, description) in cases {
        let reply = tenant.ims(form).await.with(400).json();
        assert_eq!(reply["error"], error, "{form}");
        assert!(
            reply["error_description"]
                .as_str()
                .unwrap()
                .contains(description),
            "{reply}"
        );
    }
    let as_query = tenant.bare("POST", &format!("/ims/token/v3?{FORM}"));
    assert_eq!(read(as_query.send().await.unwrap()).await.status, 400);
    let as_json = tenant
        .bare("POST", "/ims/token/v3")
        .header("content-type", "application/json");
    assert_eq!(
        read(as_json.body("{}").send().await.unwrap()).await.status,
        400
    );
}

#[tokio::test]
async fn the_gateway_says_what_a_call_lacks() {
    let tenant = Tenant::start().await;
    let complete = [
        ("x-api-key", "demo-client".to_owned()),
        ("authorization", format!("Bearer {}", tenant.token)),
        ("x-gw-ims-org-id", ORGANIZATION.to_owned()),
        ("x-sandbox-name", "prod".to_owned()),
    ];
    let cases = [
        ("x-api-key", None, 403, "403000"),
        ("x-api-key", Some("other"), 403, "403003"),
        ("authorization", None, 403, "403010"),
        ("authorization", Some("Bearer wrong"), 401, "401013"),
        ("authorization", Some("Basic wrong"), 401, "401013"),
        ("x-gw-ims-org-id", None, 400, "400003"),
        ("x-gw-ims-org-id", Some("0@AdobeOrg"), 403, "403027"),
        ("x-sandbox-name", None, 400, "400003"),
        ("x-sandbox-name", Some("Prod"), 403, "403025"),
    ];
    for (header, value, status, code) in cases {
        let mut request = tenant.bare("GET", JOBS);
        for (name, good) in &complete {
            let value = if *name == header {
                value
            } else {
                Some(good.as_str())
            };
            if let Some(value) = value {
                request = request.header(*name, value);
            }
        }
        let reply = read(request.send().await.unwrap()).await.with(status);
        assert_eq!(reply.json()["error_code"], code, "{header} {value:?}");
        assert_eq!(reply.header("x-request-id").len(), 32);
        assert!(!reply.header("date").is_empty());
    }
}

#[tokio::test]
async fn the_sandboxes_of_the_credential_are_listed_without_naming_one() {
    let sandboxes = ["prod", "dev:development:creating:NLD2"].map(|text| text.parse().unwrap());
    let tenant = Tenant::with(Options {
        sandboxes: sandboxes.to_vec(),
        ..Options::default()
    })
    .await;
    let request = tenant
        .bare("GET", "/data/foundation/sandbox-management/")
        .bearer_auth(&tenant.token)
        .header("x-api-key", "demo-client")
        .header("x-gw-ims-org-id", ORGANIZATION);
    let reply = read(request.send().await.unwrap()).await.with(200).json();
    assert_eq!(reply["sandboxes"][0]["name"], "prod");
    assert_eq!(reply["sandboxes"][1]["type"], "development");
    assert_eq!(reply["sandboxes"][1]["state"], "creating");
    assert_eq!(reply["sandboxes"][1]["region"], "NLD2");
}

#[tokio::test]
async fn what_is_in_one_sandbox_is_not_in_another() {
    let sandboxes = vec![Sandbox::named("prod"), Sandbox::named("dev")];
    let tenant = Tenant::with(Options {
        sandboxes,
        ..Options::default()
    })
    .await;
    let id = tenant.dataset().await;
    tenant.get(&format!("{DATASETS}/{id}")).await.with(200);
    let other = tenant
        .bare("GET", &format!("{DATASETS}/{id}"))
        .bearer_auth(&tenant.token)
        .header("x-api-key", "demo-client")
        .header("x-gw-ims-org-id", ORGANIZATION)
        .header("x-sandbox-name", "dev");
    assert_eq!(read(other.send().await.unwrap()).await.status, 404);
}

#[tokio::test]
async fn a_token_ends_with_its_life() {
    let tenant = Tenant::with(Options {
        token_lifetime_seconds: 0,
        ..Options::default()
    })
    .await;
    let reply = tenant.get(JOBS).await.with(401).json();
    assert_eq!(reply["error_code"], "401013");
}

#[tokio::test]
async fn a_static_token_needs_no_ims() {
    let options = Options {
        access_token: Some("given".to_owned()),
        ..Options::default()
    };
    let mut tenant = Tenant::with(options).await;
    tenant.token = "given".to_owned();
    tenant.get(JOBS).await.with(200);
}

#[tokio::test]
async fn secrets_can_be_replaced_one_after_another() {
    let tenant = Tenant::start().await;
    let both = json!({"clientSecrets": ["demo-secret", "next"]});
    tenant.admin("PUT", "/credentials", both).await.with(204);
    let next = FORM.replace("demo-secret", "next");
    tenant.ims(FORM).await.with(200);
    tenant.ims(&next).await.with(200);
    let one = json!({"clientSecrets": ["next"], "revokeTokens": true});
    tenant.admin("PUT", "/credentials", one).await.with(204);
    tenant.ims(FORM).await.with(400);
    tenant.ims(&next).await.with(200);
    tenant.get(JOBS).await.with(401);
}

#[tokio::test]
async fn a_request_id_is_given_back() {
    let tenant = Tenant::start().await;
    let request = tenant
        .request("GET", JOBS)
        .header("x-request-id", "abcDEF123");
    let reply = read(request.send().await.unwrap()).await;
    assert_eq!(reply.header("x-request-id"), "abcDEF123");
}

#[tokio::test]
async fn an_unknown_path_is_refused_as_the_gateway_does() {
    let tenant = Tenant::start().await;
    let reply = tenant
        .get("/data/core/ups/system/jobs")
        .await
        .with(404)
        .json();
    assert_eq!(reply["error_code"], "404000");
    let reply = tenant
        .send("PATCH", JOBS, &json!({}))
        .await
        .with(405)
        .json();
    assert_eq!(reply["error_code"], "405000");
}
