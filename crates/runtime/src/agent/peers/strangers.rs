//! How often it is said that somebody was refused: whoever goes on must not fill the log.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{Rejection, Repeats};
use dataflow_ids::PeerId;

/// The first two are said with this between them.
const LEAST: Duration = Duration::from_secs(1);
/// What goes on for ever is said this often.
const LONGEST: Duration = Duration::from_secs(600);

/// Those who come as the same peer, or as none, and are refused for the same kind of reason. What it says beside its
/// kind, such as a key, is the stranger's own choice.
#[derive(Debug)]
struct Told {
    peer: Option<PeerId>,
    kind: Discriminant<Rejection>,
    repeats: Repeats,
}

/// All of them; not more than peers of the file and kinds of rejection.
#[derive(Debug, Default)]
pub(super) struct Strangers(Vec<Told>);

impl Strangers {
    /// Somebody was refused, and `more` before who were not told of. If it is to be said: how many more there were since
    /// it was said last.
    pub(super) fn tell(
        &mut self,
        now: Time,
        peer: Option<&PeerId>,
        rejection: &Rejection,
        more: u64,
    ) -> Option<u64> {
        self.0.retain(|told| !told.repeats.is_over(now));
        let (times, kind) = (more.saturating_add(1), discriminant(rejection));
        let is_same = |told: &&mut Told| told.peer.as_ref() == peer && told.kind == kind;
        if let Some(told) = self.0.iter_mut().find(is_same) {
            return told.repeats.tell(now, times);
        }
        let mut repeats = Repeats::new(LEAST, LONGEST);
        let said = repeats.tell(now, times);
        self.0.push(Told {
            peer: peer.cloned(),
            kind,
            repeats,
        });
        said
    }
}

#[cfg(test)]
mod tests {
    use dataflow_ids::Fingerprint;

    use super::*;

    #[test]
    fn each_peer_and_each_kind_of_reason_is_told_apart_and_each_key_is_not() {
        let mut strangers = Strangers::default();
        let (ann, bob) = (PeerId::new("ann").unwrap(), PeerId::new("bob").unwrap());
        let wrong = |byte| Rejection::WrongKey {
            came: Fingerprint([byte; 32]),
        };
        let now = Time(Duration::from_secs(5));
        let mut told = |peer, rejection: &Rejection| strangers.tell(now, peer, rejection, 2);
        assert_eq!(told(Some(&ann), &wrong(1)), Some(2));
        assert_eq!(told(Some(&ann), &wrong(2)), None);
        assert_eq!(told(Some(&bob), &wrong(1)), Some(2));
        assert_eq!(told(None, &wrong(1)), Some(2));
        assert_eq!(told(Some(&ann), &Rejection::NotListed), Some(2));
        let later = Time(Duration::from_secs(6));
        assert_eq!(
            strangers.tell(later, Some(&ann), &wrong(3), 0),
            Some(3),
            "three that were not told of"
        );
    }

    #[test]
    fn those_who_are_gone_are_forgotten() {
        let mut strangers = Strangers::default();
        strangers.tell(Time::default(), None, &Rejection::NotListed, 0);
        let later = Time(LONGEST * 2);
        strangers.tell(later, None, &Rejection::Itself, 0);
        assert_eq!(strangers.0.len(), 1);
    }
}
