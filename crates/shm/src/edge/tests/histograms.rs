//! Histograms in the header: what is recorded is read, and what cannot be is not believed (I-3).

use std::sync::atomic::Ordering;

use dataflow_ids::stats::{EdgeHistograms, HISTOGRAM_BUCKETS, Histogram};

use super::*;

#[test]
fn times_are_recorded_in_powers_of_two_beside_their_sum() {
    let mut rig = rig(QueuePolicy::Block, 64, 2);
    for value in 1..=40 {
        rig.send(value);
        rig.take();
    }
    assert_eq!(*rig.keeper.read().histograms, EdgeHistograms::default());
    for (duration_ns, messages) in [(0, 1), (1, 1), (700, 16), (1023, 2), (u64::MAX, 1)] {
        rig.receiver.observe(Span::Latency, duration_ns, messages);
    }
    rig.receiver.observe(Span::QueueWait, 1024, 3);
    rig.receiver.observe(Span::Handling, 5, 40);
    let histograms = rig.keeper.read().histograms;
    let latency = histograms.latency;
    let mut expected = Histogram::default();
    for (bucket, count) in [(0, 1), (1, 1), (10, 18), (HISTOGRAM_BUCKETS - 1, 1)] {
        expected.buckets[bucket] = count;
    }
    // What is longer than 3.3 days counts as those.
    expected.sum_ns = 1 + 16 * 700 + 2 * 1023 + ((1 << 48) - 1);
    assert_eq!(latency, expected);
    assert_eq!(
        (
            histograms.queue_wait.buckets[11],
            histograms.queue_wait.sum_ns
        ),
        (3, 3 * 1024)
    );
    assert_eq!(
        (histograms.handling.buckets[3], histograms.handling.sum_ns),
        (40, 200)
    );
    assert_eq!(rig.keeper.damage(), None);
}

#[test]
fn histograms_go_on_after_a_restart_of_the_receiver() {
    let mut rig = rig(QueuePolicy::Block, 8, 2);
    for value in 1..=2 {
        rig.send(value);
        rig.take();
        rig.receiver.observe(Span::Handling, 100 * value, 1);
        rig.restart_receiver();
    }
    let handling = rig.keeper.read().histograms.handling;
    assert_eq!(handling.sum_ns, 300);
    assert_eq!((handling.buckets[7], handling.buckets[8]), (1, 1));
}

/// A rig whose receiver has recorded something of its four messages in each histogram.
fn observed() -> Rig {
    let mut rig = rig(QueuePolicy::Block, 4, 1);
    for value in 1..=4 {
        rig.send(value);
        rig.take();
    }
    for span in Span::ALL {
        rig.receiver.observe(span, 1000, 2);
        rig.receiver.observe(span, 5000, 1);
    }
    rig
}

#[test]
fn histograms_that_cannot_be_are_given_as_they_were_and_named() {
    let sums = [header::LATENCY, header::QUEUE_WAIT, header::HANDLING];
    for sum in sums {
        for (word, value) in [
            // More messages than were delivered.
            (sum + 1 + 10, 4),
            (sum + 1 + 47, u64::MAX),
            (sum + 1, 1 << 63),
            // Fewer than there were.
            (sum + 1 + 10, 1),
            (sum + 1 + 13, 0),
            // A sum that fell, and one that no messages of these lengths can have.
            (sum, 6999),
            (sum, 2 * 1023 + 8191 + 1),
            (sum, u64::MAX),
        ] {
            let mut rig = observed();
            let before = rig.keeper.read();
            assert_eq!(rig.keeper.damage(), None);
            rig.words().store(word, value, Ordering::Relaxed);
            rig.words()
                .store(header::OBSERVATIONS, 77, Ordering::Relaxed);
            assert_eq!(rig.keeper.read(), before, "{word} is {value}");
            let damage = rig.keeper.damage().unwrap();
            assert!(matches!(damage.what, Damage::Counter { .. }), "{damage}");
            // The other end goes on, and its counts with it.
            rig.send(5);
            assert_eq!(rig.take(), Some((5, 5)));
            rig.receiver.observe(Span::Handling, u64::MAX, 1);
            assert_eq!(rig.counts().delivered, 5);
        }
    }
}

#[test]
fn a_histogram_that_cannot_be_leaves_the_other_two_as_they_are_counted() {
    let mut rig = observed();
    rig.keeper.read();
    rig.words()
        .store(header::LATENCY, u64::MAX, Ordering::Relaxed);
    rig.receiver.observe(Span::Handling, 3, 1);
    let histograms = rig.keeper.read().histograms;
    assert_eq!(histograms.handling.sum_ns, 7003);
    assert_eq!(histograms.latency.sum_ns, 7000);
}

#[test]
fn bytes_and_waits_that_fall_are_given_as_they_were_and_named() {
    for word in [header::BYTES, header::BLOCKED_NS] {
        let mut rig = observed();
        rig.sender.finish_sleep(500);
        let before = rig.counts();
        assert_eq!((before.bytes, before.blocked_ns), (32, 500));
        rig.words().store(word, 3, Ordering::Relaxed);
        assert_eq!(rig.counts(), before);
        let damage = rig.keeper.damage().unwrap();
        assert!(
            matches!(damage.what, Damage::Fell { says: 3, .. }),
            "{damage}"
        );
    }
}
