//! Whether a connection works, and who holds it.

use crate::{
    api::{ABANDON_ANNOTATION, ConnectionKey, Reason},
    decide::{Cause, Finalizer, Life, Need},
    platform::{Consequence, PlatformError, Sandbox},
};

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Whether it is being deleted: then it serves what was begun, and nothing new.
    pub leaving: Option<Use>,
    /// The sandbox that its spec names.
    pub sandbox: String,
    /// The credential in the Secret, or why there is none.
    pub credential: Need<()>,
    /// What the platform said, if it was asked with this credential.
    pub check: Check,
    /// Whether the last status said that it is ready.
    pub before: Before,
}

/// Who needs a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its UID.
    pub uid: String,
    /// Which one it is.
    pub connection: ConnectionKey,
    /// Whether it is being deleted.
    pub life: Life,
    /// Whether our finalizer is on it.
    pub finalizer: Finalizer,
    /// What was begun with it and is not finished, by kind and name.
    pub users: Vec<String>,
    /// Whether a person had it let go.
    pub word: Word,
}

/// Whether a person had an object that is being deleted let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// No.
    Kept,
    /// Yes.
    Abandoned,
}

/// What to do with the finalizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is as it shall be.
    Stay,
    /// Put it on.
    PutOn,
    /// Take it off, unless somebody begins to need the connection.
    TakeOff,
    /// Take it off although it is needed, with this warning.
    Abandon(Cause),
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
    /// It is being deleted, and goes once nothing needs it.
    Leaving(Cause),
}

/// How many users are named.
const NAMED: usize = 5;

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
        leaving,
        sandbox,
        credential,
        check,
        before,
    } = facts;
    if let Some(leaving) = leaving {
        return Plan::Settle(Situation::Leaving(waits(leaving, credential)));
    }
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

/// What to do with the finalizer. It is there while something begun with the connection is not
/// finished, and not a moment longer: a connection that nothing needs is deleted at once.
#[must_use]
pub fn hold(facts: &Use) -> Hold {
    let Use {
        uid: _,
        connection,
        life,
        finalizer,
        users,
        word,
    } = facts;
    match (finalizer, life, users.is_empty()) {
        (Finalizer::Absent, Life::Live, false) => Hold::PutOn,
        // None can be put on an object that is being deleted.
        (Finalizer::Absent, Life::Live, true) | (Finalizer::Absent, Life::Deleting, _) => {
            Hold::Stay
        }
        (Finalizer::Present, Life::Live | Life::Deleting, true) => Hold::TakeOff,
        (Finalizer::Present, Life::Live, false) => Hold::Stay,
        (Finalizer::Present, Life::Deleting, false) => match word {
            Word::Kept => Hold::Stay,
            Word::Abandoned => Hold::Abandon(Cause::new(
                Reason::Abandoned,
                format!(
                    "{}{} was let go by the annotation {ABANDON_ANNOTATION}, although {} go on with \
                     it: they do so while this process holds its token; after that, create it again \
                     with the same name, organisation and sandbox",
                    connection.title(),
                    connection
                        .namespace
                        .as_ref()
                        .map_or_else(String::new, |namespace| format!(
                            " of namespace {namespace}"
                        )),
                    named(users)
                ),
            )),
        },
    }
}

/// What a connection that is being deleted waits for.
fn waits(leaving: &Use, credential: &Need<()>) -> Cause {
    let Use {
        uid,
        connection,
        life: _,
        finalizer,
        users,
        word: _,
    } = leaving;
    if users.is_empty() || *finalizer == Finalizer::Absent {
        return Cause::new(
            Reason::BeingDeleted,
            format!(
                "this operator holds it no longer; what else does, tells {} -o \
                 jsonpath={{.metadata.finalizers}}",
                connection.kubectl("get")
            ),
        );
    }
    let trouble = match credential {
        Need::Met(()) => String::new(),
        Need::Waiting(cause) | Need::Wrong(cause) => {
            format!(
                " They go on with the token that is in memory: {}.",
                cause.message
            )
        }
    };
    Cause::new(
        Reason::WaitingForUsers,
        format!(
            "it goes once these have ended: {}.{trouble} Nothing new begins with it. To have it go \
             at once: {} {ABANDON_ANNOTATION}={uid}",
            named(users),
            connection.kubectl("annotate")
        ),
    )
}

