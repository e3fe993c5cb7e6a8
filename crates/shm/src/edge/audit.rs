//! What the runtime knows of an edge without asking its memory: what it has written there itself, and what it has
//! read before. A faulty process can write anything into an edge, and so is found out (I-3).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataflow_ids::Sequence;
use dataflow_ids::stats::{EdgeHistograms, Histogram};

use super::blocked::Blocked;
use super::config::EdgeConfig;
use super::error::Damage;
use super::histograms::{self, Span};
use super::layout::{Layout, MAGIC, VERSION, header};
use super::reading::EdgeCounts;
use super::slot::{SEQUENCE_MAX, closed_at};
use super::words::Words;

/// The words of the header that only the runtime writes, and their names.
const OWN: [(usize, &str); 13] = [
    (header::MAGIC, "magic"),
    (header::VERSION, "version"),
    (header::EDGE, "edge"),
    (header::QUEUE_SIZE, "queue_size"),
    (header::HELD_MAX, "held_max"),
    (header::HELD_BYTES_MAX, "held_bytes_max"),
    (header::CLOSED_AT, "closed_at"),
    (header::RECEIVER_GONE, "receiver_gone"),
    (header::RECEIVER_READY, "receiver_ready"),
    (header::SENDER_EPOCH, "sender_epoch"),
    (header::RECEIVER_EPOCH, "receiver_epoch"),
    (header::LOST, "lost"),
    (header::DROPPED_AT_CLOSE, "dropped_at_close"),
];

/// The runtime's own knowledge of one edge.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// One thread at a time asks, so nobody waits here; it is never held over an access to the edge.
    known: Mutex<Known>,
    /// How often the runtime has written a word of its own.
    done: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    /// What was written to the words of [`OWN`].
    own: [u64; OWN.len()],
    /// The last counts that could be.
    seen: EdgeCounts,
    /// What the sender has booked of its waits, when it last could.
    booked_ns: u64,
    /// When the present sender came.
    sender_since_ns: u64,
    /// The last histograms that could be.
    histograms: Arc<EdgeHistograms>,
    /// What the header said of them when they were read last.
    observations: u64,
    /// The first damage found.
    damage: Option<Damage>,
}

