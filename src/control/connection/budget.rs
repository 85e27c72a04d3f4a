//! The budget in a connection's status: as it stands, but not written all the time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    super::{
        Context, Shared,
        tenants::{ConnectionKey, Standing},
    },
    Connection,
};
use crate::{
    api::{BudgetStatus, PlatformConnectionStatus, whole_second},
    governor,
};

/// How often the budget is written at the most.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// When the budget of each connection was last written.
#[derive(Default)]
pub struct Told {
    at: Mutex<HashMap<ConnectionKey, Instant>>,
}

impl Told {
    /// Takes note of a write, unless the last one was only just now.
    fn again(&self, key: &ConnectionKey) -> bool {
        let now = Instant::now();
        let mut at = self.at();
        let due = at
            .get(key)
            .is_none_or(|last| now.duration_since(*last) >= TELL_AGAIN);
        if due {
            at.insert(key.clone(), now);
        }
        due
    }

    /// The connection is gone.
    pub fn forget(&self, key: &ConnectionKey) {
        self.at().remove(key);
    }

    /// How many connections were told of.
    pub fn kept(&self) -> usize {
        self.at().len()
    }

    fn at(&self) -> MutexGuard<'_, HashMap<ConnectionKey, Instant>> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The status with the budget as it stands: if that is all that is new, once a minute.
pub(super) fn told<C: Connection>(
    connection: &C,
    key: &ConnectionKey,
    shared: &Shared,
    status: PlatformConnectionStatus,
) -> PlatformConnectionStatus {
    let tenant = shared.tenants.get(key);
    let Some(tenant) = tenant.filter(|tenant| tenant.standing != Standing::Retired) else {
        return status;
    };
    let budget = Some(shown(tenant.budget.standing()));
    let only_budget = connection.status() == Some(&status);
    if status.budget == budget || (only_budget && !shared.told.again(key)) {
        return status;
    }
    PlatformConnectionStatus { budget, ..status }
}

fn shown(standing: governor::Standing) -> BudgetStatus {
    let governor::Standing {
        limit,
        effective,
        shut: _,
        until,
        running,
        waiting,
        queued: _,
        kept: _,
    } = standing;
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "at most the limit")]
    let effective = effective.round() as i32;
    BudgetStatus {
        limit: i32::try_from(limit).unwrap_or(i32::MAX),
        effective_per_minute: effective,
        throttled_until: until.map(whole_second),
        running: count(running),
        waiting: count(waiting),
    }
}

impl Context {
    /// Looks once a minute whether the budgets stand as the statuses of their connections tell.
    pub(in super::super) async fn tell_budgets(&self) {
        let mut ticks = tokio::time::interval(TELL_AGAIN);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for connection in self.stores.connections.state() {
                self.tell_budget_of(&*connection);
            }
            for connection in self.stores.cluster_connections.state() {
                self.tell_budget_of(&*connection);
            }
        }
    }

    fn tell_budget_of<C: Connection>(&self, connection: &C) {
        let key = connection.key();
        let Some(tenant) = self.shared.tenants.get(&key) else {
            return;
        };
        let told = connection.status().and_then(|s| s.budget.as_ref());
        if told != Some(&shown(tenant.budget.standing())) {
            self.shared.connections.poke(&key);
        }
    }
}
