//! What a person can do about a peer that is not as it should be.

use dataflow_core::peers::{CloseCode, DialFailure, LinkEnd, Reason, Rejection};
use dataflow_descriptor::Peer;
use dataflow_ids::PeerId;

/// What to do, in one line; nothing when there is nothing but to wait.
pub(super) fn remedy(this: &PeerId, peer: &Peer, reason: &Reason) -> Option<String> {
    match reason {
        Reason::Connecting
        | Reason::Answers
        | Reason::Recovering
        | Reason::SlowControl { .. }
        | Reason::Lost(
            LinkEnd::Idle
            | LinkEnd::Reset
            | LinkEnd::StartedAnew
            | LinkEnd::Other(_)
            | LinkEnd::ByPeer(
                CloseCode::Superseded
                | CloseCode::Ending
                | CloseCode::Reconfigured
                | CloseCode::Garbage
                | CloseCode::Unanswered,
            ),
        ) => None,
        Reason::Lost(LinkEnd::ByPeer(CloseCode::DuplicateId)) => Some(format!(
            "give one of the two agents that are called `{this}` another id"
        )),
        Reason::Silent { .. } => Some(format!(
            "look whether `{}` is overloaded, or the network to it",
            peer.id
        )),
        Reason::NotReached(failure) => of_failure(this, peer, failure),
        Reason::Rejected(rejection) => Some(of_rejection(this, peer, rejection)),
    }
}

fn of_failure(this: &PeerId, peer: &Peer, failure: &DialFailure) -> Option<String> {
    let (id, address) = (&peer.id, peer.address);
    match failure {
        DialFailure::NoAnswer => Some(format!(
            "look whether the machine of `{id}` is on, and lets UDP port {} in",
            address.port()
        )),
        DialFailure::Refused => Some(format!(
            "start `dataflow agent --node {id}` there, or correct its address {address}"
        )),
        DialFailure::NoRoute(_) => Some(format!(
            "look whether this machine's network leads to {address}, or correct it"
        )),
        DialFailure::Rejected(rejection) => Some(of_rejection(this, peer, rejection)),
        DialFailure::Other(_) => None,
    }
}

fn of_rejection(this: &PeerId, peer: &Peer, rejection: &Rejection) -> String {
    let (id, address) = (&peer.id, peer.address);
    match rejection {
        Rejection::NoFingerprint => format!("run `dataflow peers pin {id}`"),
        Rejection::WrongKey { .. } => {
            format!("if its key was changed on purpose, run `dataflow peers pin {id}`")
        }
        Rejection::OurKeyRefused => format!("run `dataflow peers pin {this}` on `{id}`"),
        Rejection::OtherCluster { .. } => {
            "give both files the same `cluster`, or take it out of this one".to_owned()
        }
        Rejection::OtherPeer { theirs } => format!(
            "correct the address {address}, or start the agent there with `--node {id}` instead of `{theirs}`"
        ),
        Rejection::OtherProtocol { .. } => {
            format!("install the same version of dataflow here and on `{id}`")
        }
        Rejection::NotListed => format!("add `{this}` to the file of `{id}`"),
        Rejection::OurIdTaken => {
            format!("give one of the two agents that are called `{this}` another id")
        }
        Rejection::DuplicateId { other } => format!(
            "stop one of the two agents that are called `{id}`, or give it another id; one is at {other}"
        ),
        Rejection::Itself => format!("correct its address: {address} is this agent's own"),
        Rejection::NotAnAgent { .. } => {
            format!("correct its address {address}, or start `dataflow agent --node {id}` there")
        }
    }
}
