//! The statistics of an agent: those of all dataflows that run there put together, with those of its peers.
//!
//! They are put together on the thread of statistics. What is collected, and how far, survives a panic there: each step
//! is taken on a copy, which shares all that the step does not change, and counts when it is over.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{Audited, Collector, GROUPS_MAX, Snapshot, Source as Collected};
use dataflow_ids::stats::{ActorRow, Counter, Keeper, PeerRow};
use dataflow_wire::peers::PeersStatus;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::attend::attend;
use super::readers::Reading;
use super::source::{EVERY_WHILE_READ, Publisher, Source};
use super::thread::StatisticsThread;
use crate::served::{Served, Service};

/// How often a turn may panic over one dataflow, before that dataflow is collected no more.
pub(super) const STRIKES_MAX: u32 = 3;

/// The way to the statistics of an agent, from any thread. Cheap to clone; nothing in it waits.
#[derive(Debug, Clone)]
pub(crate) struct AgentStatistics {
    thread: Arc<StatisticsThread>,
    source: Source,
    begun: UnboundedSender<(Collected, Source)>,
    peers: watch::Sender<Option<PeersSeen>>,
}

/// How the peers of an agent stand, and the actors that watch them.
#[derive(Debug, Clone)]
struct PeersSeen {
    status: PeersStatus,
    actors: ActorRow,
}

impl AgentStatistics {
    /// Begins to collect. `keeper` is a number that no other keeper of statistics ever had. What serves the dataflows is
    /// `served`.
    pub(crate) fn start(
        thread: Arc<StatisticsThread>,
        keeper: Keeper,
        served: Served,
    ) -> AgentStatistics {
        let (begun, runs) = unbounded_channel();
        let peers = watch::Sender::new(None);
        let collecting = Collecting::new(keeper, runs, peers.subscribe(), served);
        let source = collecting.publisher.source().clone();
        let collected = source.clone();
        thread.run("statistics of an agent", move || async move {
            let collecting = Rc::new(collecting);
            let keeps = || Rc::clone(&collecting).go_on();
            tokio::join!(
                StatisticsThread::keep_here("collector of statistics", keeps),
                StatisticsThread::keep_here("attendance of an agent", || {
                    let (source, audits) = (collected.clone(), Rc::clone(&collecting));
                    attend(source, move |audited| audits.audited(audited))
                }),
            );
        });
        AgentStatistics {
            thread,
            source,
            begun,
            peers,
        }
    }

    /// What a reader of them needs.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The thread on which they are read.
    pub(crate) fn thread(&self) -> &StatisticsThread {
        &self.thread
    }

    /// A dataflow begins: what it counts is collected until nothing follows.
    pub(crate) fn begins(&self, run: Collected, source: Source) {
        // A thread that has ended has no reader.
        let _ = self.begun.send((run, source));
    }

    /// The peers stand like this now, and the actors that watch them.
    pub(crate) fn peers_are(&self, status: PeersStatus, actors: ActorRow) {
        self.peers.send_replace(Some(PeersSeen { status, actors }));
    }
}

/// What is collected, and how far.
pub(super) struct Collecting {
    collector: RefCell<Collector>,
    publisher: Publisher,
    begins: RefCell<UnboundedReceiver<(Collected, Source)>>,
    runs: RefCell<BTreeMap<Collected, Run>>,
    peers: RefCell<watch::Receiver<Option<PeersSeen>>>,
    /// What serves all dataflows here: each of them knows of it, and it is one.
    served: Served,
    audits: RefCell<Audited>,
    /// What a turn is at.
    in_hand: RefCell<Option<Collected>>,
    /// What was taken last of what serves the dataflows.
    known_served: RefCell<Service>,
    /// And of the actors that watch peers.
    known_actors: RefCell<Option<ActorRow>>,
    #[cfg(test)]
    panics_over: RefCell<Option<Collected>>,
    #[cfg(test)]
    steps: std::cell::Cell<u32>,
}

/// How far a dataflow is collected.
struct Run {
    source: Source,
    known: Option<Arc<Snapshot>>,
    /// Turns that have panicked over it.
    strikes: u32,
    /// While somebody reads the agent's.
    reading: Option<Reading>,
}

impl Collecting {
    fn new(
        keeper: Keeper,
        begins: UnboundedReceiver<(Collected, Source)>,
        peers: watch::Receiver<Option<PeersSeen>>,
        served: Served,
    ) -> Collecting {
        let mut collector = Collector::new(keeper, GROUPS_MAX);
        Collecting {
            publisher: Publisher::new(collector.publish(Time::START)),
            collector: RefCell::new(collector),
            begins: RefCell::new(begins),
            runs: RefCell::default(),
            peers: RefCell::new(peers),
            served,
            audits: RefCell::default(),
            in_hand: RefCell::default(),
            known_served: RefCell::default(),
            known_actors: RefCell::default(),
            #[cfg(test)]
            panics_over: RefCell::default(),
            #[cfg(test)]
            steps: std::cell::Cell::default(),
        }
    }

