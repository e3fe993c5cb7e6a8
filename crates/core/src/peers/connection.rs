//! Which of several connections to one peer counts.

use dataflow_ids::PeerId;

use super::{CloseCode, Direction, LinkFacts};
use crate::broken::{Rule, is_broken};

/// What becomes of a connection that comes while there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It takes the place of the one that is there.
    Take,
    /// It is not needed.
    Close,
    /// The one that is there has to answer a probe. If it does, the newcomer is closed, else it takes its place.
    Challenge,
}

/// Judges a newcomer.
///
/// Both sides may dial, so that reachability one way is enough, and may do so at once. Both must then keep the same
/// connection without a word about it: the one that the smaller id has dialled. But who dials has no connection (else it
/// would not), so one that the peer has dialled may also mean that the peer has lost the one that is there:
///
/// - a second one that the peer has dialled takes the place of the first;
/// - one that the peer has dialled, although it is the larger, has to give way only to one that answers;
/// - one to another start of the agent may be the agent, started anew, or another one with its key. The one that is
///   there has to answer: only one that is dead gives way.
pub(super) fn judge(
    this: &PeerId,
    peer: &PeerId,
    current: &LinkFacts,
    newcomer: &LinkFacts,
) -> Verdict {
    if newcomer.boot != current.boot {
        if is_broken(Rule::SecondAgentWins) {
            return Verdict::Take;
        }
        return Verdict::Challenge;
    }
    if is_broken(Rule::EachKeepsItsOwn) {
        return match newcomer.direction {
            Direction::Dialled => Verdict::Take,
            Direction::Accepted => Verdict::Close,
        };
    }
    match (newcomer.direction, current.direction) {
        (Direction::Dialled, _) if this < peer => Verdict::Take,
        (Direction::Dialled, _) => Verdict::Close,
        (Direction::Accepted, Direction::Accepted) => Verdict::Take,
        (Direction::Accepted, Direction::Dialled) if peer < this => Verdict::Take,
        (Direction::Accepted, Direction::Dialled) => Verdict::Challenge,
    }
}

/// What a connection is told that gives way to another one.
pub(super) fn code_for(loser: &LinkFacts, winner: &LinkFacts) -> CloseCode {
    if loser.boot == winner.boot {
        CloseCode::Superseded
    } else {
        CloseCode::DuplicateId
    }
}
