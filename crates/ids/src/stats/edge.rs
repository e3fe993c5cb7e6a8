//! What is counted on an edge.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::number::{Counter, Gauge, RunNumber};
use crate::{DropReason, EdgeId, InputId, Lacks, NodeIndex, OutputId, QueuePolicy};

/// Counters of an edge, or sums of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgeCounters {
    /// Messages sent.
    pub sent: Counter,
    /// Messages that reached the receiver.
    pub delivered: Counter,
    /// Messages whose token came back.
    pub released: Counter,
    /// Messages that a receiver held when it died.
    pub lost: Counter,
    /// Messages dropped because the queue was full.
    pub dropped_full: Counter,
    /// Messages dropped because the receiver has ended for good.
    pub dropped_receiver_closed: Counter,
    /// Messages dropped to make room in the sender's memory.
    pub dropped_memory: Counter,
    /// Payload bytes sent.
    pub bytes: Counter,
    /// How long the sender has waited.
    pub blocked_ns: Counter,
}

impl EdgeCounters {
    /// All of them, in the order of their fields. This is the one list of them: what is done with each goes through it.
    pub fn each_mut(&mut self) -> [&mut Counter; 9] {
        // One that is forgotten here does not compile.
        let EdgeCounters {
            sent,
            delivered,
            released,
            lost,
            dropped_full,
            dropped_receiver_closed,
            dropped_memory,
            bytes,
            blocked_ns,
        } = self;
        [
            sent,
            delivered,
            released,
            lost,
            dropped_full,
            dropped_receiver_closed,
            dropped_memory,
            bytes,
            blocked_ns,
        ]
    }

    /// As [`EdgeCounters::each_mut`], to be read.
    #[must_use]
    pub fn each(mut self) -> [Counter; 9] {
        self.each_mut().map(|counter| *counter)
    }

    /// Each of them with that of another: `with` gives what the first becomes.
    pub fn zip(&mut self, other: &EdgeCounters, mut with: impl FnMut(u64, u64) -> u64) {
        for (one, other) in self.each_mut().into_iter().zip(other.each()) {
            *one = Counter::new(with(one.get(), other.get()));
        }
    }

    /// Messages that were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> Counter {
        match reason {
            DropReason::Full => self.dropped_full,
            DropReason::ReceiverClosed => self.dropped_receiver_closed,
            DropReason::Memory => self.dropped_memory,
        }
    }
}

/// Gauges of an edge, or sums of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgeGauges {
    /// Messages that wait in the queue.
    pub queued: Gauge,
    /// Messages that the receiver holds.
    pub held: Gauge,
    /// Edges on which the sender waits at this moment.
    pub blocked: Gauge,
}

impl EdgeGauges {
    /// All of them, in the order of their fields: as [`EdgeCounters::each_mut`].
    pub fn each_mut(&mut self) -> [&mut Gauge; 3] {
        let EdgeGauges {
            queued,
            held,
            blocked,
        } = self;
        [queued, held, blocked]
    }

    /// As [`EdgeGauges::each_mut`], to be read.
    #[must_use]
    pub fn each(mut self) -> [Gauge; 3] {
        self.each_mut().map(|gauge| *gauge)
    }

    /// Each of them with that of another: `with` changes the first.
    pub fn zip(&mut self, other: &EdgeGauges, mut with: impl FnMut(&mut Gauge, u64)) {
        for (one, other) in self.each_mut().into_iter().zip(other.each()) {
            with(one, other.get());
        }
    }
}

/// How long messages of an edge took, from a sample of them that stands for all: or sums of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgeHistograms {
    /// From the beginning of the send, also while it waited for room, until the receiver's program had the message.
    pub latency: Histogram,
    /// From its place in the queue until the receiver took it.
    pub queue_wait: Histogram,
    /// From when the receiver's program had it until that program asked for the next event.
    pub handling: Histogram,
}

impl EdgeHistograms {
    /// All of them, in the order of their fields: as [`EdgeCounters::each_mut`].
    pub fn each_mut(&mut self) -> [&mut Histogram; 3] {
        let EdgeHistograms {
            latency,
            queue_wait,
            handling,
        } = self;
        [latency, queue_wait, handling]
    }

