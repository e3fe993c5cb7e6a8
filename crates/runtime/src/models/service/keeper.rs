//! What outlives a panic of the `DownloadActor`: who wants what, the fetches in flight, and what was decided.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::models::{
    FetchEpoch, FetchSaid, JobCommand, JobEvent, Jobs, Listing, Rate, SubscriberId,
};
use dataflow_wire::status::{ModelState, ModelView};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};

#[cfg(any(test, feature = "faults"))]
use super::door::ActorFault;
use super::ledger::Ledger;
use super::view;
use crate::actors::Committed;
use crate::env::{Task, spawn_guarded};
use crate::models::{
    FetchEvent, FetchProgress, FetchSink, Fetcher, Fetching, ModelError, ModelOrder,
};
use crate::supervision::panic_text;

/// The least time between two looks at the progress of one fetch.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);
/// Over how long the rate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(5);
/// How long nothing may come before the rate is looked at again.
const RATE_PAUSE: Duration = Duration::from_secs(1);

/// Somebody who wants something.
struct Subscriber {
    order: ModelOrder,
    view: watch::Sender<ModelView>,
}

/// A fetch, and what it has said.
struct InFlight {
    progress: watch::Receiver<FetchProgress>,
    rate: Rate,
    /// Bytes that have come in and are in the ledger.
    counted_bytes: u64,
    resolved: Option<Arc<Listing>>,
    /// The first end that it has said.
    ended: Option<FetchSaid<ModelError>>,
    /// Dropping it cancels what goes on.
    _fetching: Box<dyn Fetching>,
    /// Passes the progress on.
    _forwards: Task,
}

/// Everything that the actor works with.
pub(super) struct Keeper {
    jobs: Committed<Jobs<ModelOrder, ModelError>, JobCommand<ModelOrder>>,
    subscribers: RefCell<BTreeMap<SubscriberId, Subscriber>>,
    fetches: RefCell<BTreeMap<FetchEpoch, InFlight>>,
    fetcher: Rc<dyn Fetcher>,
    events: UnboundedSender<(FetchEpoch, FetchEvent)>,
    /// What is counted of it all.
    ledger: Ledger,
    start: tokio::time::Instant,
    gives_up: Cell<bool>,
    given_up: Notify,
    #[cfg(any(test, feature = "faults"))]
    strike: Cell<Option<ActorFault>>,
}

impl Keeper {
    /// A keeper of nothing yet. What fetches say goes to `events`.
    pub(super) fn new(
        fetcher: Rc<dyn Fetcher>,
        events: UnboundedSender<(FetchEpoch, FetchEvent)>,
        ledger: Ledger,
    ) -> Rc<Keeper> {
        Rc::new(Keeper {
            jobs: Committed::new(Jobs::new()),
            subscribers: RefCell::default(),
            fetches: RefCell::default(),
            fetcher,
            events,
            ledger,
            start: tokio::time::Instant::now(),
            gives_up: Cell::new(false),
            given_up: Notify::new(),
            #[cfg(any(test, feature = "faults"))]
            strike: Cell::new(None),
        })
    }

    /// The moment, on tokio's clock.
    pub(super) fn now(&self) -> Time {
        Time(self.start.elapsed())
    }

    /// What the actor has decided.
    pub(super) fn jobs(&self) -> &Committed<Jobs<ModelOrder, ModelError>, JobCommand<ModelOrder>> {
        &self.jobs
    }

    /// Somebody wants something.
    pub(super) fn subscribe(
        &self,
        subscriber: SubscriberId,
        order: ModelOrder,
        view: watch::Sender<ModelView>,
    ) {
        let subscription = Subscriber { order, view };
        (self.subscribers.borrow_mut()).insert(subscriber, subscription);
    }

    /// Somebody wants it no more.
    pub(super) fn unsubscribe(&self, subscriber: SubscriberId) {
        self.subscribers.borrow_mut().remove(&subscriber);
    }

    /// Whether somebody has not let go yet.
    pub(super) fn is_wanted_by(&self, subscriber: SubscriberId) -> bool {
        self.subscribers.borrow().contains_key(&subscriber)
    }

    /// A fetch has said something. Gives what the actor is to be told.
    pub(super) fn note(&self, epoch: FetchEpoch, event: FetchEvent) -> FetchSaid<ModelError> {
        let said = match event {
            FetchEvent::Resolved(listing) => FetchSaid::Resolved(Arc::new(listing)),
            FetchEvent::Finished { snapshot } => FetchSaid::Finished { snapshot },
            FetchEvent::Failed(error) => FetchSaid::Failed(error),
        };
        let mut fetches = self.fetches.borrow_mut();
        let Some(in_flight) = fetches.get_mut(&epoch) else {
            return said;
        };
        match said {
            FetchSaid::Resolved(listing) => {
                FetchSaid::Resolved(Arc::clone(in_flight.resolved.get_or_insert(listing)))
            }
            end => in_flight.ended.get_or_insert(end).clone(),
        }
    }

