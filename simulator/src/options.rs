//! What a tenant is started with.

use serde::{Deserialize, Serialize};

/// How a tenant begins; [`Options::default`] is one that works.
#[derive(Clone)]
pub struct Options {
    /// The client id, which is the API key too.
    pub client_id: String,
    /// The client secrets; several are valid at once while one is replaced by another.
    pub client_secrets: Vec<String>,
    /// The organisation, `…@AdobeOrg`.
    pub organization_id: String,
    /// The sandboxes of the credential.
    pub sandboxes: Vec<Sandbox>,
    /// A token that is valid without IMS.
    pub access_token: Option<String>,
    /// The life of a token from IMS.
    pub token_lifetime_seconds: u64,
    /// How much faster than the wall's the clock of the jobs goes.
    pub clock_scale: f64,
    /// How long a job takes on its clock.
    pub job_duration_seconds: f64,
    /// Switches as JSON text: one object, merged into the defaults.
    pub switches: Option<String>,
    /// Faults as JSON text: one, or a list.
    pub faults: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_id: "demo-client".to_owned(),
            client_secrets: vec!["demo-secret".to_owned()],
            organization_id: "745F37C35E4B776E0A49421B@AdobeOrg".to_owned(),
            sandboxes: vec![Sandbox::named("prod")],
            access_token: None,
            token_lifetime_seconds: 86_399,
            clock_scale: 1.0,
            job_duration_seconds: 60.0,
            switches: None,
            faults: None,
        }
    }
}

/// A sandbox, as the sandbox service shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sandbox {
    /// The name that the header `x-sandbox-name` carries.
    pub name: String,
    /// `production` or `development`.
    #[serde(rename = "type", default = "production")]
    pub kind: String,
    /// `creating`, `active`, `deleting`, `resetting`, `deleted` or `failed`.
    #[serde(default = "active")]
    pub state: String,
    /// The region, such as `VA7`.
    #[serde(default = "virginia")]
    pub region: String,
}

fn production() -> String {
    "production".to_owned()
}

fn active() -> String {
    "active".to_owned()
}

fn virginia() -> String {
    "VA7".to_owned()
}

impl Sandbox {
    /// An active production sandbox.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: production(),
            state: active(),
            region: virginia(),
        }
    }

    /// Says what is wrong with it.
    ///
    /// # Errors
    ///
    /// A name that no sandbox can have, or an unknown type or state.
    pub fn check(&self) -> Result<(), OptionsError> {
        let name_fits = !self.name.is_empty()
            && self
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !name_fits {
            return Err(OptionsError::Sandbox(format!(
                "{:?} is no sandbox name: lower-case letters, digits and hyphens",
                self.name
            )));
        }
        if !matches!(self.kind.as_str(), "production" | "development") {
            return Err(OptionsError::Sandbox(format!(
                "the type of sandbox {} is production or development, not {:?}",
                self.name, self.kind
            )));
        }
        let states = [
            "creating",
            "active",
            "deleting",
            "resetting",
            "deleted",
            "failed",
        ];
        if !states.contains(&self.state.as_str()) {
            return Err(OptionsError::Sandbox(format!(
                "the state of sandbox {} is one of {}, not {:?}",
                self.name,
                states.join(", "),
                self.state
            )));
        }
        Ok(())
    }
}

impl std::str::FromStr for Sandbox {
    type Err = OptionsError;

    /// Reads `NAME[:TYPE[:STATE[:REGION]]]`; an empty part is the default.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let mut sandbox = Self::named(parts.next().unwrap_or_default());
        for field in [&mut sandbox.kind, &mut sandbox.state, &mut sandbox.region] {
            if let Some(part) = parts.next()
                && !part.is_empty()
            {
                part.clone_into(field);
            }
        }
        if parts.next().is_some() {
            return Err(OptionsError::Sandbox(format!(
                "{text:?} has too many parts: NAME[:TYPE[:STATE[:REGION]]]"
            )));
        }
        sandbox.check()?;
        Ok(sandbox)
    }
}

/// Why a tenant cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A sandbox that cannot be.
    #[error("sandbox: {0}")]
    Sandbox(String),
    /// Switches that cannot be read.
    #[error("switches: {0}")]
    Switches(String),
    /// Faults that cannot be read.
    #[error("faults: {0}")]
    Faults(String),
    /// A clock that cannot go so fast.
    #[error("{0}")]
    Clock(String),
    /// A job that cannot take so long.
    #[error("the duration of a job is 0 to 1000000000 seconds, not {0}")]
    JobDuration(f64),
    /// No client secret, or an empty secret or token.
    #[error("at least one client secret is needed, and no secret or token may be empty")]
    Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_is_written_in_up_to_four_parts() {
        let sandbox: Sandbox = "dev:development::NLD2".parse().unwrap();
        assert_eq!(
            (sandbox.name.as_str(), sandbox.kind.as_str()),
            ("dev", "development")
        );
        assert_eq!(
            (sandbox.state.as_str(), sandbox.region.as_str()),
            ("active", "NLD2")
        );
    }

    #[test]
    fn a_sandbox_that_cannot_be_is_refused() {
        for text in [
            "",
            "Prod",
            "a:b",
            "a:production:asleep",
            "a:production:active:VA7:x",
        ] {
            assert!(text.parse::<Sandbox>().is_err(), "{text}");
        }
    }
}
