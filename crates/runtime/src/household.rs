//! What the runs of one process share: what fetches their models, the thread of statistics, and its limit of descriptors.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use dataflow_shm::child::{DescriptorLimit, raise_descriptor_limit};

use crate::error::UpError;
use crate::models::{FetchLimits, HubSettings, ModelService};
use crate::served::Served;
use crate::statistics::{AgentStatistics, StatisticsThread};

/// Shared by every run of an agent. A run that has its process for itself has one of its own. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Household {
    shared: Arc<Mutex<Shared>>,
    served: Served,
}

#[derive(Debug, Default)]
struct Shared {
    services: Vec<Service>,
    /// It ends with the last who needs it.
    statistics: Weak<StatisticsThread>,
    /// Where those of all runs are put together, if they are.
    collected: Option<AgentStatistics>,
    /// Asked once: what was raised already would pass for what it was before.
    descriptors: Option<DescriptorLimit>,
    /// How many of them runs have counted on.
    taken: u64,
}

/// What fetches for runs that say the same about the Hub.
#[derive(Debug)]
struct Service {
    settings: HubSettings,
    bytes_per_second: Option<u64>,
    /// It ends with the last run that needs it.
    service: Weak<ModelService>,
}

impl Household {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What fetches models as these settings say: one for all runs that say the same. Nobody is asked for one yet.
    pub(crate) fn models(
        &self,
        settings: HubSettings,
        bytes_per_second: Option<u64>,
    ) -> Result<Arc<ModelService>, UpError> {
        let served = &self.served;
        let mut shared = self.lock();
        let known = &mut shared.services;
        known.retain(|known| known.service.strong_count() > 0);
        let same = known
            .iter()
            .find(|known| known.settings == settings && known.bytes_per_second == bytes_per_second);
        if let Some(service) = same.and_then(|known| known.service.upgrade()) {
            return Ok(service);
        }
        let limits = FetchLimits {
            bytes_per_second,
            ..FetchLimits::default()
        };
        let service = Arc::new(ModelService::for_hub(settings.clone(), limits)?);
        served.by(&service);
        known.push(Service {
            settings,
            bytes_per_second,
            service: Arc::downgrade(&service),
        });
        Ok(service)
    }

    /// What serves the runs, counted once.
    pub(crate) fn served(&self) -> &Served {
        &self.served
    }

    /// Gives up what fetches models. When nobody else has it, it is given back to be ended, and no other run gets it.
    pub(crate) fn let_go(&self, service: Arc<ModelService>) -> Option<Arc<ModelService>> {
        let mut shared = self.lock();
        // Who has one may give it up at any moment, but nobody gets one meanwhile.
        if Arc::strong_count(&service) > 1 {
            drop(service);
            return None;
        }
        let this = Arc::downgrade(&service);
        (shared.services).retain(|known| !Weak::ptr_eq(&known.service, &this));
        Some(service)
    }

    /// The thread on which statistics are looked at: one for all.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub(crate) fn statistics(&self) -> io::Result<Arc<StatisticsThread>> {
        let mut shared = self.lock();
        if let Some(thread) = shared.statistics.upgrade() {
            return Ok(thread);
        }
        let thread = Arc::new(StatisticsThread::start()?);
        shared.statistics = Arc::downgrade(&thread);
        Ok(thread)
    }

    /// The statistics of all runs are put together here from now on.
    pub(crate) fn collect(&self, statistics: AgentStatistics) {
        self.lock().collected = Some(statistics);
    }

    /// Where the statistics of all runs are put together, if they are.
    pub(crate) fn collected(&self) -> Option<AgentStatistics> {
        self.lock().collected.clone()
    }

    /// The limit of descriptors, raised to what this process may have.
    pub(crate) fn descriptor_limit(&self) -> Result<DescriptorLimit, UpError> {
        let mut shared = self.lock();
        if let Some(limit) = shared.descriptors {
            return Ok(limit);
        }
        let limit = raise_descriptor_limit().map_err(|error| UpError::System {
            what: "cannot raise the limit of open descriptors",
            source: io::Error::from(error.errno),
        })?;
        shared.descriptors = Some(limit);
        Ok(limit)
    }

    /// Counts on so many descriptors until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// [`UpError::TooFewDescriptors`] when this process may not have so many more.
    pub(crate) fn reserve_descriptors(&self, need: u64) -> Result<Reserved, UpError> {
        let limit = self.descriptor_limit()?.now();
        let mut shared = self.lock();
        let all = shared.taken.saturating_add(need);
        if let Some(limit) = limit.filter(|limit| *limit < all) {
            return Err(UpError::TooFewDescriptors { need: all, limit });
        }
        shared.taken = all;
        Ok(Reserved {
            household: self.clone(),
            count: need,
        })
    }
}

/// Descriptors that a run counts on.
#[derive(Debug)]
pub(crate) struct Reserved {
    household: Household,
    count: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.household.lock().taken -= self.count;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn settings(cache: &str) -> HubSettings {
        let variables = BTreeMap::from([("HF_HUB_CACHE".into(), cache.into())]);
        HubSettings::from_variables(&variables).unwrap()
    }

    #[test]
    fn runs_that_say_the_same_about_the_hub_share_what_fetches_and_it_ends_with_the_last() {
        let household = Household::default();
        let models = |cache, rate| household.models(settings(cache), rate).unwrap();
        let first = models("/a", None);
        assert!(Arc::ptr_eq(&first, &models("/a", None)));
        let (other, slow) = (models("/b", None), models("/a", Some(1)));
        assert!(!Arc::ptr_eq(&first, &other) && !Arc::ptr_eq(&first, &slow));
        drop((other, slow));
        let ended = Arc::downgrade(&first);
        drop(first);
        assert!(ended.upgrade().is_none());
        models("/a", None);
        assert_eq!(
            household.lock().services.len(),
            1,
            "what has ended is forgotten"
        );
    }

    #[test]
    fn what_fetches_and_is_about_to_end_is_given_to_nobody() {
        let household = Household::default();
        let models = || household.models(settings("/a"), None).unwrap();
        let (first, second) = (models(), models());
        assert!(household.let_go(second).is_none(), "another run has it");
        let ending = household.let_go(first).unwrap();
        assert!(!Arc::ptr_eq(&ending, &models()));
    }

    #[test]
    fn descriptors_that_one_run_counts_on_are_not_there_for_another() {
        let household = Household::default();
        // A limit has a number in every test's process, and is far below this.
        let limit = household.descriptor_limit().unwrap().now().unwrap();
        let half = limit / 2 + 1;
        let first = household.reserve_descriptors(half).unwrap();
        match household.reserve_descriptors(half) {
            Err(UpError::TooFewDescriptors { need, limit: told }) => {
                assert_eq!((need, told), (2 * half, limit));
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        household.reserve_descriptors(half).unwrap();
    }

    #[test]
    fn what_children_get_back_is_the_limit_before_the_first_run_raised_it() {
        let household = Household::default();
        let first = household.descriptor_limit().unwrap();
        assert_eq!(household.descriptor_limit().unwrap(), first);
    }
}