    /// What a fetch in flight consists of, once it has said so.
    pub(super) fn resolved(&self, epoch: FetchEpoch) -> Option<Arc<Listing>> {
        self.fetches.borrow().get(&epoch)?.resolved.clone()
    }

    /// What is true and may not have been heard: everything in it may be told twice.
    pub(super) fn what_stands(&self) -> Vec<JobEvent<ModelOrder, ModelError>> {
        let mut events = Vec::new();
        let jobs = self.jobs.read();
        let known: BTreeSet<SubscriberId> = jobs
            .jobs()
            .flat_map(|(_, job)| job.subscribers.iter().copied())
            .collect();
        let subscribers = self.subscribers.borrow();
        for subscriber in known.iter().filter(|it| !subscribers.contains_key(it)) {
            let subscriber = *subscriber;
            events.push(JobEvent::LetGo { subscriber });
        }
        for (subscriber, subscription) in &*subscribers {
            if !known.contains(subscriber) {
                events.push(JobEvent::Want {
                    subscriber: *subscriber,
                    order: subscription.order.clone(),
                });
            }
        }
        for (epoch, in_flight) in &*self.fetches.borrow() {
            let resolved = in_flight.resolved.clone().map(FetchSaid::Resolved);
            for said in resolved.into_iter().chain(in_flight.ended.clone()) {
                let epoch = *epoch;
                events.push(JobEvent::Fetched { epoch, said });
            }
        }
        events
    }

    /// Begins a fetch. Beginning one that is in flight changes nothing.
    pub(super) fn fetch(self: &Rc<Self>, epoch: FetchEpoch, order: ModelOrder) {
        if self.fetches.borrow().contains_key(&epoch) {
            return;
        }
        let (to_us, progress) = watch::channel(FetchProgress::default());
        let sink = FetchSink {
            epoch,
            events: self.events.clone(),
            progress: to_us,
        };
        tracing::info!(model = %order.spec, epoch = epoch.0, "fetch begins");
        let fetching = match catch_unwind(AssertUnwindSafe(|| self.fetcher.fetch(order, sink))) {
            Ok(fetching) => fetching,
            Err(panic) => return self.fetch_broke(epoch, panic_text(&*panic)),
        };
        let forwards = self.forward(epoch, progress.clone());
        let in_flight = InFlight {
            progress,
            rate: Rate::new(RATE_WINDOW),
            counted_bytes: 0,
            resolved: None,
            ended: None,
            _fetching: fetching,
            _forwards: forwards,
        };
        self.fetches.borrow_mut().insert(epoch, in_flight);
    }

    /// A fetch will say nothing more. If it has said its end, that is what counts.
    fn fetch_broke(&self, epoch: FetchEpoch, why: String) {
        // On the same way as everything that it said, and so behind that.
        let failed = FetchEvent::Failed(ModelError::Internal { why });
        let _ = self.events.send((epoch, failed));
    }

    /// Passes the progress of a fetch on to whoever wants it, a few times a second.
    fn forward(
        self: &Rc<Self>,
        epoch: FetchEpoch,
        mut progress: watch::Receiver<FetchProgress>,
    ) -> Task {
        let (keeper, broken): (Weak<Keeper>, Weak<Keeper>) =
            (Rc::downgrade(self), Rc::downgrade(self));
        let forwards = async move {
            let mut has_rate = false;
            loop {
                // A rate that was said goes down when nothing comes any more.
                let is_over = if has_rate {
                    let changed = tokio::time::timeout(RATE_PAUSE, progress.changed()).await;
                    matches!(changed, Ok(Err(_)))
                } else {
                    progress.changed().await.is_err()
                };
                let Some(keeper) = keeper.upgrade() else {
                    return;
                };
                if is_over {
                    return keeper
                        .fetch_broke(epoch, "a fetch has ended without a word".to_owned());
                }
                // Let go of before it is looked at again: whoever waits to write would be between two looks of one thread.
                let received_bytes = progress.borrow_and_update().received_bytes;
                has_rate = keeper.progressed(epoch, received_bytes);
                drop(keeper);
                tokio::time::sleep(PROGRESS_PAUSE).await;
            }
        };
        spawn_guarded(forwards, move |what| {
            if let Some(keeper) = broken.upgrade() {
                keeper.fetch_broke(epoch, what);
            }
        })
    }

