//! The governor: one budget for each credential at each endpoint, whoever uses it.
//!
//! A user's other tools share the quota of the same credential, so what this program takes of it
//! is bounded, and given back when the platform asks for it. [`Platform`](crate::platform::Platform)
//! asks before each call; what creates something has its turn before its intent is on record, so
//! that nothing waits in between.

mod budget;
mod gate;
mod pace;
mod queue;
mod rate;
mod slots;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use self::{
    budget::{Allowance, Budget, Caller, Denied, Permit, Standing, Turn, Wake},
    gate::{Heard, Why},
    queue::Lane,
    slots::Slot,
};

/// Whose budget it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// The platform's endpoint.
    pub endpoint: String,
    /// The API key, by which Adobe's gateway counts.
    pub api_key: String,
}

/// How all budgets of a process stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those by which calls may be made.
    pub open: usize,
    /// Those whose platform asked for fewer calls.
    pub throttled: usize,
    /// Those whose platform does not answer.
    pub down: usize,
    /// Calls that wait for their turn.
    pub queued: usize,
    /// Exports that wait for a slot or a turn.
    pub waiting: usize,
    /// Objects that are kept in mind: those that wait, those that run, and those that were given a
    /// turn.
    pub kept: usize,
}

/// The budgets of a process. Connections with the same account share one, and the lowest of their
/// allowances holds.
#[derive(Default)]
pub struct Governor {
    accounts: Mutex<HashMap<Account, Shared>>,
}

struct Shared {
    budget: Arc<Budget>,
    allowances: HashMap<String, Allowance>,
}

impl Governor {
    /// The budget of an account, for a connection that is allowed so much. `connection` names it;
    /// what it used before it uses no more. `probe` has it make a call.
    pub fn join(
        &self,
        connection: &str,
        account: Account,
        allowance: Allowance,
        probe: Wake,
    ) -> Arc<Budget> {
        let mut accounts = self.accounts();
        leave(&mut accounts, connection, Some(&account));
        let shared = accounts.entry(account).or_insert_with(|| Shared {
            budget: Budget::new(allowance),
            allowances: HashMap::new(),
        });
        shared.budget.probe_by(connection, Some(probe));
        let before = shared.allowances.insert(connection.to_owned(), allowance);
        if before != Some(allowance) {
            shared.budget.allow(shared.lowest(allowance));
        }
        Arc::clone(&shared.budget)
    }

    /// The connection is gone.
    pub fn leave(&self, connection: &str) {
        leave(&mut self.accounts(), connection, None);
    }

    /// An export has ended or is gone, whichever budget it used.
    pub fn left(&self, uid: &str) {
        for shared in self.accounts().values() {
            shared.budget.leave(uid);
        }
    }

    /// How all budgets stand.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shared in self.accounts().values() {
            let standing = shared.budget.standing();
            match standing.shut {
                None => totals.open += 1,
                Some(Why::Throttled) => totals.throttled += 1,
                Some(Why::Down) => totals.down += 1,
            }
            totals.queued += standing.queued;
            totals.waiting += standing.waiting;
            totals.kept += standing.kept;
        }
        totals
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Account, Shared>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a connection's allowance out of all accounts but one; an account that nobody uses goes.
fn leave(accounts: &mut HashMap<Account, Shared>, connection: &str, but: Option<&Account>) {
    accounts.retain(|account, shared| {
        if Some(account) == but {
            return true;
        }
        if let Some(gone) = shared.allowances.remove(connection) {
            shared.budget.probe_by(connection, None);
            shared.budget.allow(shared.lowest(gone));
        }
        !shared.allowances.is_empty()
    });
}

impl Shared {
    fn lowest(&self, otherwise: Allowance) -> Allowance {
        let all = || self.allowances.values();
        let calls = all().map(|allowance| allowance.requests_per_minute).min();
        let exports = all().map(|allowance| allowance.max_running_exports).min();
        Allowance {
            requests_per_minute: calls.unwrap_or(otherwise.requests_per_minute),
            max_running_exports: exports.unwrap_or(otherwise.max_running_exports),
        }
    }
}

/// The key is half of a credential: it is not shown.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
