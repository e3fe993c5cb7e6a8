//! When the memory of incarnations that are over is given back: as soon as no message lies in it.

use std::collections::BTreeSet;
use std::time::Duration;

use dataflow_ids::{Epoch, SegmentId};

/// How soon the segments of a dead incarnation are looked at again; doubles up to the longest.
pub const OLD_SEGMENTS_FIRST: Duration = Duration::from_millis(100);
/// How seldom they are looked at.
pub const OLD_SEGMENTS_LONGEST: Duration = Duration::from_secs(10);

/// What a look at the segments of a node's dead incarnations leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// No message lies in these, and none ever will.
    pub free: Vec<SegmentId>,
    /// After this time one looks again, since messages lie in others.
    pub again_after: Option<Duration>,
}

/// The last incarnation of a node that is over, if this one lives.
#[must_use]
pub fn dead_upto(living: Option<Epoch>) -> Epoch {
    match living {
        Some(epoch) => Epoch(epoch.0.saturating_sub(1)),
        None => Epoch(u32::MAX),
    }
}

/// Tells which of the `old` segments are free. `named` are all that messages of the node lie in, queued or held,
/// on any of its edges; `waited` is the time since the last look.
#[must_use]
pub fn look(
    old: impl IntoIterator<Item = SegmentId>,
    named: &BTreeSet<(Epoch, u32)>,
    waited: Duration,
) -> Look {
    let (used, free): (Vec<SegmentId>, Vec<SegmentId>) =
        (old.into_iter()).partition(|id| named.contains(&(id.epoch, id.number)));
    let again = (waited * 2).clamp(OLD_SEGMENTS_FIRST, OLD_SEGMENTS_LONGEST);
    Look {
        free,
        again_after: (!used.is_empty()).then_some(again),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataflow_ids::NodeIndex;

    fn id(epoch: u32, number: u32) -> SegmentId {
        SegmentId {
            node: NodeIndex(0),
            epoch: Epoch(epoch),
            number,
        }
    }

    #[test]
    fn a_segment_is_free_when_no_message_lies_in_it_and_not_before() {
        let old = [id(1, 0), id(1, 1), id(2, 0)];
        let named = BTreeSet::from([(Epoch(1), 1), (Epoch(3), 0)]);
        let first = look(old, &named, Duration::ZERO);
        assert_eq!(first.free, [id(1, 0), id(2, 0)]);
        assert_eq!(first.again_after, Some(OLD_SEGMENTS_FIRST));
        let all = look([id(1, 1)], &BTreeSet::new(), Duration::ZERO);
        assert_eq!(all.free, [id(1, 1)]);
        assert_eq!(all.again_after, None, "nothing is left to look at");
    }

    #[test]
    fn looks_become_rarer_and_never_end_while_a_message_lies_there() {
        let named = BTreeSet::from([(Epoch(1), 0)]);
        let mut waited = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..10 {
            let again = look([id(1, 0)], &named, waited).again_after;
            waited = again.expect("it looks again");
            waits.push(waited.as_millis());
        }
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000];
        assert_eq!(waits, expected);
    }

    #[test]
    fn the_incarnation_that_lives_keeps_its_own() {
        assert_eq!(dead_upto(Some(Epoch(3))), Epoch(2));
        assert_eq!(dead_upto(Some(Epoch(0))), Epoch(0));
        assert_eq!(dead_upto(None), Epoch(u32::MAX));
    }
}
