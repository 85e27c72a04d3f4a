//! Takes part in the election, and keeps what was won.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::PostParams};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Leadership, Lost, Terms,
    election::{Election, Plan, RETRY, holder},
};
use crate::rights::Advised;

/// The longest that letting go may take: what does not get through expires.
const RELEASE: Duration = Duration::from_secs(1);

/// One lease of an API server.
///
/// It is read, not watched: a watch that ended without a word looks like a holder that did, so the
/// lease would have to be read before it is taken all the same.
pub trait Leases: Sync {
    /// Reads the lease.
    fn read(&self) -> impl Future<Output = Result<Option<Lease>, kube::Error>> + Send;

    /// Creates the lease if it has no version yet, and replaces that version otherwise; refused
    /// with a conflict if it is there, or of another version.
    fn write(&self, lease: &Lease) -> impl Future<Output = Result<Lease, kube::Error>> + Send;
}

/// A lease by its name.
pub struct NamedLease {
    api: Api<Lease>,
    name: String,
}

/// Takes part in the election of one lease.
pub struct Elector<L> {
    leases: L,
    election: Election,
    leadership: Leadership,
    terms: Terms,
}

/// A call that came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", Advised(.0))]
    Kubernetes(#[from] kube::Error),
    #[error("no answer within {0:?}")]
    Unanswered(Duration),
}

/// Ends leadership when its elector ends, however it does.
struct Ends(Leadership);

impl NamedLease {
    /// The lease of this name among those of a namespace.
    #[must_use]
    pub fn new(api: Api<Lease>, name: String) -> Self {
        Self { api, name }
    }
}

impl Leases for NamedLease {
    async fn read(&self) -> Result<Option<Lease>, kube::Error> {
        self.api.get_opt(&self.name).await
    }

    async fn write(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        let params = PostParams::default();
        if lease.metadata.resource_version.is_some() {
            self.api.replace(&self.name, &params, lease).await
        } else {
            self.api.create(&params, lease).await
        }
    }
}

impl<L: Leases> Elector<L> {
    /// A candidate for the lease `name`. Nobody else may ever have this `identity`.
    #[must_use]
    pub fn new(
        leases: L,
        name: String,
        identity: String,
        terms: Terms,
        leadership: Leadership,
    ) -> Self {
        Self {
            leases,
            election: Election::new(name, identity, terms),
            leadership,
            terms,
        }
    }

    /// Takes part until `release` is cancelled, and then lets the lease go. Leadership is over
    /// when this returns.
    ///
    /// # Errors
    ///
    /// How the lease was lost, once it was held.
    pub async fn run(mut self, release: CancellationToken) -> Result<(), Lost> {
        let leadership = self.leadership.clone();
        let _ends = Ends(leadership.clone());
        tokio::select! {
            biased;
            // Beside the calls, and not after them: it waits for no answer.
            () = leadership.expired() => Err(Lost::NotRenewed(self.terms.renew_deadline)),
            () = release.cancelled() => {
                // First, so that nothing is begun while another may be elected.
                leadership.end();
                if timeout(RELEASE, self.release()).await.is_err() {
                    warn!("the lease was not let go in time; it expires");
                }
                Ok(())
            }
            lost = self.elect() => Err(lost),
        }
    }

    async fn elect(&mut self) -> Lost {
        loop {
            let (now, wall) = (self.leadership.now(), self.leadership.wall());
            match self.election.plan(now, wall) {
                Plan::Look => match self.attempt(self.leases.read()).await {
                    Ok(lease) => self.election.saw(lease, self.leadership.now()),
                    Err(error) => {
                        warn!(%error, "the lease cannot be read; asking again");
                        pause(RETRY).await;
                    }
                },
                Plan::Write(lease) => self.write(&lease).await,
                Plan::Wait(time) => {
                    pause(time).await;
                    self.election.waited(self.leadership.now());
                }
                Plan::Rest(time) => sleep(time).await,
                Plan::Lost(lost) => return lost,
            }
        }
    }

    async fn write(&mut self, lease: &Lease) {
        let began = self.leadership.now();
        let result = self.attempt(self.leases.write(lease)).await;
        match result {
            Ok(written) => {
                let now = self.leadership.now();
                self.election.wrote(written, began, now);
                if let Some(deadline) = self.election.tenure() {
                    let first = !self.leadership.was_acquired();
                    self.leadership.hold(deadline);
                    if first {
                        info!(identity = holder(lease), "leading");
                    }
                }
            }
            Err(error) => {
                self.election.forget();
                if !error.is_conflict() {
                    warn!(%error, "the lease cannot be written; trying again");
                    pause(RETRY).await;
                } else if self.election.tenure().is_some() {
                    // Whose write it was has to be known at once.
                    warn!("somebody else wrote the lease");
                } else {
                    debug!("somebody else was first");
                    pause(RETRY).await;
                }
            }
        }
    }

    /// Lets go of the lease. A renewal may have been cut off half-way: then it is read first.
    async fn release(&mut self) {
        if self.election.tenure().is_none() {
            return;
        }
        // Once more if the write is refused because that renewal was taken after all.
        for _ in 0..2 {
            if self.election.is_unknown() {
                match self.leases.read().await {
                    Ok(lease) => self.election.saw(lease, self.leadership.now()),
                    Err(error) => {
                        warn!(%error, "the lease was not let go; it expires");
                        return;
                    }
                }
            }
            let Some(released) = self.election.release(self.leadership.wall()) else {
                return;
            };
            match self.leases.write(&released).await {
                Ok(_) => {
                    info!("the lease is let go");
                    return;
                }
                Err(error) => {
                    debug!(%error, "the lease was not let go");
                    self.election.forget();
                }
            }
        }
    }

    /// A call, given up in time for another before the deadline.
    async fn attempt<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Failure> {
        let left = self.election.tenure().map_or(Duration::MAX, |deadline| {
            deadline.saturating_sub(self.leadership.now())
        });
        let patience = (self.terms.renew_deadline / 4).min(left);
        match timeout(patience, call).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Failure::Unanswered(patience)),
        }
    }
}

impl Failure {
    /// Whether somebody else wrote in between.
    fn is_conflict(&self) -> bool {
        match self {
            Self::Kubernetes(kube::Error::Api(status)) => {
                status.is_conflict() || status.is_already_exists()
            }
            Self::Kubernetes(_) | Self::Unanswered(_) => false,
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A wait between two reads is up to a tenth shorter, so that candidates do not stay in step, and
/// never longer than it may take until another leads. What is left of another's time is waited for
/// to its end.
async fn pause(time: Duration) {
    let shorter = if time < RETRY {
        0.0
    } else {
        rand::random::<f64>() / 10.0
    };
    sleep(time.mul_f64(1.0 - shorter)).await;
}
