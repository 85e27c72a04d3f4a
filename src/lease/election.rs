//! What to do about the lease next: a function of what was seen and when. No I/O, no clock.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use super::{Lost, Terms};

/// How long a candidate waits between two reads, and anybody after a call that failed: client-go's
/// own. A read costs the API server little; a lease that was let go is taken this soon.
pub(super) const RETRY: Duration = Duration::from_secs(2);

/// What one process knows of the lease, and whether it leads. All times without a date are of the
/// boot clock.
#[derive(Debug)]
pub(super) struct Election {
    name: String,
    identity: String,
    terms: Terms,
    view: View,
    /// The version of the lease that was last seen, also if it is gone since.
    version: Option<String>,
    /// From when on nobody can think to hold what was last seen.
    free_at: Duration,
    role: Role,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Read the lease.
    Look,
    /// Write this: a lease without a version is to be created.
    Write(Box<Lease>),
    /// Another holds it: wait this long at the most.
    Wait(Duration),
    /// It is renewed: nothing to do for this long.
    Rest(Duration),
    /// Stop leading, for good.
    Lost(Lost),
}

/// The lease, as far as the next step can build on it.
#[derive(Debug)]
enum View {
    Unknown,
    Absent,
    Present(Box<Lease>),
}

#[derive(Clone, Copy, Debug)]
enum Role {
    Candidate,
    /// `renewed`: when the last write that was taken was begun.
    Leader {
        renewed: Duration,
    },
}

impl Election {
    pub(super) fn new(name: String, identity: String, terms: Terms) -> Self {
        Self {
            name,
            identity,
            terms,
            view: View::Unknown,
            version: None,
            free_at: Duration::ZERO,
            role: Role::Candidate,
        }
    }

    /// What to do at `now`. The time of day is only written for people to read.
    pub(super) fn plan(&self, now: Duration, wall: Timestamp) -> Plan {
        match self.role {
            Role::Candidate => self.stand(now, wall),
            Role::Leader { renewed } => self.lead(renewed, now, wall),
        }
    }

    fn stand(&self, now: Duration, wall: Timestamp) -> Plan {
        let free_in = self.free_at.saturating_sub(now);
        match &self.view {
            View::Unknown => Plan::Look,
            // A write of this process, whose answer did not come or came late.
            View::Present(lease) if self.is_ours(lease) => self.renewal(lease, wall),
            View::Present(lease) if free_in.is_zero() => self.takeover(lease, wall),
            View::Absent if free_in.is_zero() => self.creation(wall),
            // A lease that was deleted may have a holder all the same, who does not know yet.
            View::Present(_) | View::Absent => Plan::Wait(free_in.min(RETRY)),
        }
    }

    fn lead(&self, renewed: Duration, now: Duration, wall: Timestamp) -> Plan {
        if now >= self.end_of(renewed) {
            return Plan::Lost(Lost::NotRenewed(self.terms.renew_deadline));
        }
        match &self.view {
            View::Unknown => Plan::Look,
            View::Absent => self.creation(wall),
            View::Present(lease) if self.is_ours(lease) => {
                let due = renewed.saturating_add(self.terms.renew_period);
                match due.saturating_sub(now) {
                    Duration::ZERO => self.renewal(lease, wall),
                    left => Plan::Rest(left),
                }
            }
            View::Present(lease) => Plan::Lost(Lost::Taken(holder(lease).to_owned())),
        }
    }

    /// Takes in what a read gave.
    pub(super) fn saw(&mut self, lease: Option<Lease>, now: Duration) {
        self.view = match lease {
            None => View::Absent,
            Some(lease) => {
                self.keep(&lease, now);
                View::Present(Box::new(lease))
            }
        };
    }

    /// Takes in what a write, begun at `began`, gave.
    pub(super) fn wrote(&mut self, lease: Lease, began: Duration, now: Duration) {
        self.keep(&lease, now);
        self.view = View::Present(Box::new(lease));
        // An answer that came too late renews nothing.
        if now < self.end_of(began) {
            self.role = Role::Leader { renewed: began };
        }
    }

    /// What was seen may not be so any more: a write was refused, or not answered.
    pub(super) fn forget(&mut self) {
        self.view = View::Unknown;
    }

    /// A wait is over. What nobody holds any more can be taken without another read: the write is
    /// refused if it has changed.
    pub(super) fn waited(&mut self, now: Duration) {
        if now < self.free_at {
            self.forget();
        }
    }

    /// Until when this process leads, if it does.
    pub(super) fn tenure(&self) -> Option<Duration> {
        match self.role {
            Role::Candidate => None,
            Role::Leader { renewed } => Some(self.end_of(renewed)),
        }
    }

    /// The lease without its holder, if this process is seen to be that.
    pub(super) fn release(&self, wall: Timestamp) -> Option<Lease> {
        let View::Present(lease) = &self.view else {
            return None;
        };
        if !self.is_ours(lease) {
            return None;
        }
        let mut released = (**lease).clone();
        let spec = released.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.acquire_time = Some(MicroTime(wall));
        spec.renew_time = Some(MicroTime(wall));
        Some(released)
    }

    /// Whether the lease has to be read before anything can be said of it.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.view, View::Unknown)
    }

    /// Counts anew if the lease is not the one that was seen last.
    fn keep(&mut self, lease: &Lease, now: Duration) {
        let version = &lease.metadata.resource_version;
        if self.version != *version {
            self.version.clone_from(version);
            self.free_at = match holder(lease) {
                "" => now,
                _ => now.saturating_add(self.duration_of(lease)),
            };
        }
    }

    /// The holder's own duration: its deadline is shorter than that, and perhaps not than ours.
    fn duration_of(&self, lease: &Lease) -> Duration {
        let seconds = lease.spec.as_ref().and_then(|s| s.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(self.terms.duration, Duration::from_secs)
    }

    fn end_of(&self, renewed: Duration) -> Duration {
        renewed.saturating_add(self.terms.renew_deadline)
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        holder(lease) == self.identity
    }

    fn creation(&self, wall: Timestamp) -> Plan {
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            ..ObjectMeta::default()
        };
        let lease = Lease {
            metadata,
            spec: Some(LeaseSpec {
                acquire_time: Some(MicroTime(wall)),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        };
        self.held(lease, wall)
    }

    fn renewal(&self, lease: &Lease, wall: Timestamp) -> Plan {
        self.held(lease.clone(), wall)
    }

    fn takeover(&self, lease: &Lease, wall: Timestamp) -> Plan {
        let mut lease = lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.acquire_time = Some(MicroTime(wall));
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        self.held(lease, wall)
    }

    fn held(&self, mut lease: Lease, wall: Timestamp) -> Plan {
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(whole_seconds(self.terms.duration));
        spec.renew_time = Some(MicroTime(wall));
        Plan::Write(Box::new(lease))
    }
}

pub(super) fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

/// Rounded up: the others must not count less than this process does.
fn whole_seconds(duration: Duration) -> i32 {
    let more = u64::from(duration.subsec_nanos() > 0);
    i32::try_from(duration.as_secs().saturating_add(more)).unwrap_or(i32::MAX)
}
