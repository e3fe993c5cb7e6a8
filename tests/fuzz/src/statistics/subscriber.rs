//! Somebody who is told how statistics stand and what has changed since, and believes it.

use dataflow_core::stats::apply;
use dataflow_ids::stats::Statistics;
use dataflow_wire::client::ClientReply;

/// What it knows.
#[derive(Debug, Default)]
pub(super) struct Subscriber {
    pub(super) known: Option<Statistics>,
}

impl Subscriber {
    /// Takes what it is told.
    ///
    /// # Panics
    ///
    /// When a change that is refused has changed something, or one that comes twice counts twice.
    pub(super) fn take(&mut self, reply: &ClientReply) {
        match reply {
            ClientReply::Statistics(whole) => self.known = Some(Statistics::clone(whole)),
            ClientReply::StatisticsDelta(delta) => {
                let Some(known) = &mut self.known else {
                    return;
                };
                let before = known.clone();
                if apply(known, delta).is_err() {
                    assert_eq!(*known, before, "what is refused changes nothing");
                    // The whole is asked for.
                    self.known = None;
                    return;
                }
                let is_newer = (delta.to, delta.at_ns) > (before.revision, before.at_ns)
                    && delta.to >= before.revision;
                match is_newer {
                    true => assert_eq!((known.revision, known.at_ns), (delta.to, delta.at_ns)),
                    false => assert_eq!(*known, before, "it leads nowhere new"),
                }
                let once = known.clone();
                assert_eq!(apply(known, delta), Ok(()));
                assert_eq!(*known, once, "told twice, it changes nothing");
            }
            _ => {}
        }
    }
}