    /// Of nothing.
    #[cfg(test)]
    pub(super) fn of(keeper: Keeper) -> Collecting {
        Collecting::new(
            keeper,
            unbounded_channel().1,
            watch::Sender::new(None).subscribe(),
            Served::default(),
        )
    }

    /// What a reader sees.
    #[cfg(test)]
    pub(super) fn shown(&self) -> Arc<Snapshot> {
        Arc::clone(&self.publisher.source().snapshots.borrow())
    }

    /// What somebody needs who reads it.
    #[cfg(test)]
    pub(super) fn source(&self) -> &Source {
        self.publisher.source()
    }

    /// What serves all dataflows.
    #[cfg(test)]
    pub(super) fn served(&self) -> &Served {
        &self.served
    }

    /// Taking something of this dataflow panics.
    #[cfg(test)]
    pub(super) fn panics_over(&self, run: Collected) {
        self.panics_over.replace(Some(run));
    }

    /// How often something was changed.
    #[cfg(test)]
    pub(super) fn steps(&self) -> u32 {
        self.steps.get()
    }

    pub(super) fn now(&self) -> Time {
        Time(self.publisher.source().began.elapsed())
    }

    /// Collects, again and again.
    pub(super) async fn go_on(self: Rc<Self>) {
        let readers = Arc::clone(&self.publisher.source().readers);
        loop {
            let begun = Instant::now();
            self.turn();
            sleep_until(begun + EVERY_WHILE_READ).await;
            loop {
                let every = readers.every();
                tokio::select! {
                    biased;
                    () = sleep_until(begun + every) => break,
                    () = readers.every_is_not(every) => {}
                }
            }
        }
    }

    /// A dataflow has begun.
    pub(super) fn add(&self, name: Collected, source: Source) {
        let run = Run {
            source,
            known: None,
            strikes: 0,
            reading: None,
        };
        // A run's name is never given twice.
        self.runs.borrow_mut().insert(name, run);
    }

    /// Takes all that there is, and shows it.
    pub(super) fn turn(&self) {
        while let Ok((name, source)) = self.begins.borrow_mut().try_recv() {
            self.add(name, source);
        }
        if let Some(name) = self.in_hand.take() {
            self.strike(&name);
        }
        let now = self.now();
        let served = self.served.look();
        let news = self.news();
        let peers = self.news_of_peers();
        let actors = self
            .peers
            .borrow()
            .borrow()
            .as_ref()
            .map(|seen| seen.actors.clone());
        let audited = *self.audits.borrow();
        if news.is_empty()
            && peers.is_none()
            && audited == Audited::default()
            && *self.known_actors.borrow() == actors
            && *self.known_served.borrow() == served
        {
            // As most turns are: nothing is copied, and time goes on.
            let snapshot = self.collector.borrow_mut().publish(now);
            return self.publisher.publish(snapshot);
        }
        let (taken, snapshot) = self.step(|collector| {
            let taken: Vec<_> = (news.into_iter())
                .map(|name| self.collect(collector, now, name))
                .collect();
            self.in_hand.take();
            if let Some(peers) = peers {
                collector.peers(peers);
            }
            let own = actors.iter().chain(&served.actors).cloned();
            collector.actors(&own.collect::<Vec<_>>());
            collector.downloads(&served.downloads);
            if let Some(pool) = served.pool {
                collector.pool(pool);
            }
            if audited != Audited::default() {
                collector.audited(audited.recounted, audited.mismatches);
            }
            (taken, collector.publish(now))
        });
        self.audits.take();
        self.known_served.replace(served);
        self.known_actors.replace(actors);
        self.publisher.publish(snapshot);
        let mut runs = self.runs.borrow_mut();
        for (name, latest) in taken {
            match (latest, runs.get_mut(&name)) {
                (Some(latest), Some(run)) => run.known = Some(latest),
                _ => drop(runs.remove(&name)),
            }
        }
    }

