//! What is read now and then, of edges and of processes, and folded in by how much it has grown.
//!
//! Whatever was read may have been written by a faulty process. A counter that falls has not grown; one that leaps stops
//! at what no correct process reaches. A gauge stops there too, and at what the sums have room for: what was added to them
//! is taken from them again. (A sum of counters that is full stays full in whatever order it came about, so each is that of
//! its members also then.)

use dataflow_ids::stats::{
    Counter, EdgeCounters, EdgeGauges, EdgeHistograms, EdgeKey, Gauge, NodeKey,
};

use dataflow_ids::Epoch;

use super::book::{Book, nanoseconds};
use super::facts::{EdgeFacts, NotThere, ProcessFacts};
use super::journal::Fact;
use super::levels::{self, Faults};
use super::rows::EdgeNumbers;
use crate::broken::{Rule, is_broken};

/// More than anything counts, of which nothing better is known: as nanoseconds, 36 years.
pub(super) const COUNTER_MAX: u64 = 1 << 60;
/// More messages than an edge carries in its life: a million a second for nine years.
const MESSAGES_MAX: u64 = 1 << 48;
/// More bytes than an edge carries in a nanosecond: payloads that nobody copies may be more than a memory carries.
const BYTES_PER_NS_MAX: u64 = 1 << 10;
/// How much more time than the book knows of there may have been, since it is told of moments now and then only.
const UNTOLD_MAX_NS: u64 = 10_000_000_000;
/// More messages than any edge has slots.
pub(super) const GAUGE_MAX: u64 = u32::MAX as u64;
/// More memory than a machine has: 8 TiB.
pub(super) const MEMORY_MAX_BYTES: u64 = 1 << 43;

/// What is believed of what an edge says it has counted until a moment: a program may write anything there, and the sums of
/// all others must have room beside it.
fn believed(said: &EdgeCounters, at_ns: u64) -> EdgeCounters {
    let span_ns = at_ns.saturating_add(UNTOLD_MAX_NS);
    let mut max = EdgeCounters::default();
    for counter in max.each_mut() {
        *counter = Counter::new(MESSAGES_MAX);
    }
    max.bytes = Counter::new(span_ns.saturating_mul(BYTES_PER_NS_MAX));
    max.blocked_ns = Counter::new(span_ns);
    let mut believed = *said;
    believed.zip(&max, u64::min);
    believed
}

/// As [`believed`], of how long messages took.
fn believed_histograms(said: &EdgeHistograms) -> EdgeHistograms {
    let mut believed = *said;
    for histogram in believed.each_mut() {
        for bucket in &mut histogram.buckets {
            *bucket = (*bucket).min(MESSAGES_MAX);
        }
    }
    believed
}

/// By how much a counter grows that stands at `known` when `now` was read.
pub(super) fn growth(known: u64, now: u64) -> u64 {
    now.min(COUNTER_MAX).saturating_sub(known)
}

/// What a gauge that stands at `known` may stand at now: `now`, but for what the sum of all such gauges has no room for.
pub(super) fn bounded(known: Gauge, now: u64, sum: Gauge, max: u64) -> Gauge {
    let others = sum.get().saturating_sub(known.get());
    Gauge::new(now.min(max).min(u64::MAX - others))
}

pub(super) fn counters_growth(known: &EdgeCounters, now: &EdgeCounters) -> EdgeCounters {
    let mut grown = *now;
    grown.zip(known, |now, known| growth(known, now));
    grown
}

pub(super) fn histograms_growth(known: &EdgeHistograms, now: &EdgeHistograms) -> EdgeHistograms {
    let mut grown = *now;
    grown.zip(known, |now, known| growth(known, now));
    grown
}

pub(super) fn bounded_gauges(known: &EdgeGauges, now: &EdgeGauges, sum: &EdgeGauges) -> EdgeGauges {
    EdgeGauges {
        queued: bounded(known.queued, now.queued.get(), sum.queued, GAUGE_MAX),
        held: bounded(known.held, now.held.get(), sum.held, GAUGE_MAX),
        blocked: bounded(known.blocked, now.blocked.get(), sum.blocked, 1),
    }
}

