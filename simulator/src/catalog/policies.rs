//! Merge policies: enough of them to be looked up.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::call::Call;
use crate::reply::{Reply, profile_error};
use crate::world::World;

/// The policies that the documents' samples name; the first is the default.
pub(crate) fn documented() -> Vec<String> {
    [
        "timestampOrdered-none-mp",
        "e5bc94de-cd14-4cdf-a2bc-88b6e8cbfac2",
        "0bf16e61-90e9-4204-b8fa-ad250360957b",
        "7972e3d6-96ea-4ece-9627-cbfd62709c5d",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn document(world: &World, sandbox: &str, id: &str) -> Value {
    json!({
        "id": id,
        "name": id,
        "imsOrgId": world.credentials.organization,
        "sandbox": {"sandboxName": sandbox},
        "schema": {"name": "_xdm.context.profile"},
        "version": 1,
        "identityGraph": {"type": "none"},
        "attributeMerge": {"type": "timestampOrdered"},
        "isActiveOnEdge": false,
        "default": world.policies.first().is_some_and(|first| first == id),
    })
}

/// Answers a call to `/config/mergePolicies`.
pub(crate) fn list(world: &World, call: &Call, sandbox: &str) -> Reply {
    if call.method != Method::GET {
        return call.method_not_allowed();
    }
    let children: Vec<Value> = world
        .policies
        .iter()
        .map(|id| document(world, sandbox, id))
        .collect();
    let body = json!({
        "_page": {"totalCount": children.len(), "pageSize": children.len()},
        "children": children,
        "_links": {"next": {"href": ""}},
    });
    Reply::json(StatusCode::OK, &body)
}

/// Answers a call to `/config/mergePolicies/{id}`.
pub(crate) fn get(world: &World, call: &Call, sandbox: &str, id: &str) -> Reply {
    if call.method != Method::GET {
        return call.method_not_allowed();
    }
    if world.policies.iter().any(|known| known == id) {
        return Reply::json(StatusCode::OK, &document(world, sandbox, id));
    }
    let title = format!("Merge policy {id} is not found.");
    let messages = [title.clone()];
    // No document names this code.
    profile_error(
        &call.request_id,
        StatusCode::NOT_FOUND,
        "UPLIB-101000-404",
        &title,
        &messages,
    )
}
