//! What polling asks of a platform.

use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::platform::{Batch, BatchId, Cursor, Job, JobId, JobPage, Platform, PlatformError};

/// The calls that tell how jobs are. Tests put a tenant of their own in.
pub trait Source: Send + Sync {
    /// The platform's time.
    fn now(&self) -> Timestamp;

    /// As [`Platform::export_job`].
    fn job<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Option<Job>, PlatformError>>;

    /// As [`Platform::export_jobs`].
    fn page<'a>(
        &'a self,
        after: Option<&'a Cursor>,
        limit: u32,
    ) -> BoxFuture<'a, Result<JobPage, PlatformError>>;

    /// As [`Platform::batch`].
    fn batch<'a>(&'a self, id: &'a BatchId) -> BoxFuture<'a, Result<Option<Batch>, PlatformError>>;
}

impl Source for Platform {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn job<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Option<Job>, PlatformError>> {
        Box::pin(self.export_job(id))
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a Cursor>,
        limit: u32,
    ) -> BoxFuture<'a, Result<JobPage, PlatformError>> {
        Box::pin(self.export_jobs(after, limit))
    }

    fn batch<'a>(&'a self, id: &'a BatchId) -> BoxFuture<'a, Result<Option<Batch>, PlatformError>> {
        Box::pin(self.batch(id))
    }
}
