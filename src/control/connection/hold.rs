//! The finalizer of a connection: there while something begun with it is not finished.

use kube::ResourceExt;
use tracing::warn;

use super::{
    super::{
        Context, PassError, events::Tone, finalizers::finalizer, holds::Held,
        requests::is_abandoned, tenants::ConnectionKey,
    },
    Connection,
    credential::target,
};
use crate::{
    api::{CONNECTION_FINALIZER, Target},
    decide::{
        Cause, Finalizer, Life, Need,
        connection::{Hold, Use, Word, hold},
    },
};

/// Whether the object is another one by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is as it was.
    None,
    /// Its finalizer was put on or taken off.
    Changed,
}

/// Who needs the connection.
pub(super) async fn held<C: Connection>(
    connection: &C,
    key: &ConnectionKey,
    context: &Context,
) -> Result<Use, PassError> {
    let finalizer = finalizer(connection, CONNECTION_FINALIZER);
    let mut users = users(connection, key, context);
    // Before it is let go, what this process does not watch counts too.
    if users.is_empty() && finalizer == Finalizer::Present {
        let own = target(&connection.terms());
        let serves = |target: &Target| own.is_same_tenant(target);
        users = context
            .users_elsewhere(&Held::Connection(key.clone()), serves)
            .await?;
    }
    Ok(Use {
        uid: connection.uid().ok_or(PassError::Incomplete("uid"))?,
        connection: key.clone(),
        life: match connection.meta().deletion_timestamp {
            Some(_) => Life::Deleting,
            None => Life::Live,
        },
        finalizer,
        users,
        word: if is_abandoned(connection) {
            Word::Abandoned
        } else {
            Word::Kept
        },
    })
}

fn users<C: Connection>(connection: &C, key: &ConnectionKey, context: &Context) -> Vec<String> {
    let own = target(&connection.terms());
    context.users_of_connection(key, |target| own.is_same_tenant(target))
}

/// Puts the finalizer on or takes it off.
pub(super) async fn act<C: Connection>(
    connection: &C,
    key: &ConnectionKey,
    context: &Context,
    facts: &Use,
) -> Result<Step, PassError> {
    let held = Held::Connection(key.clone());
    let name = CONNECTION_FINALIZER;
    match hold(facts) {
        Hold::Stay => Ok(Step::None),
        Hold::PutOn => Ok(match context.keep(&held).await? {
            Need::Met(()) => Step::Changed,
            // It is being deleted by now, which its watch brings.
            Need::Waiting(_) | Need::Wrong(_) => Step::None,
        }),
        Hold::TakeOff => {
            let is_free = || users(connection, key, context).is_empty();
            let released = context.let_go(&held, connection, name, is_free).await?;
            Ok(released.map_or(Step::None, |_| Step::Changed))
        }
        Hold::Abandon(Cause { reason, message }) => {
            let released = context.let_go(&held, connection, name, || true).await?;
            warn!(
                reason = reason.as_str(),
                message, "let go of a connection in use"
            );
            context
                .shared
                .events
                .publish(connection, Tone::Warning, "Release", reason, &message)
                .await;
            Ok(released.map_or(Step::None, |_| Step::Changed))
        }
    }
}
