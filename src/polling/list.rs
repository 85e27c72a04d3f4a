//! Readings of the platform's list of jobs: one serves all who ask while it is waited for.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::debug;

use crate::{
    api::Target,
    decide::export::{Depth, Quality},
    platform::{Job, JobPage, Platform, PlatformError},
};

/// Records of one page. Public clients ask for as many; no document names a maximum.
const PAGE: u32 = 100;
/// Pages after which a reading is given up: fifty thousand jobs.
const PAGES: usize = 500;

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
/// - A reading that is given out began after it was asked for.
/// - Of one tenant at most one reading is under way.
/// - No reading is kept longer than somebody waits for it.
#[derive(Default)]
pub struct Lists {
    by_tenant: Mutex<HashMap<Target, Arc<Slot>>>,
}

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
        platform: &Platform,
        tenant: &Target,
        since: Timestamp,
    ) -> Result<Arc<ListReading>, PlatformError> {
        let asked = Instant::now();
        let slot = self.enter(tenant);
        {
            let mut wanted = slot.wanted();
            *wanted = Some(wanted.map_or(since, |already| already.min(since)));
        }
        let result = slot.read(platform, since, asked).await;
        self.leave(tenant, &slot);
        result
    }

    fn enter(&self, tenant: &Target) -> Arc<Slot> {
        let mut slots = self.slots();
        let slot = slots.entry(tenant.clone()).or_default();
        slot.asking.fetch_add(1, Ordering::SeqCst);
        Arc::clone(slot)
    }

    fn leave(&self, tenant: &Target, slot: &Slot) {
        let mut slots = self.slots();
        if slot.asking.fetch_sub(1, Ordering::SeqCst) == 1 {
            slots.remove(tenant);
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Target, Arc<Slot>>> {
        self.by_tenant
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    async fn read(
        &self,
        platform: &Platform,
        since: Timestamp,
        asked: Instant,
    ) -> Result<Arc<ListReading>, PlatformError> {
        let mut latest = self.latest.lock().await;
        if let Some(reading) = &*latest
            && reading.began_here >= asked
            && reading.reaches(since)
        {
            return Ok(Arc::clone(reading));
        }
        let wanted = self.wanted().take();
        let since = wanted.map_or(since, |wanted| wanted.min(since));
        let reading = Arc::new(read(platform, since).await?);
        *latest = Some(Arc::clone(&reading));
        Ok(reading)
    }

    fn wanted(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ListReading {
    /// Whether it went back beyond this time.
    #[must_use]
    pub fn reaches(&self, since: Timestamp) -> bool {
        match self.depth {
            Depth::End => true,
            Depth::To(oldest) => oldest < since,
            Depth::Short => false,
        }
    }
}

/// Reads pages, newest first, until a record older than `since` or the end.
async fn read(platform: &Platform, since: Timestamp) -> Result<ListReading, PlatformError> {
    let (began, began_here) = (platform.now(), Instant::now());
    let mut jobs: Vec<Job> = Vec::new();
    let mut seen = HashSet::new();
    let mut quality = Quality::Clean;
    let mut depth = Depth::Short;
    let mut cursor = None;
    let mut before: Option<Job> = None;
    for pages in 1..=PAGES {
        let page = platform.export_jobs(cursor.as_ref(), PAGE).await?;
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
