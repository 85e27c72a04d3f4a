//! The tenant's credentials, sandboxes, clock and defaults.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Patch, Refusal, done, ok};
use crate::clock::{Now, check_scale, check_shift};
use crate::exports::job::Outcome;
use crate::options::{OptionsError, Sandbox};
use crate::world::{World, check_duration};

/// Changes to who may call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CredentialsPatch {
    #[serde(default)]
    client_id: Option<String>,
    /// All the secrets that are valid from now on.
    #[serde(default)]
    client_secrets: Option<Vec<String>>,
    #[serde(default)]
    organization_id: Option<String>,
    /// The static token; `null`: none.
    #[serde(default)]
    access_token: Patch<String>,
    #[serde(default)]
    token_lifetime_seconds: Option<u64>,
    /// Ends every token that IMS has given out.
    #[serde(default)]
    revoke_tokens: bool,
}

/// The sandboxes from now on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SandboxList {
    sandboxes: Vec<Sandbox>,
}

/// The merge policies from now on; the first is the default.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicyList {
    merge_policies: Vec<String>,
}

/// The speed of the jobs' clock, and how wrong the tenant's own goes, from now on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ClockPatch {
    #[serde(default)]
    scale: Option<f64>,
    /// How far the tenant's wall is ahead of the machine's.
    #[serde(default)]
    shift_seconds: Option<i64>,
}

/// Changes to what future jobs and datasets are like.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DefaultsPatch {
    #[serde(default)]
    job_duration_seconds: Option<f64>,
    #[serde(default)]
    outcome: Option<Outcome>,
    #[serde(default)]
    profiles: Option<u64>,
    #[serde(default)]
    profiles_by_namespace: Option<BTreeMap<String, u64>>,
    /// The id of the next job that is asked for.
    #[serde(default)]
    next_job_id: Patch<i64>,
    /// The id of the next dataset that is asked for.
    #[serde(default)]
    next_dataset_id: Patch<String>,
}

pub(super) fn put_credentials(world: &mut World, patch: CredentialsPatch) -> Answer {
    let token = match &patch.access_token {
        Patch::Set(token) => Some(token),
        Patch::Keep | Patch::Clear => None,
    };
    let mut given = patch.client_secrets.iter().flatten().chain(token);
    if given.any(String::is_empty) || patch.client_secrets.as_ref().is_some_and(Vec::is_empty) {
        return Err(Refusal::bad(OptionsError::Secret.to_string()));
    }
    let credentials = &mut world.credentials;
    if let Some(client_id) = patch.client_id {
        credentials.client_id = client_id;
    }
    if let Some(secrets) = patch.client_secrets {
        credentials.secrets = secrets;
    }
    if let Some(organization) = patch.organization_id {
        credentials.organization = organization;
    }
    patch.access_token.apply(&mut credentials.access_token);
    if let Some(seconds) = patch.token_lifetime_seconds {
        credentials.token_lifetime_seconds = seconds;
    }
    if patch.revoke_tokens {
        credentials.tokens.clear();
    }
    Ok(done())
}

pub(super) fn put_sandboxes(world: &mut World, list: SandboxList) -> Answer {
    for sandbox in &list.sandboxes {
        sandbox
            .check()
            .map_err(|error| Refusal::bad(error.to_string()))?;
    }
    world.sandboxes = list.sandboxes;
    Ok(ok(&json!({"sandboxes": world.sandboxes})))
}

pub(super) fn put_policies(world: &mut World, list: PolicyList) -> Answer {
    if list.merge_policies.is_empty() {
        return Err(Refusal::bad(
            "an organisation has at least one merge policy",
        ));
    }
    world.policies = list.merge_policies;
    Ok(ok(&json!({"mergePolicies": world.policies})))
}

pub(super) fn put_clock(world: &mut World, patch: &ClockPatch, now: &Now) -> Answer {
    if patch.scale.is_none() && patch.shift_seconds.is_none() {
        return Err(Refusal::bad("a clock has scale, shiftSeconds or both"));
    }
    let scale = patch.scale.map(check_scale).transpose();
    let shift = patch.shift_seconds.map(check_shift).transpose();
    let (scale, shift) = (scale.map_err(Refusal::bad)?, shift.map_err(Refusal::bad)?);
    if let Some(scale) = scale {
        world.clock.rescale(scale, *now);
    }
    if let Some(seconds) = shift {
        world.clock.set_shift(seconds);
    }
    Ok(ok(&clock(world)))
}

pub(super) fn clock(world: &World) -> Value {
    json!({"scale": world.clock.scale(), "shiftSeconds": world.clock.shift_seconds()})
}

pub(super) fn defaults(world: &World) -> Value {
    let defaults = &world.defaults;
    json!({
        "jobDurationSeconds": defaults.job_duration.as_secs_f64(),
        "outcome": defaults.outcome,
        "profiles": defaults.profiles.total,
        "profilesByNamespace": defaults.profiles.by_namespace,
        "nextJobId": defaults.next_job_id,
        "nextDatasetId": defaults.next_dataset_id,
    })
}

pub(super) fn put_defaults(world: &mut World, patch: DefaultsPatch) -> Answer {
    let duration = match patch.job_duration_seconds {
        Some(seconds) => Some(
            check_duration(seconds)
                .ok_or_else(|| Refusal::bad("jobDurationSeconds is 0 to 1e9"))?,
        ),
        None => None,
    };
    if let Patch::Set(id) = patch.next_job_id
        && world.jobs.contains_key(&id)
    {
        return Err(Refusal::bad("a job with this id is there already"));
    }
    let defaults = &mut world.defaults;
    if let Some(duration) = duration {
        defaults.job_duration = duration;
    }
    if let Some(outcome) = patch.outcome {
        defaults.outcome = outcome;
    }
    if let Some(total) = patch.profiles {
        defaults.profiles.total = total;
    }
    if let Some(by_namespace) = patch.profiles_by_namespace {
        defaults.profiles.by_namespace = by_namespace;
    }
    patch.next_job_id.apply(&mut defaults.next_job_id);
    patch.next_dataset_id.apply(&mut defaults.next_dataset_id);
    Ok(ok(&self::defaults(world)))
}
