//! The gateway: who may call, and for which sandbox.

use axum::http::{Method, StatusCode};

use crate::call::{Call, Route};
use crate::clock::Now;
use crate::reply::{Reply, gateway_error};
use crate::world::World;

/// Checks a call's headers; returns the sandbox that it is for, which is empty for the service
/// that lists sandboxes.
///
/// # Errors
///
/// The gateway's refusal.
pub(crate) fn admit(
    world: &World,
    call: &Call,
    route: &Route,
    now: &Now,
) -> Result<String, Box<Reply>> {
    let refuse = |status: StatusCode, code: &str, message: &str| {
        Err(Box::new(gateway_error(status, code, message)))
    };
    let credentials = &world.credentials;
    match call.header("x-api-key") {
        None => return refuse(StatusCode::FORBIDDEN, "403000", "Api Key is required"),
        Some(key) if key != credentials.client_id => {
            return refuse(StatusCode::FORBIDDEN, "403003", "Api Key is invalid");
        }
        Some(_) => {}
    }
    let Some(authorization) = call.header("authorization") else {
        return refuse(StatusCode::FORBIDDEN, "403010", "Oauth token is missing.");
    };
    let token = match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    let valid = credentials.access_token.as_deref() == Some(token)
        || credentials
            .tokens
            .get(token)
            .is_some_and(|end| *end > now.wall);
    if token.is_empty() || !valid {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "401013",
            "Oauth token is not valid",
        );
    }
    match call.header("x-gw-ims-org-id") {
        None => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "400003",
                "Missing header (x-gw-ims-org-id)",
            );
        }
        Some(organization) if organization != credentials.organization => {
            return refuse(StatusCode::FORBIDDEN, "403027", "User region is missing");
        }
        Some(_) => {}
    }
    if matches!(route, Route::Sandboxes | Route::Unknown | Route::Token) {
        return Ok(String::new());
    }
    let Some(name) = call.header("x-sandbox-name") else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "400003",
            "Missing header (x-sandbox-name)",
        );
    };
    match world.sandboxes.iter().find(|sandbox| sandbox.name == name) {
        Some(sandbox) if sandbox.state == "active" => Ok(name.to_owned()),
        Some(sandbox) => {
            let message = format!("Profile is not valid: sandbox {name} is {}", sandbox.state);
            refuse(StatusCode::FORBIDDEN, "403025", &message)
        }
        None => {
            let message = format!("Profile is not valid: no sandbox {name} for this credential");
            refuse(StatusCode::FORBIDDEN, "403025", &message)
        }
    }
}

/// Answers a call to the sandbox service.
pub(crate) fn sandboxes(world: &World, call: &Call) -> Reply {
    if call.method == Method::GET {
        Reply::json(StatusCode::OK, &world.sandbox_list())
    } else {
        call.method_not_allowed()
    }
}

/// Answers a call to a path that the gateway does not know.
pub(crate) fn unknown(call: &Call) -> Reply {
    let message = format!("{} is no path of this tenant", call.path);
    gateway_error(StatusCode::NOT_FOUND, "404000", &message)
}