    /// The dataflows of which there is something to take. While somebody reads the agent's, somebody reads those of each.
    fn news(&self) -> Vec<Collected> {
        let readers = &self.publisher.source().readers;
        let mut runs = self.runs.borrow_mut();
        let mut news = Vec::new();
        for (name, run) in &mut *runs {
            if let Some(until) = readers.now_and_then() {
                run.source.readers.read_now_and_then_until(until);
            }
            // As often as anybody wants to see the agent, who sees its dataflows with it.
            let every = readers.every();
            let reading = run.reading.take();
            run.reading = readers.are_there().then(|| {
                reading
                    .filter(|reading| reading.every() == every)
                    .unwrap_or_else(|| run.source.readers.read_every(every))
            });
            let is_over = run.source.snapshots.has_changed().is_err();
            let latest = run.source.snapshots.borrow().revision();
            let known = run.known.as_ref().map(|known| known.revision());
            if is_over || known != Some(latest) {
                news.push(name.clone());
            }
        }
        news
    }

    /// How the peers stand, if it is not known yet.
    fn news_of_peers(&self) -> Option<Vec<PeerRow>> {
        let rows = self.rows(&self.peers.borrow().borrow().as_ref()?.status);
        let last = Arc::clone(&self.publisher.source().snapshots.borrow());
        let is_known =
            rows.len() == last.peers().len() && rows.iter().all(|row| last.peers().contains(row));
        (!is_known).then_some(rows)
    }

    /// A turn has panicked over a dataflow.
    fn strike(&self, name: &Collected) {
        let is_last = {
            let mut runs = self.runs.borrow_mut();
            let Some(run) = runs.get_mut(name) else {
                return;
            };
            run.strikes += 1;
            let is_last = run.strikes >= STRIKES_MAX;
            if is_last {
                // Before anything that may panic again.
                runs.remove(name);
            }
            is_last
        };
        if is_last {
            tracing::error!(run = ?name, "statistics of a dataflow are collected no more");
            let now = self.now();
            self.step(|collector| collector.gone(now, name));
        }
    }

    /// Takes what a dataflow has counted since it was looked at last. Gives what is known of it then, unless nothing
    /// follows.
    fn collect(
        &self,
        collector: &mut Collector,
        now: Time,
        name: Collected,
    ) -> (Collected, Option<Arc<Snapshot>>) {
        self.in_hand.replace(Some(name.clone()));
        #[cfg(test)]
        assert_ne!(
            self.panics_over.borrow().as_ref(),
            Some(&name),
            "on purpose"
        );
        let mut runs = self.runs.borrow_mut();
        let Some(run) = runs.get_mut(&name) else {
            return (name, None);
        };
        // In this order: nothing follows on a snapshot that is taken after the end.
        let is_last = run.source.snapshots.has_changed().is_err();
        let latest = Arc::clone(&run.source.snapshots.borrow_and_update());
        let known = run.known.as_ref();
        let followed = known.map(|known| collector.delta(now, &name, latest.since(known)));
        if let Some(Err(why)) = &followed {
            // Nothing is lost; but the whole costs more than what has changed, and nothing else shows it.
            tracing::warn!(run = ?name, %why, "what has changed does not follow: all of it is taken");
        }
        if !matches!(followed, Some(Ok(())))
            && let Err(error) = collector.whole(now, &name, latest.statistics())
        {
            tracing::error!(run = ?name, %error, "statistics of a dataflow not taken");
        }
        if is_last {
            collector.gone(now, &name);
        }
        (name, (!is_last).then_some(latest))
    }

    /// Changes what is collected: wholly, or with a panic not at all.
    pub(super) fn step<T>(&self, change: impl FnOnce(&mut Collector) -> T) -> T {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
        let mut next = self.collector.borrow_mut().fork();
        let result = change(&mut next);
        self.collector.replace(next);
        result
    }

    /// What the auditor has counted again.
    fn audited(&self, audited: Audited) {
        let mut audits = self.audits.borrow_mut();
        audits.recounted += audited.recounted;
        audits.mismatches += audited.mismatches;
    }

    /// How the peers stand, with moments of the collector.
    fn rows(&self, peers: &PeersStatus) -> Vec<PeerRow> {
        let source = self.publisher.source();
        let last = Arc::clone(&source.snapshots.borrow());
        let rows = peers.peers.iter().map(|peer| {
            let known = last.peers().iter().find(|row| row.peer == peer.peer);
            let transitions = Counter::new(peer.transitions);
            // The moment is only as exact as it was told: as long as nothing happens, it stays what it was.
            let same =
                known.filter(|row| row.state == peer.state && row.transitions == transitions);
            let state_for = u64::try_from(peer.state_for.as_nanos()).unwrap_or(u64::MAX);
            PeerRow {
                peer: peer.peer.clone(),
                state: peer.state,
                since_ns: same.map_or(last.at_ns().saturating_sub(state_for), |row| row.since_ns),
                because: peer.because.clone(),
                transitions,
                round_trip_ns: (peer.round_trip)
                    .map(|span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
            }
        });
        rows.collect()
    }
}
