//! One machine of a peer under test, with the time that it is.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{
    DialFailure, DialId, Direction, HealthCheck, LinkEnd, LinkFacts, Peer, PeerCommand, PeerEvent,
    PeerTarget, Rejection,
};
use dataflow_ids::{BootId, Fingerprint, LinkId, PeerState};

pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn key(byte: u8) -> Fingerprint {
    Fingerprint([byte; 32])
}

pub(super) fn target(keys: &[u8]) -> PeerTarget {
    PeerTarget {
        address: "192.168.1.10:50051".parse().unwrap(),
        fingerprints: keys.iter().map(|byte| key(*byte)).collect(),
    }
}

pub(super) fn link(number: u64, direction: Direction, boot: u64) -> LinkFacts {
    LinkFacts {
        link: LinkId(number),
        direction,
        boot: BootId(boot),
        from: format!("192.168.1.10:{}", 1000 + number).parse().unwrap(),
    }
}

/// The machine, the time, and everything that it has asked for.
pub(super) struct One {
    pub(super) peer: Peer,
    pub(super) now: Time,
    pub(super) random: u64,
    wake_at: Option<Time>,
    dial: Option<DialId>,
    probe: Option<(LinkId, u64)>,
    pub(super) dials: Vec<(Time, DialId)>,
}

impl One {
    /// The agent `this`, that knows the peer `peer` by one key and has just been told so.
    pub(super) fn configured(this: &str, peer: &str) -> One {
        let mut one = One::unknown(this, peer);
        one.configure(target(&[1]));
        one
    }

    pub(super) fn unknown(this: &str, peer: &str) -> One {
        let now = Time(Duration::from_secs(100));
        let peer = Peer::new(this.parse().unwrap(), peer.parse().unwrap(), now);
        One {
            peer,
            now,
            random: 0,
            wake_at: None,
            dial: None,
            probe: None,
            dials: Vec::new(),
        }
    }

    pub(super) fn configure(&mut self, target: PeerTarget) -> Vec<PeerCommand> {
        self.hear(PeerEvent::Configured {
            target,
            health_check: HealthCheck::default(),
        })
    }

    /// Tells it something. A clone must say the same.
    pub(super) fn hear(&mut self, event: PeerEvent) -> Vec<PeerCommand> {
        let mut clone = self.peer.clone();
        let commands = self.peer.handle(self.now, self.random, event.clone());
        assert_eq!(clone.handle(self.now, self.random, event), commands);
        for command in &commands {
            match command {
                PeerCommand::WakeAt(at) => {
                    assert!(*at > self.now, "woken in the past: {commands:?}");
                    self.wake_at = Some(*at);
                }
                PeerCommand::Dial(dial) => {
                    self.dial = Some(*dial);
                    self.dials.push((self.now, *dial));
                }
                PeerCommand::Probe { link, sequence } => self.probe = Some((*link, *sequence)),
                _ => {}
            }
        }
        commands
    }

    /// Lets time pass, and wakes it whenever it wants to be. Gives all that it has asked for.
    pub(super) fn pass(&mut self, wait: Duration) -> Vec<PeerCommand> {
        let end = self.now.after(wait);
        let mut commands = Vec::new();
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            self.now = at;
            commands.extend(self.hear(PeerEvent::Wake));
        }
        self.now = end;
        commands
    }

    pub(super) fn dial(&self) -> DialId {
        self.dial.expect("it was dialled")
    }

    pub(super) fn dial_ends(&mut self, result: Result<LinkFacts, DialFailure>) -> Vec<PeerCommand> {
        let dial = self.dial();
        self.dial = None;
        self.hear(PeerEvent::DialEnded { dial, result })
    }

    /// The next dial is made, unless one is under way, and fails; nothing comes back for as long as it may take.
    pub(super) fn next_dial_fails(&mut self, failure: DialFailure) -> Vec<PeerCommand> {
        while self.dial.is_none() {
            self.pass(Duration::from_millis(100));
        }
        if failure == DialFailure::NoAnswer {
            self.pass(TIMEOUT);
        }
        self.dial_ends(Err(failure))
    }

    pub(super) fn accepts(&mut self, facts: LinkFacts) -> Vec<PeerCommand> {
        self.hear(PeerEvent::Accepted(facts))
    }

    pub(super) fn loses(&mut self, number: u64, end: LinkEnd) -> Vec<PeerCommand> {
        let link = LinkId(number);
        self.hear(PeerEvent::LinkEnded { link, end })
    }

    pub(super) fn probe(&self) -> (LinkId, u64) {
        self.probe.expect("it was probed")
    }

    /// The last probe is answered, by a peer whose control loop was silent for so long.
    pub(super) fn answer(&mut self, control_silent_for: Duration) -> Vec<PeerCommand> {
        let (link, sequence) = self.probe();
        self.hear(PeerEvent::Answered {
            link,
            sequence,
            round_trip: Duration::from_millis(3),
            control_silent_for,
        })
    }

    /// It is dialled, connected as connection 1 to start 7 of the agent, and answers until it is healthy.
    pub(super) fn healthy(this: &str, peer: &str) -> One {
        let mut one = One::configured(this, peer);
        one.dial_ends(Ok(link(1, Direction::Dialled, 7)));
        one.becomes_healthy();
        one
    }

    pub(super) fn becomes_healthy(&mut self) {
        self.answer(Duration::ZERO);
        self.pass(Duration::from_secs(1));
        self.answer(Duration::ZERO);
        assert_eq!(self.state(), PeerState::Healthy);
    }

    /// A probe is sent, and its time passes without an answer.
    pub(super) fn misses_a_probe(&mut self) -> Vec<PeerCommand> {
        let before = self.probe();
        while self.probe() == before {
            self.pass(Duration::from_millis(100));
        }
        self.pass(TIMEOUT)
    }

    pub(super) fn state(&self) -> PeerState {
        self.peer.condition().state
    }

    pub(super) fn because(&self) -> String {
        self.peer.condition().reason.to_string()
    }

    pub(super) fn connected(&self) -> Option<u64> {
        self.peer.link().map(|facts| facts.link.0)
    }
}

/// The changes among commands.
pub(super) fn changes(commands: &[PeerCommand]) -> usize {
    let is_change = |command: &&PeerCommand| matches!(command, PeerCommand::Changed(_));
    commands.iter().filter(is_change).count()
}

pub(super) fn wrong_key() -> DialFailure {
    DialFailure::Rejected(Rejection::WrongKey { came: key(9) })
}