impl Book {
    /// Takes a reading of an edge's header and folds in by how much it has grown. One that says what is known changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`NotThere`] when the edge is not there.
    pub fn edge_read(&mut self, key: EdgeKey, facts: &EdgeFacts) -> Result<(), NotThere> {
        self.journal.write_edge(key, facts);
        let edge = u64::from(key.edge.0);
        let run = self.now.runs.get(key.run.0).ok_or(NotThere::Run(key.run))?;
        let (Some(spec), Some(known)) = (run.edges.get(edge), run.edge_numbers.get(edge)) else {
            return Err(NotThere::Edge(key));
        };
        let (source, target) = (u64::from(spec.source.0), u64::from(spec.target.0));
        let known = *known;
        let total = &*self.now.total;
        let said = believed(&facts.counters, self.now.at_ns);
        let grown = counters_growth(&known.counters, &said);
        let nothing = EdgeHistograms::default();
        let known_histograms = run.histograms.get(edge).map_or(&nothing, |there| &**there);
        let timed = (*known_histograms != facts.histograms)
            .then(|| {
                let said = believed_histograms(&facts.histograms);
                histograms_growth(known_histograms, &said)
            })
            .filter(|timed| *timed != nothing);
        let mut counters = known.counters;
        if !is_broken(Rule::EdgesForgetWhatTheyCount) {
            levels::add_counters(&mut counters, &grown);
        }
        let read = EdgeNumbers {
            counters,
            gauges: bounded_gauges(&known.gauges, &facts.gauges, &total.gauges),
            oldest_ns: facts.oldest.map(nanoseconds),
            lacks: facts.lacks,
            is_closed: facts.is_closed,
            ..known
        };
        if read == known && timed.is_none() {
            return Ok(());
        }
        let group_of = |node: u64| run.lives.get(node).map(|life| life.group);
        let (from, into) = (group_of(source), group_of(target));
        let sequence = self.changed();
        let Some(run) = self.run_mut(key.run) else {
            return Ok(());
        };
        if let Some(numbers) = run.edge_numbers.get_mut(edge) {
            *numbers = EdgeNumbers { sequence, ..read };
        }
        let has_counted = grown != EdgeCounters::default();
        if has_counted {
            if let Some(traffic) = run.traffic.get_mut(source) {
                levels::add_counters(&mut traffic.out, &grown);
                traffic.sequence = sequence;
            }
            if let Some(traffic) = run.traffic.get_mut(target) {
                levels::add_counters(&mut traffic.into, &grown);
                traffic.sequence = sequence;
            }
        }
        if let Some(timed) = &timed {
            run.add_histograms(edge, timed);
        }
        let (Some(from), Some(into)) = (from, into) else {
            return Ok(());
        };
        if has_counted {
            self.each_level(key.run, from, |level| {
                levels::add_counters(&mut level.out, &grown)
            });
        }
        let mut faults = Faults::default();
        self.each_level(key.run, into, |level| {
            levels::add_counters(&mut level.into, &grown);
            levels::take_gauges(&mut level.gauges, &known.gauges, &mut faults);
            levels::add_gauges(&mut level.gauges, &read.gauges);
            if let Some(timed) = &timed {
                levels::add_histograms(&mut level.histograms, timed);
            }
        });
        self.blame(&faults);
        Ok(())
    }

    /// Takes what a node's processes use. Of an earlier incarnation than what was read before, it changes nothing; of one
    /// that has ended, a process that is said to be there is none.
    ///
    /// # Errors
    ///
    /// [`NotThere`] when the node is not there.
    pub fn process_read(&mut self, key: NodeKey, facts: &ProcessFacts) -> Result<(), NotThere> {
        (self.journal).write(1, || Fact::ProcessRead(key, Box::new(*facts)));
        let node = u64::from(key.node.0);
        let run = self.now.runs.get(key.run.0).ok_or(NotThere::Run(key.run))?;
        let (Some(life), Some(known)) = (run.lives.get(node), run.traffic.get(node)) else {
            return Err(NotThere::Node(key));
        };
        if facts.epoch < known.read_epoch {
            return Ok(());
        }
        let (known, group, total) = (*known, life.group, &*self.now.total);
        let (read_before, known_at_ns) = match facts.epoch == known.read_epoch {
            true => (known.read_cpu_ns, known.process.read_at_ns),
            false => (0, None),
        };
        let stands = known.process.cpu_ns.get();
        let more = facts.cpu_ns.saturating_sub(read_before);
        let grown = growth(stands, stands.saturating_add(more));
        let mut read = known;
        read.process.cpu_ns = Counter::new(stands.saturating_add(grown));
        // That it has ended overtakes what was read before: it has no process any more.
        let is_late = facts.pid.is_some()
            && known.pid.is_none()
            && facts.epoch == known.read_epoch
            && facts.epoch != Epoch::NONE;
        if !is_late {
            read.process.memory_bytes = bounded(
                known.process.memory_bytes,
                facts.memory_bytes,
                total.memory_bytes,
                MEMORY_MAX_BYTES,
            );
            read.pid = facts.pid;
        }
        read.process.read_at_ns = facts.read_at.map(nanoseconds).max(known_at_ns);
        read.read_epoch = facts.epoch;
        read.read_cpu_ns = facts.cpu_ns.max(read_before);
        if read == known {
            return Ok(());
        }
        read.sequence = self.changed();
        if let Some(traffic) = self
            .run_mut(key.run)
            .and_then(|run| run.traffic.get_mut(node))
        {
            *traffic = read;
        }
        let mut faults = Faults::default();
        self.each_level(key.run, group, |level| {
            level.cpu_ns.add(grown);
            faults.take(&mut level.memory_bytes, known.process.memory_bytes.get());
            level.memory_bytes.add(read.process.memory_bytes.get());
        });
        self.blame(&faults);
        Ok(())
    }
}
