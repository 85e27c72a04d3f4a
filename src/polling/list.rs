//! Readings of the platform's list of jobs: one serves all who ask while it is waited for.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{runtime::Handle, time::Instant};
use tracing::debug;

use super::source::Source;
use crate::{
    api::Target,
    decide::export::{Depth, Quality},
    platform::{Job, JobPage, PlatformError},
};

/// Records of one page. Public clients ask for as many; no document names a maximum.
pub(super) const PAGE: u32 = 100;
/// Pages after which a reading is given up: fifty thousand jobs.
const PAGES: usize = 500;

/// How long a reading is kept after the last who asked for it.
const KEPT: Duration = Duration::from_secs(30);

/// A reading of the list, newest first.
#[derive(Debug)]
pub struct ListReading {
    /// When it began, by the platform's clock.
    pub began: Timestamp,
    began_here: Instant,
    /// The jobs that it showed.
    pub jobs: Vec<Job>,
    /// How far back it went.
    pub depth: Depth,
    /// Whether every record could be read.
    pub quality: Quality,
}

/// The readings of all tenants.
///
/// # Guarantees
///
/// - A reading that is given out began after it was asked for, or after the time that was named.
/// - Of one tenant at most one reading is under way.
/// - No reading is kept longer than half a minute.
#[derive(Default)]
pub struct Lists {
    by_tenant: Arc<Mutex<Slots>>,
}

type Slots = HashMap<Target, Arc<Slot>>;

#[derive(Default)]
struct Slot {
    /// Who waits for a reading, or makes one.
    asking: AtomicUsize,
    /// How far back those want to see who wait for the next one.
    wanted: Mutex<Option<Timestamp>>,
    latest: tokio::sync::Mutex<Option<Arc<ListReading>>>,
}

impl Lists {
    /// Reads the list of a tenant back to `since` at least, or to its end.
    ///
    /// # Errors
    ///
    /// As [`Platform::export_jobs`]: any page that fails ends the reading.
    pub async fn read(
        &self,
        source: &dyn Source,
        tenant: &Target,
        since: Timestamp,
    ) -> Result<Arc<ListReading>, PlatformError> {
        self.read_after(source, tenant, since, Instant::now()).await
    }

    /// As [`read`](Self::read), but a reading does that began after `began`, if it is at hand: for
    /// what cannot have changed since then.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_after(
        &self,
        source: &dyn Source,
        tenant: &Target,
        since: Timestamp,
        began: Instant,
    ) -> Result<Arc<ListReading>, PlatformError> {
        let asking = self.enter(tenant);
        let slot = &asking.slot;
        {
            let mut wanted = slot.wanted();
            *wanted = Some(wanted.map_or(since, |already| already.min(since)));
        }
        slot.read(source, since, began).await
    }

    fn enter(&self, tenant: &Target) -> Asking {
        let mut slots = lock(&self.by_tenant);
        let slot = slots.entry(tenant.clone()).or_default();
        slot.asking.fetch_add(1, Ordering::SeqCst);
        Asking {
            slots: Arc::clone(&self.by_tenant),
            tenant: tenant.clone(),
            slot: Arc::clone(slot),
        }
    }
}

/// Somebody who asks for a reading. The last one leaves it for those that may come soon.
struct Asking {
    slots: Arc<Mutex<Slots>>,
    tenant: Target,
    slot: Arc<Slot>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.slot.asking.fetch_sub(1, Ordering::SeqCst) > 1 {
            return;
        }
        // Without a runtime the process ends, and everything with it.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (slots, tenant) = (Arc::clone(&self.slots), self.tenant.clone());
        runtime.spawn(async move {
            tokio::time::sleep(KEPT).await;
            let mut slots = lock(&slots);
            let idle = |slot: &Arc<Slot>| slot.asking.load(Ordering::SeqCst) == 0;
            if slots.get(&tenant).is_some_and(idle) {
                slots.remove(&tenant);
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    async fn read(
        &self,
        source: &dyn Source,
        since: Timestamp,
        began: Instant,
    ) -> Result<Arc<ListReading>, PlatformError> {
        let mut latest = self.latest.lock().await;
        if let Some(reading) = &*latest
            && reading.began_here >= began
            && reading.reaches(since)
        {
            return Ok(Arc::clone(reading));
        }
        let wanted = self.wanted().take();
        let since = wanted.map_or(since, |wanted| wanted.min(since));
        let reading = Arc::new(read(source, since).await?);
        *latest = Some(Arc::clone(&reading));
        Ok(reading)
    }

    fn wanted(&self) -> MutexGuard<'_, Option<Timestamp>> {
        lock(&self.wanted)
    }
}

impl ListReading {
    /// Whether it went back beyond this time.
    #[must_use]
    pub fn reaches(&self, since: Timestamp) -> bool {
        self.depth.reaches(since)
    }
}

/// Reads pages, newest first, until a record older than `since` or the end.
async fn read(source: &dyn Source, since: Timestamp) -> Result<ListReading, PlatformError> {
    let (began, began_here) = (source.now(), Instant::now());
    let mut jobs: Vec<Job> = Vec::new();
    let mut seen = HashSet::new();
    let mut quality = Quality::Clean;
    let mut depth = Depth::Short;
    let mut cursor = None;
    let mut before: Option<Job> = None;
    for pages in 1..=PAGES {
        let page = source.page(cursor.as_ref(), PAGE).await?;
        if !follows(before.as_ref(), &page) {
            quality = Quality::Flawed;
        }
        let JobPage {
            jobs: records,
            unreadable,
            next,
            overlap,
        } = page;
        if unreadable > 0 {
            quality = Quality::Flawed;
        }
        let undated = records.iter().any(|job| job.creation_time.is_none());
        if undated && quality == Quality::Clean {
            quality = Quality::Undated;
        }
        let oldest = records.iter().filter_map(|job| job.creation_time).min();
        before = records.last().filter(|_| overlap.is_some()).cloned();
        jobs.extend(
            records
                .into_iter()
                .filter(|job| seen.insert(job.id.clone())),
        );
        debug!(pages, jobs = jobs.len(), "read a page of the list of jobs");
        let Some(next) = next else {
            depth = Depth::End;
            break;
        };
        if let Some(oldest) = oldest.filter(|oldest| *oldest < since) {
            depth = Depth::To(oldest);
            break;
        }
        cursor = Some(overlap.unwrap_or(next));
    }
    Ok(ListReading {
        began,
        began_here,
        jobs,
        depth,
        quality,
    })
}

/// Whether a page begins where the one before ended. It was asked for so that it shows the last
/// record of that one again: if it does not, records have moved between the two.
fn follows(before: Option<&Job>, page: &JobPage) -> bool {
    before.is_none_or(|last| page.jobs.iter().any(|job| job.id == last.id))
}
