//! The dials and connections of one peer: what is in flight, what has ended, and what of it its actor has heard.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::peers::{DialFailure, DialId, Direction, LinkEnd, LinkFacts, PeerEvent};
use dataflow_ids::LinkId;

use crate::network::{LinkReading, PeerHello, Trust};

/// Over how many answers the loss is looked at: at the default interval, five minutes.
const READINGS_MAX: usize = 10;

/// A dial that the machine wants.
#[derive(Debug)]
struct Dialled {
    /// Its name on the network, where no two are alike.
    on_network: DialId,
    /// How it has ended, until that was heard.
    ended: Option<Result<LinkFacts, DialFailure>>,
}

/// The last answer to a probe.
#[derive(Debug, Clone, Copy)]
struct Answer {
    sequence: u64,
    round_trip: Duration,
    control_silent_for: Duration,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) facts: LinkFacts,
    pub(super) hello: PeerHello,
    answer: Option<Answer>,
    /// Packets sent and lost, at each of the last answers.
    readings: VecDeque<(u64, u64)>,
    ended: Option<LinkEnd>,
}

impl Link {
    /// How long the last answer took.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.answer.map(|answer| answer.round_trip)
    }

    /// The part of the packets that were lost lately, of a million.
    pub(super) fn loss_ppm(&self, now: &LinkReading) -> u32 {
        let (sent, lost) = self.readings.front().copied().unwrap_or_default();
        let sent = now.packets_sent.saturating_sub(sent);
        let lost = now.packets_lost.saturating_sub(lost).min(sent);
        let ppm = (u128::from(lost) * 1_000_000).checked_div(u128::from(sent));
        ppm.and_then(|ppm| u32::try_from(ppm).ok()).unwrap_or(0)
    }
}

/// All of one peer.
#[derive(Debug, Default)]
pub(super) struct Links {
    dials: BTreeMap<DialId, Dialled>,
    links: BTreeMap<LinkId, Link>,
}

impl Links {
    /// A dial begins. Gives whether it had not begun already.
    pub(super) fn dial(&mut self, dial: DialId, on_network: DialId) -> bool {
        if self.dials.contains_key(&dial) {
            return false;
        }
        let ended = None;
        self.dials.insert(dial, Dialled { on_network, ended });
        true
    }

    /// A dial is given up. Gives its name on the network, and the connection that it has come to, if nobody has heard
    /// of that.
    pub(super) fn cancel(&mut self, dial: DialId) -> Option<(DialId, Option<LinkId>)> {
        let dialled = self.dials.remove(&dial)?;
        let link = dialled.ended.and_then(Result::ok).map(|facts| facts.link);
        Some((dialled.on_network, link))
    }

    /// A dial has ended. Gives its name with the machine.
    pub(super) fn dial_ended(
        &mut self,
        on_network: DialId,
        result: Result<(LinkFacts, PeerHello), DialFailure>,
    ) -> Option<(DialId, Result<LinkFacts, DialFailure>)> {
        let mut dials = self.dials.iter_mut();
        let (dial, dialled) = dials.find(|(_, it)| it.on_network == on_network)?;
        let result = result.map(|(facts, hello)| {
            self.links
                .insert(facts.link, Link::new(facts.clone(), hello));
            facts
        });
        dialled.ended = Some(result.clone());
        Some((*dial, result))
    }

    /// The peer has dialled us.
    pub(super) fn accepted(&mut self, facts: LinkFacts, hello: PeerHello) {
        self.links.insert(facts.link, Link::new(facts, hello));
    }

    /// A connection has ended.
    pub(super) fn link_ended(&mut self, link: LinkId, end: LinkEnd) {
        if let Some(link) = self.links.get_mut(&link) {
            link.ended.get_or_insert(end);
        }
    }

    /// A probe was answered.
    pub(super) fn answered(
        &mut self,
        link: LinkId,
        sequence: u64,
        round_trip: Duration,
        control_silent_for: Duration,
        reading: Option<LinkReading>,
    ) {
        let Some(link) = self.links.get_mut(&link) else {
            return;
        };
        link.answer = Some(Answer {
            sequence,
            round_trip,
            control_silent_for,
        });
        if let Some(reading) = reading {
            if link.readings.len() == READINGS_MAX {
                link.readings.pop_front();
            }
            (link.readings).push_back((reading.packets_sent, reading.packets_lost));
        }
    }

    /// A connection is closed, or its end was heard. Gives whether it was there.
    pub(super) fn forget_link(&mut self, link: LinkId) -> bool {
        self.links.remove(&link).is_some()
    }

    pub(super) fn forget_dial(&mut self, dial: DialId) {
        self.dials.remove(&dial);
    }

    /// Everything is let go. Gives the dials in flight, by their names on the network, and all connections that live.
    pub(super) fn take_all(&mut self) -> (Vec<DialId>, Vec<LinkId>) {
        let Links { dials, links } = std::mem::take(self);
        let dials = dials.into_values().filter(|it| it.ended.is_none());
        let links = links.into_iter().filter(|(_, it)| it.ended.is_none());
        (
            dials.map(|it| it.on_network).collect(),
            links.map(|(link, _)| link).collect(),
        )
    }

    /// Connections that live, with whom may not be here any more.
    pub(super) fn not_admitted(&self, trust: &Trust) -> Vec<LinkId> {
        let links = self.links.iter();
        let not = links.filter(|(_, it)| !trust.admits(&it.hello, it.facts.from));
        not.map(|(link, _)| *link).collect()
    }

    pub(super) fn contains(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    pub(super) fn awaits(&self, dial: DialId) -> bool {
        self.dials.contains_key(&dial)
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    /// What is true and may not have been heard, in the order in which it came about.
    pub(super) fn what_stands(&self) -> Vec<PeerEvent> {
        let mut events = Vec::new();
        for (dial, dialled) in &self.dials {
            if let Some(result) = dialled.ended.clone() {
                let dial = *dial;
                events.push(PeerEvent::DialEnded { dial, result });
            }
        }
        for (&id, link) in &self.links {
            if link.facts.direction == Direction::Accepted {
                events.push(PeerEvent::Accepted(link.facts.clone()));
            }
            if let Some(answer) = link.answer {
                events.push(PeerEvent::Answered {
                    link: id,
                    sequence: answer.sequence,
                    round_trip: answer.round_trip,
                    control_silent_for: answer.control_silent_for,
                });
            }
            if let Some(end) = link.ended.clone() {
                events.push(PeerEvent::LinkEnded { link: id, end });
            }
        }
        events
    }
}

impl Link {
    fn new(facts: LinkFacts, hello: PeerHello) -> Link {
        Link {
            facts,
            hello,
            answer: None,
            readings: VecDeque::new(),
            ended: None,
        }
    }
}

/// The other end's address.
pub(super) fn address(link: &Link, reading: Option<&LinkReading>) -> SocketAddr {
    reading.map_or(link.facts.from, |reading| reading.address)
}