    /// As [`EdgeHistograms::each_mut`], to be read.
    #[must_use]
    pub fn each(&self) -> [&Histogram; 3] {
        let EdgeHistograms {
            latency,
            queue_wait,
            handling,
        } = self;
        [latency, queue_wait, handling]
    }

    /// Each number of them with that of others: `with` gives what the first becomes.
    pub fn zip(&mut self, other: &EdgeHistograms, mut with: impl FnMut(u64, u64) -> u64) {
        for (one, other) in self.each_mut().into_iter().zip(other.each()) {
            one.zip(other, &mut with);
        }
    }
}

/// Which edge, in some statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EdgeKey {
    /// The run that it belongs to.
    pub run: RunNumber,
    /// Its number there.
    pub edge: EdgeId,
}

/// An edge at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeRow {
    /// Which edge.
    pub key: EdgeKey,
    /// The keeper's revision at the last change of this row: grows with each, and is higher than that of any row that had the
    /// key before.
    pub sequence: u64,
    /// The keeper's revision in which it came in: a row with another one is of another edge that had the same key.
    pub added_revision: u64,
    /// Its sender.
    pub source: NodeIndex,
    /// The sender's output.
    pub output: OutputId,
    /// Its receiver.
    pub target: NodeIndex,
    /// The receiver's input.
    pub input: InputId,
    /// What a full queue does.
    pub policy: QueuePolicy,
    /// How many messages may be queued.
    pub queue_size: u32,
    /// What was counted.
    pub counters: EdgeCounters,
    /// What there is.
    pub gauges: EdgeGauges,
    /// When the oldest message that waits in the queue was sent.
    pub oldest_ns: Option<u64>,
    /// What its sender lacks there, if it waits because of it.
    pub lacks: Option<Lacks>,
    /// Whether its sender has ended for good.
    pub is_closed: bool,
    /// How long messages took.
    pub histograms: Box<EdgeHistograms>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json, to_value};

    use super::*;

    /// What has at each of its places what `of` gives for the place's number. The places are those that a wire has for it:
    /// another list than the one that is tested.
    fn filled<T>(of: impl Fn(u64) -> Value) -> T
    where
        T: Default + Serialize + for<'de> Deserialize<'de>,
    {
        let mut fields = to_value(T::default()).expect("it has a text");
        let places = fields.as_object_mut().expect("it has fields");
        for (place, number) in places.values_mut().zip(0..) {
            *place = of(number);
        }
        from_value(fields).expect("it is one")
    }

    fn both(one: u64, other: u64) -> u64 {
        7 * one + other
    }

    #[test]
    fn each_counter_is_put_together_with_its_own() {
        let mut one: EdgeCounters = filled(|place| json!(1 + place));
        one.zip(&filled(|place| json!(100 + place)), both);
        assert_eq!(one, filled(|place| json!(both(1 + place, 100 + place))));
    }

    #[test]
    fn each_gauge_is_put_together_with_its_own() {
        let mut one: EdgeGauges = filled(|place| json!(1 + place));
        let with = |one: &mut Gauge, other| *one = Gauge::new(both(one.get(), other));
        one.zip(&filled(|place| json!(100 + place)), with);
        assert_eq!(one, filled(|place| json!(both(1 + place, 100 + place))));
    }

    #[test]
    fn each_bucket_is_put_together_with_its_own() {
        let histogram = |number: u64| Histogram {
            buckets: std::array::from_fn(|bucket| number * 1000 + bucket as u64),
            sum_ns: number,
        };
        let wanted = |place: u64| {
            let (one, other) = (histogram(1 + place), histogram(100 + place));
            Histogram {
                buckets: std::array::from_fn(|it| both(one.buckets[it], other.buckets[it])),
                sum_ns: both(one.sum_ns, other.sum_ns),
            }
        };
        let text = |histogram: Histogram| to_value(histogram).expect("it has a text");
        let mut one: EdgeHistograms = filled(|place| text(histogram(1 + place)));
        one.zip(&filled(|place| text(histogram(100 + place))), both);
        assert_eq!(one, filled(|place| text(wanted(place))));
    }
}