    /// A fetch has come further. Gives whether it has a rate.
    fn progressed(&self, epoch: FetchEpoch, received_bytes: u64) -> bool {
        let now = self.now();
        let has_rate = {
            let mut fetches = self.fetches.borrow_mut();
            let Some(in_flight) = fetches.get_mut(&epoch) else {
                return false;
            };
            in_flight.rate.count(now, received_bytes);
            self.count_bytes(in_flight, received_bytes);
            view::rate(&in_flight.rate, now).is_some()
        };
        let order = self.jobs.read().order_of(epoch).cloned();
        if let Some(order) = order {
            self.publish(&order);
        }
        has_rate
    }

    /// So many bytes have come in for a fetch so far.
    fn count_bytes(&self, in_flight: &mut InFlight, received_bytes: u64) {
        let more = received_bytes.saturating_sub(in_flight.counted_bytes);
        in_flight.counted_bytes += more;
        self.ledger.came_in(more);
    }

    /// A fetch is over: counts what has come in since its progress was looked at last.
    fn count_rest(&self, in_flight: &mut InFlight) {
        let received_bytes = in_flight.progress.borrow().received_bytes;
        self.count_bytes(in_flight, received_bytes);
    }

    /// What nobody wants any more is no download.
    pub(super) fn forget_unwanted(&self) {
        let jobs = self.jobs.read();
        self.ledger.wanted_are(|order| jobs.job(order).is_some());
    }

    /// Lets go of a fetch.
    pub(super) fn end_fetch(&self, epoch: FetchEpoch) {
        let mut ended = self.fetches.borrow_mut().remove(&epoch);
        if let Some(in_flight) = &mut ended {
            self.count_rest(in_flight);
        }
        // Whatever its drop does finds nothing borrowed.
        drop(ended);
    }

    /// Says how a job stands to everybody who wants it.
    pub(super) fn publish(&self, order: &ModelOrder) {
        let jobs = self.jobs.read();
        let Some(job) = jobs.job(order) else {
            return;
        };
        let view = {
            let fetches = self.fetches.borrow();
            let in_flight = fetches.get(&job.epoch);
            let progress = in_flight.map(|it| it.progress.borrow());
            let rate = in_flight.map(|it| (&it.rate, self.now()));
            view::of(job, progress.as_deref(), rate)
        };
        self.ledger.stands(order, job, &view);
        let subscribers = self.subscribers.borrow();
        for subscriber in job.subscribers.iter().filter_map(|it| subscribers.get(it)) {
            say(subscriber, &view);
        }
    }

    /// The actor has given up a command, and will not be what it must be again.
    pub(super) fn cannot_go_on(&self) {
        self.gives_up.set(true);
        self.given_up.notify_one();
    }

    /// Waits until [`Keeper::cannot_go_on`] was said.
    pub(super) async fn until_given_up(&self) {
        while !self.gives_up.get() {
            self.given_up.notified().await;
        }
    }

    /// Everybody who still waits is told that nothing will come.
    pub(super) fn give_up(&self, why: &str) {
        let why = why.to_owned();
        let failure = ModelError::Internal { why }.failure();
        for subscriber in self.subscribers.borrow().values() {
            let view = subscriber.view.borrow().clone();
            if !view.state.is_final() {
                let failed = ModelView {
                    state: ModelState::Failed,
                    failure: Some(failure.clone()),
                    ..view
                };
                say(subscriber, &failed);
            }
        }
    }

    /// Cancels every fetch, and lets everybody know that nothing follows.
    pub(super) fn end(&self) {
        let mut fetches = std::mem::take(&mut *self.fetches.borrow_mut());
        for in_flight in fetches.values_mut() {
            self.count_rest(in_flight);
        }
        self.ledger.wanted_are(|_| false);
        let subscribers = std::mem::take(&mut *self.subscribers.borrow_mut());
        drop((fetches, subscribers));
    }

    /// Something is to go wrong in the next handler.
    #[cfg(any(test, feature = "faults"))]
    pub(super) fn strike(&self, fault: ActorFault) {
        self.strike.set(Some(fault));
    }

    /// What is to go wrong does.
    #[cfg(any(test, feature = "faults"))]
    pub(super) fn suffer(&self) {
        match self.strike.take() {
            None => {}
            #[expect(
                clippy::disallowed_methods,
                reason = "a handler that blocks is the fault"
            )]
            Some(ActorFault::Block(wait)) => std::thread::sleep(wait),
            Some(ActorFault::Panic) => std::panic::resume_unwind(Box::new("the injected fault")),
        }
    }
}

/// Says how a model stands, if that is new.
fn say(subscriber: &Subscriber, view: &ModelView) {
    subscriber.view.send_if_modified(|said| {
        let is_new = said != view;
        if is_new {
            said.clone_from(view);
        }
        is_new
    });
}
