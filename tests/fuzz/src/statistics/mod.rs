//! Statistics of others: any bytes as what a runtime tells a subscriber, and keepers that lie to a collector.

mod collected;
mod keeper;
mod lies;
mod subscriber;

use dataflow_wire::client::{ClientReply, Parts};
use dataflow_wire::frame::FrameReader;

use crate::bytes::Bytes;
use collected::Collected;
use subscriber::Subscriber;

/// Reads `data` as the frames of a runtime that was asked to `Watch`: wholes, and what changes, in parts or not.
///
/// # Panics
///
/// When a change that is refused has changed something, when one counts twice, or when a collector that hears the same has
/// sums that are not those of its members.
pub fn statistics(data: &[u8]) {
    let mut reader = FrameReader::new();
    reader.feed(data);
    let mut parts = Parts::default();
    let mut subscriber = Subscriber::default();
    let mut collected = Collected::new();
    while let Ok(Some((reply, _))) = reader.next::<ClientReply>() {
        let Ok(whole) = parts.take(reply) else {
            return;
        };
        let Some(reply) = whole else {
            continue;
        };
        subscriber.take(&reply);
        collected.time_passes(1_000_000);
        collected.take(0, reply);
        collected.look();
    }
}

/// Plays keepers whose books change as `data` says, of which all but the first lie, before a subscriber of each and one
/// collector of all.
///
/// # Panics
///
/// When a subscriber of an honest keeper knows anything else than its keeper, or the collector has lost what the honest
/// one has counted, lets a counter fall, or has sums that are not those of its members.
pub fn gathered(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mut collected = Collected::new();
    let mut keepers = keeper::Keepers::new();
    while !bytes.is_empty() {
        collected.time_passes(u64::from(bytes.byte()) * 1_000_003);
        let at = collected.now();
        let place = bytes.below(keeper::KEEPERS);
        match bytes.below(16) {
            0..=8 => keepers.changes(place, &mut bytes, at),
            9 => keepers.begins_anew(place, at),
            10 => {
                collected.gone(place);
                collected.look();
            }
            _ => {
                keepers.tells(place, &mut bytes, at, &mut collected);
                collected.look();
            }
        }
    }
}
