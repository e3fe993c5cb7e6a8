//! When a cycle is at rest: two consecutive equal readings in which everybody is idle (section 6 of the design).

use dataflow_ids::{EdgeId, NodeIndex, Sequence};

use crate::broken::{Rule, is_broken};

/// A cycle at one moment, as read from the headers of its edges. In it belong all edges that lead to a member,
/// also those from outside, and all members that have not ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CycleReading {
    /// The members.
    pub members: Vec<MemberReading>,
    /// The edges.
    pub edges: Vec<EdgePosition>,
}

/// A member of a cycle at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberReading {
    /// The node.
    pub node: NodeIndex,
    /// Whether it sleeps in its library and waits for a message. A node without a live process (in backoff,
    /// parked, starting) is busy: it may still come back and send.
    pub activity: Activity,
}

/// Whether a member does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It waits for a message, in its library.
    Idle,
    /// Anything else.
    Busy,
}

/// How far an edge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgePosition {
    /// The edge.
    pub edge: EdgeId,
    /// The last sequence sent.
    pub sent: Sequence,
    /// The receiver's position in the ring.
    pub head: u64,
    /// How many messages wait.
    pub queued: u64,
}

impl CycleReading {
    /// Whether nobody does anything and nothing waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        if is_broken(Rule::BusyCycleIsAtRest) {
            return true;
        }
        self.members
            .iter()
            .all(|member| member.activity == Activity::Idle)
            && self.edges.iter().all(|edge| edge.queued == 0)
    }
}

/// What the readings so far say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing will happen any more in this cycle by itself.
    Quiescent,
    /// Look again.
    Moving,
}

/// Compares consecutive readings of one cycle.
///
/// One idle reading is not enough: it is put together from words that are read one after the other, and a
/// message can slip from behind the reader to before it. Equal positions in two idle readings show that
/// nothing moved in between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuiescenceWatch {
    previous: Option<CycleReading>,
}

impl QuiescenceWatch {
    /// A watch that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next reading.
    pub fn observe(&mut self, reading: CycleReading) -> Verdict {
        let verdict = if reading.is_idle() && self.previous.as_ref() == Some(&reading) {
            Verdict::Quiescent
        } else {
            Verdict::Moving
        };
        self.previous = Some(reading);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(activity: Activity, sent: u64, queued: u64) -> CycleReading {
        CycleReading {
            members: vec![MemberReading {
                node: NodeIndex(0),
                activity,
            }],
            edges: vec![EdgePosition {
                edge: EdgeId(0),
                sent: Sequence(sent),
                head: sent - queued,
                queued,
            }],
        }
    }

    #[test]
    fn two_equal_idle_readings_in_a_row_are_needed() {
        let mut watch = QuiescenceWatch::new();
        assert_eq!(
            watch.observe(reading(Activity::Idle, 5, 0)),
            Verdict::Moving
        );
        assert_eq!(
            watch.observe(reading(Activity::Busy, 5, 0)),
            Verdict::Moving
        );
        assert_eq!(
            watch.observe(reading(Activity::Idle, 5, 0)),
            Verdict::Moving
        );
        assert_eq!(
            watch.observe(reading(Activity::Idle, 6, 0)),
            Verdict::Moving
        );
        assert_eq!(
            watch.observe(reading(Activity::Idle, 6, 0)),
            Verdict::Quiescent
        );
    }

    #[test]
    fn equal_readings_of_somebody_busy_or_of_a_full_queue_are_no_rest() {
        let mut watch = QuiescenceWatch::new();
        for _ in 0..3 {
            assert_eq!(
                watch.observe(reading(Activity::Busy, 5, 0)),
                Verdict::Moving
            );
        }
        for _ in 0..3 {
            assert_eq!(
                watch.observe(reading(Activity::Idle, 5, 1)),
                Verdict::Moving
            );
        }
    }
}