/// The first few, and how many there are.
fn named(users: &[String]) -> String {
    let first = users[..users.len().min(NAMED)].join(", ");
    match users.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
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
                 connection with the right name, or give the credential's role access to it"
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
            leaving: None,
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

    fn used(life: Life, finalizer: Finalizer, users: usize) -> Use {
        Use {
            uid: "u".into(),
            connection: ConnectionKey::new("n", "prod"),
            life,
            finalizer,
            users: (0..users).map(|i| format!("ExportJob e{i}")).collect(),
            word: Word::Kept,
        }
    }

    #[test]
    fn the_finalizer_is_there_while_something_is_begun_and_no_longer() {
        use Finalizer::{Absent, Present};
        use Life::{Deleting, Live};
        for (life, finalizer, users, expected) in [
            (Live, Absent, 0, Hold::Stay),
            (Live, Absent, 1, Hold::PutOn),
            (Live, Present, 1, Hold::Stay),
            (Live, Present, 0, Hold::TakeOff),
            (Deleting, Absent, 0, Hold::Stay),
            (Deleting, Absent, 1, Hold::Stay),
            (Deleting, Present, 1, Hold::Stay),
            (Deleting, Present, 0, Hold::TakeOff),
        ] {
            let facts = used(life, finalizer, users);
            assert_eq!(hold(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_persons_word_counts_for_a_connection_that_is_being_deleted_and_needed() {
        let said = |life, users| {
            hold(&Use {
                word: Word::Abandoned,
                ..used(life, Finalizer::Present, users)
            })
        };
        let Hold::Abandon(cause) = said(Life::Deleting, 2) else {
            panic!()
        };
        assert!(cause.message.contains("ExportJob e0, ExportJob e1"));
        assert_eq!(said(Life::Deleting, 0), Hold::TakeOff);
        assert_eq!(said(Life::Live, 2), Hold::Stay);
    }

    #[test]
    fn a_connection_that_is_being_deleted_names_who_needs_it_and_asks_nobody() {
        let leaving = Facts {
            leaving: Some(used(Life::Deleting, Finalizer::Present, 12)),
            ..facts(Check::Due, Before::Ready)
        };
        let Plan::Settle(Situation::Leaving(cause)) = decide(&leaving) else {
            panic!()
        };
        assert_eq!(cause.reason, Reason::WaitingForUsers);
        assert!(
            cause.message.contains("ExportJob e4 and 7 more"),
            "{}",
            cause.message
        );
        let line = "kubectl -n n annotate aepconn prod aep-export.dev/abandon=u";
        assert!(cause.message.contains(line), "{}", cause.message);
    }

    #[test]
    fn a_connection_of_the_cluster_is_let_go_by_a_line_without_a_namespace() {
        let leaving = Facts {
            leaving: Some(Use {
                connection: ConnectionKey::cluster("prod"),
                ..used(Life::Deleting, Finalizer::Present, 1)
            }),
            ..facts(Check::Due, Before::Ready)
        };
        let Plan::Settle(Situation::Leaving(cause)) = decide(&leaving) else {
            panic!()
        };
        let line = "kubectl annotate caepconn prod aep-export.dev/abandon=u";
        assert!(cause.message.contains(line), "{}", cause.message);
    }

    #[test]
    fn what_goes_on_with_a_token_in_memory_says_why() {
        let leaving = Facts {
            leaving: Some(used(Life::Deleting, Finalizer::Present, 1)),
            credential: Need::waiting(Reason::SecretNotFound, "Secret s is not there"),
            ..facts(Check::Due, Before::Ready)
        };
        let Plan::Settle(Situation::Leaving(cause)) = decide(&leaving) else {
            panic!()
        };
        assert!(cause.message.contains("Secret s is not there"));
    }

    #[test]
    fn what_others_hold_is_none_of_ours() {
        let leaving = Facts {
            leaving: Some(used(Life::Deleting, Finalizer::Absent, 0)),
            ..facts(Check::Due, Before::Ready)
        };
        let Plan::Settle(Situation::Leaving(cause)) = decide(&leaving) else {
            panic!()
        };
        assert_eq!(cause.reason, Reason::BeingDeleted);
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