impl Audit {
    /// Writes the header of a new edge, whose words are all 0.
    pub(super) fn begin<W: Words>(words: &W, config: &EdgeConfig, layout: &Layout) -> Audit {
        let audit = Audit::default();
        for (word, value) in [
            (header::VERSION, VERSION),
            (header::EDGE, u64::from(config.edge.0)),
            (header::QUEUE_SIZE, layout.queue_size()),
            (header::HELD_MAX, u64::from(config.held_max)),
            (header::HELD_BYTES_MAX, config.held_bytes_max),
            // Last: an edge without it is none.
            (header::MAGIC, MAGIC),
        ] {
            audit.write(words, word, value);
        }
        audit
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is one statement, so a panic elsewhere leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a word that is the runtime's own.
    pub(super) fn write<W: Words>(&self, words: &W, word: usize, value: u64) {
        self.known().own[place(word)] = value;
        words.store(word, value, Ordering::Release);
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the runtime has written a word of its own: each of its repairs and closings does.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// What the runtime has written there last.
    pub(super) fn own(&self, word: usize) -> u64 {
        self.known().own[place(word)]
    }

    /// The sender's last message, if its end is final.
    pub(super) fn closed_at(&self) -> Option<Sequence> {
        closed_at(self.own(header::CLOSED_AT))
    }

    /// The first damage found.
    pub(super) fn damage(&self) -> Option<Damage> {
        self.known().damage.clone()
    }

    /// Looks whether anybody else has written what is the runtime's own.
    pub(super) fn check_own<W: Words>(&self, words: &W) {
        let own = self.known().own;
        for ((index, word), written) in OWN.into_iter().zip(own) {
            let says = words.load(index, Ordering::Relaxed);
            if says != written {
                self.known().note(Damage::OwnWord {
                    word,
                    says,
                    written,
                });
            }
        }
    }

    /// As [`Audit::check_own`], and writes it again: the process that did it has been reaped.
    pub(super) fn restore<W: Words>(&self, words: &W) {
        self.check_own(words);
        let own = self.known().own;
        for ((index, _), written) in OWN.into_iter().zip(own) {
            if words.load(index, Ordering::Relaxed) != written {
                words.store(index, written, Ordering::Release);
            }
        }
    }

    /// The last sequence, if it can be what the header says; otherwise what it was.
    pub(super) fn sent(&self, says: u64) -> u64 {
        let mut known = self.known();
        let before = known.seen.sent;
        known.seen.sent = known.counter("sent", before, says, SEQUENCE_MAX);
        known.seen.sent
    }

    /// There is another sender now.
    pub(super) fn sender_begins(&self, now_ns: u64) {
        self.known().sender_since_ns = now_ns;
    }

    /// How long the sender has waited, with the wait that it is in.
    pub(super) fn blocked_ns(&self, says: Blocked, now_ns: u64) -> u64 {
        let mut known = self.known();
        let before_ns = known.booked_ns;
        let booked_ns = known.sum("blocked_ns", before_ns, says.booked_ns);
        known.booked_ns = booked_ns;
        // Who has ended for good does not wait, whatever somebody else writes there.
        let present_ns = match closed_at(known.own[place(header::CLOSED_AT)]) {
            None => says.present_ns(now_ns, known.sender_since_ns),
            Some(_) => 0,
        };
        // What was told stays: a wait that is over may be booked a moment shorter.
        booked_ns
            .saturating_add(present_ns)
            .max(known.seen.blocked_ns)
    }

    /// Puts what cannot be of these counts, just read, as it was before. How long the sender has waited is as
    /// `blocked_ns` has given it.
    pub(super) fn check(&self, says: EdgeCounts) -> EdgeCounts {
        let sent = self.sent(says.sent);
        let mut known = self.known();
        let seen = known.seen;
        let mut counter = |counted, before, says| known.counter(counted, before, says, sent);
        let counts = EdgeCounts {
            sent,
            delivered: counter("delivered", seen.delivered, says.delivered),
            released: counter("released", seen.released, says.released),
            dropped_full: counter("dropped", seen.dropped_full, says.dropped_full),
            dropped_memory: counter("dropped", seen.dropped_memory, says.dropped_memory),
            dropped_receiver_closed: counter(
                "dropped",
                seen.dropped_receiver_closed,
                says.dropped_receiver_closed,
            ),
            bytes: known.sum("bytes", seen.bytes, says.bytes),
            ..says
        };
        known.seen = counts;
        counts
    }

    /// The histograms as they were when they were last read, if the header says that they still are.
    pub(super) fn histograms_since(&self, observations: u64) -> Option<Arc<EdgeHistograms>> {
        let known = self.known();
        (known.observations == observations).then(|| known.histograms.clone())
    }

    /// Puts what cannot be of these histograms, just read, as it was before. None of them speaks of more messages than
    /// were delivered.
    pub(super) fn check_histograms(
        &self,
        observations: u64,
        says: EdgeHistograms,
        delivered: u64,
    ) -> Arc<EdgeHistograms> {
        let mut known = self.known();
        let mut histograms = *known.histograms;
        known.observations = observations;
        for (span, before, says) in [
            (Span::Latency, &mut histograms.latency, says.latency),
            (Span::QueueWait, &mut histograms.queue_wait, says.queue_wait),
            (Span::Handling, &mut histograms.handling, says.handling),
        ] {
            known.histogram(span, before, says, delivered);
        }
        known.histograms = Arc::new(histograms);
        known.histograms.clone()
    }

    /// Looks whether the counts add up, as they must when nobody is at either end any more.
    pub(super) fn check_settled(&self, counts: &EdgeCounts) {
        if !counts.balances() {
            self.known().note(Damage::Sums {
                sent: counts.sent,
                delivered: counts.delivered,
                dropped: counts.dropped(),
                queued: counts.queued,
                released: counts.released,
                held: counts.held,
                lost: counts.lost,
            });
        }
    }
}

impl Known {
    fn note(&mut self, found: Damage) {
        self.damage.get_or_insert(found);
    }

    /// A sum that was `before`, if it can be what it says; otherwise what it was.
    fn sum(&mut self, word: &'static str, before: u64, says: u64) -> u64 {
        if says < before {
            self.note(Damage::Fell { word, says, before });
        }
        says.max(before)
    }

    /// A histogram that was `seen` becomes what it says, if it can be that.
    fn histogram(&mut self, span: Span, seen: &mut Histogram, says: Histogram, at_most: u64) {
        match histograms::check(seen, &says) {
            Ok(count) if count <= at_most => *seen = says,
            Ok(count) | Err(count) => self.note(Damage::Counter {
                counted: span.name(),
                says: count,
                before: at_most,
            }),
        }
    }

    /// A counter that was `before`, if it can be what it says; otherwise what it was.
    fn counter(&mut self, counted: &'static str, before: u64, says: u64, at_most: u64) -> u64 {
        if says >= before && says <= at_most {
            return says;
        }
        self.note(Damage::Counter {
            counted,
            says,
            before: if says > at_most { at_most } else { before },
        });
        before
    }
}

/// Where a word of the runtime's own stands in [`OWN`].
fn place(word: usize) -> usize {
    let place = OWN.iter().position(|(own, _)| *own == word);
    place.expect("only words of `OWN` are asked for")
}
