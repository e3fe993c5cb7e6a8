//! `PeerActor`: how one peer stands, when it is dialled, and which of its connections counts.

use std::rc::Rc;
use std::time::Duration;

use dataflow_core::peers::{DialFailure, DialId, LinkEnd, LinkFacts, PeerEvent, Rejection};
use dataflow_ids::LinkId;

use crate::agent::{Entry, Keeper};
use crate::supervision::Behaviour;

/// What the actor of a peer may be told. Each may be told twice.
#[derive(Debug, Clone)]
pub(crate) enum PeerMessage {
    /// Its entry in the file is new, or another one: it lies with the keeper.
    Configured,
    /// The moment has come that its machine wanted to be told.
    Wake,
    /// A dial has ended.
    DialEnded {
        dial: DialId,
        result: Result<LinkFacts, DialFailure>,
    },
    /// The peer has dialled us.
    Accepted(LinkFacts),
    /// A connection has ended.
    LinkEnded { link: LinkId, end: LinkEnd },
    /// A probe was answered.
    Answered {
        link: LinkId,
        sequence: u64,
        round_trip: Duration,
        control_silent_for: Duration,
    },
    /// Somebody else has shown up in its place.
    Stranger(Rejection),
    /// This process did not run for a while: for how long lies with the keeper.
    Stalled,
    /// A message was lost: look at what the keeper holds.
    Adopt,
}

crate::message_kinds!(PeerMessage {
    Configured,
    Wake,
    DialEnded,
    Accepted,
    LinkEnded,
    Answered,
    Stranger,
    Stalled,
    Adopt,
});

impl PeerMessage {
    /// What it means to the machine; a stall was taken before it, and `Adopt` has to be looked up.
    fn event(&self, entry: &Entry) -> Option<PeerEvent> {
        Some(match self {
            PeerMessage::Configured => entry.configured(),
            PeerMessage::Wake => PeerEvent::Wake,
            PeerMessage::DialEnded { dial, result } => PeerEvent::DialEnded {
                dial: *dial,
                result: result.clone(),
            },
            PeerMessage::Accepted(facts) => PeerEvent::Accepted(facts.clone()),
            PeerMessage::LinkEnded { link, end } => PeerEvent::LinkEnded {
                link: *link,
                end: end.clone(),
            },
            PeerMessage::Answered {
                link,
                sequence,
                round_trip,
                control_silent_for,
            } => PeerEvent::Answered {
                link: *link,
                sequence: *sequence,
                round_trip: *round_trip,
                control_silent_for: *control_silent_for,
            },
            PeerMessage::Stranger(rejection) => PeerEvent::Stranger(rejection.clone()),
            PeerMessage::Stalled | PeerMessage::Adopt => return None,
        })
    }
}

/// The actor. It owns nothing: connections, dials, and what it decided, are the keeper's.
pub(crate) struct PeerActor {
    keeper: Rc<Keeper>,
    entry: Rc<Entry>,
}

impl PeerActor {
    pub(crate) fn new(keeper: Rc<Keeper>, entry: Rc<Entry>) -> PeerActor {
        PeerActor { keeper, entry }
    }

    fn take(&self, event: PeerEvent) {
        if event == PeerEvent::Wake {
            // If there is a next time, its machine says when.
            self.entry.set_wake(None);
        }
        let (now, random) = (self.keeper.now(), self.keeper.random());
        let machine = self.entry.machine();
        machine.decide(|machine| machine.handle(now, random, event));
        self.perform();
    }

    /// What was heard already, or is undone, is not told to the machine again.
    fn take_if_it_stands(&self, event: PeerEvent) {
        let entry = &self.entry;
        if !entry.still_stands(&event) {
            return;
        }
        match &event {
            PeerEvent::DialEnded { dial, .. } => {
                let dial = *dial;
                self.take(event);
                entry.dial_was_heard(dial);
            }
            PeerEvent::LinkEnded { link, .. } => {
                let link = *link;
                self.take(event);
                self.keeper.end_was_heard(entry, link);
            }
            _ => self.take(event),
        }
    }

    fn perform(&self) {
        let (keeper, entry) = (&self.keeper, &self.entry);
        let given_up = entry
            .machine()
            .perform(|command| keeper.perform(entry, command));
        if given_up > 0 {
            keeper.begin_anew(entry);
        }
        entry.remember();
    }

    /// Before anything else that has waited: for how long this process did not run.
    fn take_stall(&self) {
        self.keeper.look_at_itself();
        if let Some(stalled) = self.entry.stalled() {
            self.take(PeerEvent::Stalled(stalled));
            self.entry.stall_was_heard(stalled);
        }
    }
}

impl Behaviour for PeerActor {
    type Message = PeerMessage;

    /// Performs what an earlier incarnation did not get to. Connections and dials go on meanwhile.
    fn begin(&mut self) {
        self.perform();
    }

    fn handle(&mut self, message: &PeerMessage) {
        let entry = &self.entry;
        // It may have been taken out of the file while this waited.
        if entry.is_retired() {
            return;
        }
        self.take_stall();
        let Some(event) = message.event(entry) else {
            // Whatever a lost message was about, the keeper knows.
            if matches!(message, PeerMessage::Adopt) {
                for event in entry.what_stands() {
                    self.take_if_it_stands(event);
                }
            }
            return;
        };
        self.take_if_it_stands(event);
    }
}
