//! What goes to several who watch is encoded once.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use dataflow_core::stats::Snapshot;
use dataflow_wire::client::{ClientReply, in_frames};
use dataflow_wire::frame::{EncodeError, EncodedFrame};

/// The frames that lead from one snapshot to another.
pub(super) type Frames = Arc<Vec<EncodedFrame>>;

/// What was encoded to lead to the last snapshot.
#[derive(Debug, Default)]
pub(super) struct EncodedOnce {
    to: Weak<Snapshot>,
    /// By the snapshots from which they lead; the first leads from nothing.
    from: BTreeMap<Option<Moment>, Frames>,
    /// How often something was.
    #[cfg(test)]
    pub(super) count: usize,
}

/// Which snapshot of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    revision: u64,
    at_ns: u64,
}

impl EncodedOnce {
    /// Nobody is told anything at present: nothing is kept for the next one.
    pub(super) fn forget(&mut self) {
        self.from.clear();
    }

    /// For how many pasts something is kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.from.len()
    }

    /// The frames that tell somebody `to` who knows `from`, or nothing yet.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when they are too long for a reply.
    pub(super) fn frames(
        &mut self,
        from: Option<&Snapshot>,
        to: &Arc<Snapshot>,
    ) -> Result<Frames, EncodeError> {
        if !Weak::ptr_eq(&self.to, &Arc::downgrade(to)) {
            self.from.clear();
            self.to = Arc::downgrade(to);
        }
        let moment = from.map(|from| Moment {
            revision: from.revision(),
            at_ns: from.at_ns(),
        });
        if let Some(frames) = self.from.get(&moment) {
            return Ok(Arc::clone(frames));
        }
        let reply = match from {
            Some(from) => ClientReply::StatisticsDelta(Box::new(to.since(from))),
            None => ClientReply::Statistics(Box::new(to.statistics())),
        };
        let frames = Arc::new(in_frames(&reply)?);
        #[cfg(test)]
        {
            self.count += 1;
        }
        self.from.insert(moment, Arc::clone(&frames));
        Ok(frames)
    }
}
