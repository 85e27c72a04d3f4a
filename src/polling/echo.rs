//! Whether tenants show the request id of a submission on its job.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{api::Target, decide::export::Echo, platform::Job};

/// Where a job was seen: the two may be served by different parts of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By its id.
    Get,
    /// In the list.
    List,
}

/// What is known of each tenant.
///
/// It is learned only from jobs whose id a reply named in the life of this process: of those it is
/// sure which request made them. A status that somebody else wrote teaches nothing.
#[derive(Default)]
pub struct Echoes {
    by_tenant: Mutex<HashMap<Target, Known>>,
}

#[derive(Default)]
struct Known {
    get: Option<bool>,
    list: Option<bool>,
    /// Jobs whose id a reply named, with the request id of that request.
    told: HashMap<String, String>,
}

/// Whether what is known has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It has.
    Something,
    /// It has not.
    Nothing,
}

impl Echoes {
    /// What is known of a tenant.
    #[must_use]
    pub fn of(&self, tenant: &Target) -> Echo {
        self.tenants()
            .get(tenant)
            .map_or(Echo::Unknown, Known::echo)
    }

    /// What an earlier process knew, if this one knows nothing yet. If that should be wrong, the
    /// next job teaches better; meanwhile a job that may be ours and shows no id stops a
    /// submission from being repeated, as it does without this.
    pub fn remember(&self, tenant: &Target, shown: Option<bool>) {
        let mut tenants = self.tenants();
        let known = tenants.entry(tenant.clone()).or_default();
        if known.echo() == Echo::Unknown {
            known.get = shown;
        }
    }

    /// The reply to a request named the job that it made.
    pub fn told(&self, tenant: &Target, job: &str, request_id: &str) {
        let mut tenants = self.tenants();
        let known = tenants.entry(tenant.clone()).or_default();
        known.told.insert(job.to_owned(), request_id.to_owned());
    }

    /// A job that was told is followed no more.
    pub fn forget(&self, tenant: &Target, job: &str) {
        if let Some(known) = self.tenants().get_mut(tenant) {
            known.told.remove(job);
        }
    }

    /// Learns from jobs as the platform shows them.
    pub fn learn<'a>(
        &self,
        tenant: &Target,
        place: Place,
        jobs: impl IntoIterator<Item = &'a Job>,
    ) -> Learned {
        let mut tenants = self.tenants();
        let Some(known) = tenants.get_mut(tenant) else {
            return Learned::Nothing;
        };
        let before = known.echo();
        for job in jobs {
            let Some(request_id) = known.told.get(job.id.as_str()) else {
                continue;
            };
            let shown = job.request_id.as_ref() == Some(request_id);
            match place {
                Place::Get => known.get = Some(shown),
                Place::List => known.list = Some(shown),
            }
        }
        if known.echo() == before {
            Learned::Nothing
        } else {
            Learned::Something
        }
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<Target, Known>> {
        self.by_tenant
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The list must not contradict what GET shows, nor the other way round.
    fn echo(&self) -> Echo {
        match (self.get, self.list) {
            (Some(false), _) | (_, Some(false)) => Echo::No,
            (Some(true), Some(true) | None) | (None, Some(true)) => Echo::Yes,
            (None, None) => Echo::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::JobId;

    fn tenant() -> Target {
        Target {
            platform: "https://platform.adobe.io".into(),
            organization_id: "org@AdobeOrg".into(),
            sandbox: "prod".into(),
            dataset_id: None,
        }
    }

    fn job(id: &str, request_id: Option<&str>) -> Job {
        Job {
            request_id: request_id.map(str::to_owned),
            ..Job::bare(JobId::new(id), "NEW")
        }
    }

    #[test]
    fn it_is_learned_from_a_job_whose_reply_named_it_and_from_no_other() {
        let echoes = Echoes::default();
        echoes.told(&tenant(), "1", "ours");
        let other = [job("2", Some("theirs"))];
        assert_eq!(
            echoes.learn(&tenant(), Place::Get, &other),
            Learned::Nothing
        );
        assert_eq!(echoes.of(&tenant()), Echo::Unknown);
        let own = [job("1", Some("ours"))];
        assert_eq!(
            echoes.learn(&tenant(), Place::Get, &own),
            Learned::Something
        );
        assert_eq!(echoes.of(&tenant()), Echo::Yes);
    }

    #[test]
    fn it_is_unlearned_where_get_and_list_contradict_each_other() {
        let echoes = Echoes::default();
        echoes.told(&tenant(), "1", "ours");
        echoes.learn(&tenant(), Place::Get, &[job("1", Some("ours"))]);
        let learned = echoes.learn(&tenant(), Place::List, &[job("1", Some("another"))]);
        assert_eq!(
            (learned, echoes.of(&tenant())),
            (Learned::Something, Echo::No)
        );
        echoes.learn(&tenant(), Place::List, &[job("1", Some("ours"))]);
        assert_eq!(echoes.of(&tenant()), Echo::Yes);
        echoes.learn(&tenant(), Place::Get, &[job("1", None)]);
        assert_eq!(echoes.of(&tenant()), Echo::No);
    }

    #[test]
    fn what_an_earlier_process_knew_holds_until_something_is_seen() {
        let echoes = Echoes::default();
        echoes.remember(&tenant(), Some(true));
        assert_eq!(echoes.of(&tenant()), Echo::Yes);
        echoes.remember(&tenant(), Some(false));
        assert_eq!(echoes.of(&tenant()), Echo::Yes);
        echoes.told(&tenant(), "1", "ours");
        echoes.learn(&tenant(), Place::Get, &[job("1", None)]);
        assert_eq!(echoes.of(&tenant()), Echo::No);
    }
}
