//! IMS: tokens for a client id and one of its secrets.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::call::{Call, pairs};
use crate::clock::Now;
use crate::ids;
use crate::reply::{Reply, ims_error};
use crate::world::World;

const FIELDS: [&str; 4] = ["grant_type", "client_id", "client_secret", "scope"];

/// Answers a call to `/ims/token/v3`.
pub(crate) fn token(world: &mut World, call: &Call, now: &Now) -> Reply {
    if call.method != Method::POST {
        return ims_error("invalid_request", "a token is asked for by POST");
    }
    if call.query.is_some() {
        return ims_error(
            "invalid_request",
            "parameters belong in the body, not in the query",
        );
    }
    if let Err(problem) = call.content_type_is(&["application/x-www-form-urlencoded"]) {
        return ims_error("invalid_request", &problem);
    }
    let form = match pairs(&call.body) {
        Ok(form) => form,
        Err(problem) => return ims_error("invalid_request", &problem),
    };
    if let Some((name, _)) = form
        .iter()
        .find(|(name, _)| !FIELDS.contains(&name.as_str()))
    {
        return ims_error("invalid_request", &format!("unknown parameter {name}"));
    }
    let mut values = [""; 4];
    for (slot, name) in values.iter_mut().zip(FIELDS) {
        match form.iter().find(|(known, _)| known == name) {
            Some((_, value)) if !value.is_empty() => *slot = value,
            _ => return ims_error("invalid_request", &format!("missing parameter {name}")),
        }
    }
    let [grant, client, secret, scope] = values;
    if grant != "client_credentials" {
        return ims_error(
            "unsupported_grant_type",
            "grant_type must be client_credentials",
        );
    }
    let credentials = &mut world.credentials;
    if client != credentials.client_id {
        return ims_error("invalid_client", "invalid client_id parameter");
    }
    if !credentials.secrets.iter().any(|known| known == secret) {
        return ims_error("invalid_client", "invalid client_secret parameter");
    }
    let well_formed = scope
        .split(',')
        .all(|part| !part.is_empty() && !part.contains(char::is_whitespace));
    if !well_formed {
        return ims_error(
            "invalid_scope",
            "scopes are separated by commas, without spaces",
        );
    }
    let lifetime = i64::try_from(credentials.token_lifetime_seconds).unwrap_or(i64::MAX);
    let token = ids::token();
    credentials.tokens.retain(|_, end| *end > now.wall);
    credentials.tokens.insert(
        token.clone(),
        now.wall.saturating_add(lifetime.saturating_mul(1000)),
    );
    credentials.issued += 1;
    let body = json!({
        "access_token": token,
        "token_type": "bearer",
        "expires_in": credentials.token_lifetime_seconds,
    });
    Reply::json(StatusCode::OK, &body).effective()
}
