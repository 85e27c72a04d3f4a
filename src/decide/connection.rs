//! Whether a connection works.

use crate::{
    api::Reason,
    decide::{Cause, Need},
    platform::{Consequence, PlatformError, Sandbox},
};

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The sandbox that its spec names.
    pub sandbox: String,
    /// The credential in the Secret, or why there is none.
    pub credential: Need<()>,
    /// What the platform said, if it was asked with this credential.
    pub check: Check,
    /// Whether the last status said that it is ready.
    pub before: Before,
}

/// What the platform said of a credential.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// It was not asked yet, or long ago.
    Due,
    /// These sandboxes are the credential's.
    Sandboxes(Vec<Sandbox>),
    /// It did not say.
    Failed(Failure),
}

/// An error of the platform, as far as decisions need it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What follows from it.
    pub consequence: Consequence,
    /// The sentence for a person.
    pub message: String,
}

/// Whether the last status said that the connection is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// It did, for this spec.
    Ready,
    /// It did not.
    NotReady,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Ask the platform.
    Check,
    /// Nothing: say so.
    Settle(Situation),
}

/// How a connection stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Situation {
    /// It works.
    Ready(Sandbox),
    /// It worked, and something passing is in the way.
    Shaken(Cause),
    /// Something is not there yet.
    Waiting(Cause),
    /// Something is there and wrong.
    Wrong(Cause),
}

impl From<&PlatformError> for Failure {
    fn from(error: &PlatformError) -> Self {
        Self {
            consequence: error.consequence(),
            message: error.to_string(),
        }
    }
}

/// What to do about a connection.
#[must_use]
pub fn decide(facts: &Facts) -> Plan {
    let Facts {
        sandbox,
        credential,
        check,
        before,
    } = facts;
    match credential {
        Need::Waiting(cause) => Plan::Settle(Situation::Waiting(cause.clone())),
        Need::Wrong(cause) => Plan::Settle(Situation::Wrong(cause.clone())),
        Need::Met(()) => match check {
            Check::Due => Plan::Check,
            Check::Sandboxes(all) => Plan::Settle(judge_sandbox(sandbox, all)),
            Check::Failed(failure) => Plan::Settle(judge_failure(failure, *before)),
        },
    }
}

fn judge_sandbox(wanted: &str, all: &[Sandbox]) -> Situation {
    let Some(sandbox) = all.iter().find(|sandbox| sandbox.name == wanted) else {
        let mut names: Vec<&str> = all.iter().map(|sandbox| sandbox.name.as_str()).collect();
        names.sort_unstable();
        names.truncate(10);
        let seen = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        return Situation::Wrong(Cause::new(
            Reason::SandboxNotFound,
            format!(
                "the credential sees no sandbox {wanted} (it sees: {seen}): create a \
                 PlatformConnection with the right name, or give the credential's role access to it"
            ),
        ));
    };
    match sandbox.state.as_deref() {
        // A reply without a state says nothing against the sandbox.
        None | Some("active") => Situation::Ready(sandbox.clone()),
        Some(state @ ("creating" | "resetting")) => Situation::Waiting(Cause::new(
            Reason::SandboxNotReady,
            format!("sandbox {wanted} is {state}; it is looked at again"),
        )),
        Some(state) => Situation::Wrong(Cause::new(
            Reason::SandboxUnusable,
            format!("sandbox {wanted} is {state}: use another one"),
        )),
    }
}

fn judge_failure(failure: &Failure, before: Before) -> Situation {
    let Failure {
        consequence,
        message,
    } = failure;
    let passing = |reason, message: &str| {
        let cause = Cause::new(reason, message);
        match before {
            Before::Ready => Situation::Shaken(cause),
            Before::NotReady => Situation::Waiting(cause),
        }
    };
    let wrong = |reason| Situation::Wrong(Cause::new(reason, message.clone()));
    match consequence {
        Consequence::Throttled { retry_after: _ } => passing(Reason::PlatformThrottled, message),
        Consequence::Retry | Consequence::NotSent | Consequence::InDoubt => {
            passing(Reason::PlatformUnavailable, message)
        }
        Consequence::CredentialRejected(_) => wrong(Reason::InvalidClient),
        Consequence::Unauthenticated | Consequence::Refused(_) => wrong(Reason::CredentialRejected),
        Consequence::Forbidden => wrong(Reason::AccessDenied),
        Consequence::Redirected | Consequence::Misconfigured { setting: _ } => {
            wrong(Reason::HostNotAllowed)
        }
        Consequence::NotFound | Consequence::Rejected => wrong(Reason::PlatformError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::CredentialPart;

    fn sandbox(name: &str, state: &str) -> Sandbox {
        Sandbox {
            name: name.into(),
            kind: None,
            state: Some(state.into()),
            region: None,
        }
    }

    fn facts(check: Check, before: Before) -> Facts {
        Facts {
            sandbox: "prod".into(),
            credential: Need::Met(()),
            check,
            before,
        }
    }

    fn failed(consequence: Consequence, before: Before) -> Plan {
        let message = "x".into();
        let failure = Failure {
            consequence,
            message,
        };
        decide(&facts(Check::Failed(failure), before))
    }

    #[test]
    fn nobody_is_asked_before_there_is_a_credential() {
        let cause = Cause::new(Reason::SecretNotFound, "none");
        let waiting = Facts {
            credential: Need::Waiting(cause.clone()),
            ..facts(Check::Due, Before::NotReady)
        };
        assert_eq!(decide(&waiting), Plan::Settle(Situation::Waiting(cause)));
        assert_eq!(decide(&facts(Check::Due, Before::Ready)), Plan::Check);
    }

    #[test]
    fn a_sandbox_is_judged_by_its_state() {
        let of = |state| {
            decide(&facts(
                Check::Sandboxes(vec![sandbox("prod", state)]),
                Before::Ready,
            ))
        };
        assert!(matches!(of("active"), Plan::Settle(Situation::Ready(_))));
        for state in ["creating", "resetting"] {
            assert!(
                matches!(of(state), Plan::Settle(Situation::Waiting(_))),
                "{state}"
            );
        }
        for state in ["deleting", "deleted", "failed", "unheard-of"] {
            assert!(
                matches!(of(state), Plan::Settle(Situation::Wrong(_))),
                "{state}"
            );
        }
    }

    #[test]
    fn a_sandbox_that_the_credential_does_not_see_is_wrong_and_the_others_are_named() {
        let others = Check::Sandboxes(vec![sandbox("dev", "active")]);
        let Plan::Settle(Situation::Wrong(cause)) = decide(&facts(others, Before::Ready)) else {
            panic!()
        };
        assert_eq!(cause.reason, Reason::SandboxNotFound);
        assert!(cause.message.contains("dev"));
    }

    #[test]
    fn what_passes_takes_nothing_back_and_what_is_wrong_does() {
        for consequence in [
            Consequence::Retry,
            Consequence::Throttled { retry_after: None },
        ] {
            let shaken = failed(consequence, Before::Ready);
            assert!(matches!(shaken, Plan::Settle(Situation::Shaken(_))));
            let waiting = failed(consequence, Before::NotReady);
            assert!(matches!(waiting, Plan::Settle(Situation::Waiting(_))));
        }
        for consequence in [
            Consequence::CredentialRejected(CredentialPart::ClientSecret),
            Consequence::Unauthenticated,
            Consequence::Forbidden,
            Consequence::Redirected,
        ] {
            let wrong = failed(consequence, Before::Ready);
            assert!(matches!(wrong, Plan::Settle(Situation::Wrong(_))));
        }
    }
}
