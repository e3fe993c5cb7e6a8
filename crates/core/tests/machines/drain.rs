//! An edge is drained exactly when nobody owes a token of it, whatever the network and the receivers do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::drain::{
    Afterwards, DrainCommand, DrainEvent, DrainLedger, Presence, REPEAT_AFTER_MAX,
    REPEAT_AFTER_MIN, Receiver,
};
use dataflow_ids::{EdgeId, Epoch, Sequence};
use proptest::prelude::*;

/// The truth about one message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Queued,
    Held,
    Released,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Standing {
    Alive,
    Away,
    Gone,
}

/// The truth about one edge and its receiver.
#[derive(Debug)]
struct Edge {
    tokens: Vec<Token>,
    epoch: Epoch,
    standing: Standing,
    /// Whether the receiver's library was asked and says so by itself when the last token goes.
    is_watched: bool,
    is_closed: bool,
}

impl Edge {
    fn count(&self, token: Token) -> u64 {
        self.tokens.iter().filter(|it| **it == token).count() as u64
    }

    fn is_owed(&self) -> bool {
        self.standing != Standing::Gone && self.tokens.iter().any(|it| *it != Token::Released)
    }

    fn turn(&mut self, from: Token, to: Token) -> bool {
        let found = self.tokens.iter_mut().find(|token| **token == from);
        found.map(|token| *token = to).is_some()
    }

    fn turn_all(&mut self, from: Token, to: Token) {
        while self.turn(from, to) {}
    }

    fn ack(&self, edge: EdgeId) -> DrainEvent {
        let sequences = || (1..).map(Sequence).zip(&self.tokens);
        let held = sequences().filter(|(_, token)| **token == Token::Held);
        let owed = sequences().find(|(_, token)| **token != Token::Released);
        DrainEvent::Ack {
            edge,
            epoch: self.epoch,
            released_upto: owed.map_or(Sequence(self.tokens.len() as u64), |(sequence, _)| {
                Sequence(sequence.0 - 1)
            }),
            queued: self.count(Token::Queued),
            held: held.map(|(sequence, _)| sequence).collect(),
            busy_for: Duration::ZERO,
        }
    }
}

/// A frame on its way.
#[derive(Debug, Clone)]
enum Frame {
    Request(EdgeId, Epoch),
    Ack(DrainEvent),
}

#[derive(Debug, Clone)]
enum Step {
    Close(usize),
    Take(usize),
    Release(usize),
    Die(usize),
    Restart(usize),
    EndForGood(usize),
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
    /// A rebuilt shell tells an old fact again.
    Replay(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let any = || 0..1_000_usize;
    prop_oneof![
        4 => any().prop_map(Step::Close),
        6 => any().prop_map(Step::Take),
        6 => any().prop_map(Step::Release),
        2 => any().prop_map(Step::Die),
        3 => any().prop_map(Step::Restart),
        1 => any().prop_map(Step::EndForGood),
        8 => any().prop_map(Step::Deliver),
        2 => any().prop_map(Step::Repeat),
        3 => any().prop_map(Step::Lose),
        2 => any().prop_map(Step::Replay),
        3 => (0..5_000_u64).prop_map(Step::Wait),
    ]
}

struct World {
    ledger: DrainLedger,
    now: Time,
    edges: BTreeMap<EdgeId, Edge>,
    frames: Vec<Frame>,
    told: Vec<DrainEvent>,
    drained: BTreeSet<EdgeId>,
}

impl World {
    fn new(sizes: &[usize], seed: u64) -> Self {
        let edge = |size: &usize| Edge {
            tokens: vec![Token::Queued; *size],
            epoch: Epoch(1),
            standing: Standing::Alive,
            is_watched: false,
            is_closed: false,
        };
        World {
            ledger: DrainLedger::new(seed),
            now: Time::START,
            edges: (0..).map(EdgeId).zip(sizes.iter().map(edge)).collect(),
            frames: Vec::new(),
            told: Vec::new(),
            drained: BTreeSet::new(),
        }
    }

    fn tell(&mut self, event: DrainEvent) {
        if event != DrainEvent::Tick {
            self.told.push(event.clone());
        }
        for command in self.ledger.handle(self.now, event) {
            match command {
                DrainCommand::SendRequest {
                    edge, epoch, upto, ..
                } => {
                    assert!(!self.drained.contains(&edge), "asked about a drained edge");
                    assert_eq!(upto.0, self.edges[&edge].tokens.len() as u64);
                    self.frames.push(Frame::Request(edge, epoch));
                }
                DrainCommand::WakeAt(at) => assert!(at >= self.now),
                DrainCommand::Drained { edge } => {
                    assert!(self.edges[&edge].is_closed, "drained before it closed");
                    assert!(!self.edges[&edge].is_owed(), "drained, and a token is owed");
                    assert!(self.drained.insert(edge), "drained twice");
                }
            }
        }
        // It knows who can be asked, and asks them for ever, with bounded waits.
        for waiting in self.ledger.waiting() {
            let truth = &self.edges[&waiting.edge];
            assert_eq!(waiting.epoch, truth.epoch);
            let is_alive = truth.standing == Standing::Alive;
            assert_eq!(waiting.receiver == Presence::Alive, is_alive);
        }
        let mut waiting = self.ledger.waiting();
        let asks = waiting.any(|waiting| waiting.receiver == Presence::Alive);
        assert_eq!(self.ledger.wake_at().is_some(), asks);
        if let Some(at) = self.ledger.wake_at() {
            assert!(at.since(self.now) <= REPEAT_AFTER_MAX);
        }
        for edge in &self.drained {
            assert!(self.ledger.is_drained(*edge));
        }
    }

    fn deliver(&mut self, frame: Frame) {
        match frame {
            Frame::Request(id, epoch) => {
                let edge = self.edges.get_mut(&id).expect("known");
                if edge.standing == Standing::Alive && edge.epoch == epoch {
                    edge.is_watched = true;
                    let ack = edge.ack(id);
                    self.frames.push(Frame::Ack(ack));
                }
            }
            Frame::Ack(ack) => self.tell(ack),
        }
    }

    fn pick(&self, number: usize) -> EdgeId {
        EdgeId((number % self.edges.len()) as u32)
    }

    fn change(&mut self, number: usize) -> (EdgeId, &mut Edge) {
        let id = self.pick(number);
        (id, self.edges.get_mut(&id).expect("known"))
    }

    fn close(&mut self, number: usize) {
        let (id, edge) = self.change(number);
        edge.is_closed = true;
        let event = DrainEvent::CloseEdge {
            edge: id,
            upto: Sequence(edge.tokens.len() as u64),
            receiver: match edge.standing {
                Standing::Alive => Receiver::Alive { epoch: edge.epoch },
                Standing::Away => Receiver::Restarting {
                    epoch: edge.epoch,
                    queued: edge.count(Token::Queued),
                },
                Standing::Gone => Receiver::Gone,
            },
        };
        self.tell(event);
    }

    fn release(&mut self, number: usize) {
        let (id, edge) = self.change(number);
        if edge.standing == Standing::Alive
            && edge.turn(Token::Held, Token::Released)
            && edge.is_watched
            && !edge.is_owed()
        {
            let ack = edge.ack(id);
            self.frames.push(Frame::Ack(ack));
        }
    }

    fn die(&mut self, number: usize) {
        let (id, edge) = self.change(number);
        if edge.standing == Standing::Alive {
            edge.standing = Standing::Away;
            edge.is_watched = false;
            edge.turn_all(Token::Held, Token::Released);
            let event = DrainEvent::ReceiverDied {
                edge: id,
                epoch: edge.epoch,
                afterwards: Afterwards::Restart {
                    queued: edge.count(Token::Queued),
                },
            };
            self.tell(event);
        }
    }

    fn restart(&mut self, number: usize) {
        let (id, edge) = self.change(number);
        if edge.standing == Standing::Away {
            edge.standing = Standing::Alive;
            edge.epoch = edge.epoch.next();
            let epoch = edge.epoch;
            self.tell(DrainEvent::ReceiverStarted { edge: id, epoch });
        }
    }

    fn end_for_good(&mut self, number: usize) {
        let (id, edge) = self.change(number);
        if edge.standing != Standing::Gone {
            edge.standing = Standing::Gone;
            edge.turn_all(Token::Held, Token::Released);
            edge.turn_all(Token::Queued, Token::Released);
            let event = DrainEvent::ReceiverDied {
                edge: id,
                epoch: edge.epoch,
                afterwards: Afterwards::Gone,
            };
            self.tell(event);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Close(number) => self.close(number),
            Step::Take(number) => {
                let (_, edge) = self.change(number);
                if edge.standing == Standing::Alive {
                    edge.turn(Token::Queued, Token::Held);
                }
            }
            Step::Release(number) => self.release(number),
            Step::Die(number) => self.die(number),
            Step::Restart(number) => self.restart(number),
            Step::EndForGood(number) => self.end_for_good(number),
            Step::Deliver(number) if !self.frames.is_empty() => {
                let frame = self.frames.swap_remove(number % self.frames.len());
                self.deliver(frame);
            }
            Step::Repeat(number) if !self.frames.is_empty() => {
                let frame = self.frames[number % self.frames.len()].clone();
                self.deliver(frame);
            }
            Step::Lose(number) if !self.frames.is_empty() => {
                self.frames.swap_remove(number % self.frames.len());
            }
            Step::Replay(number) if !self.told.is_empty() => {
                let fact = self.told[number % self.told.len()].clone();
                self.tell(fact);
            }
            Step::Deliver(_) | Step::Repeat(_) | Step::Lose(_) | Step::Replay(_) => {}
            Step::Wait(wait_ms) => {
                self.now = self.now.after(Duration::from_millis(wait_ms));
                self.tell(DrainEvent::Tick);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_edge_is_drained_when_its_last_token_is_released_and_never_before(
        sizes in prop::collection::vec(0..5_usize, 1..4),
        seed: u64,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new(&sizes, seed);
        for step in steps {
            world.step(step);
        }

        // From here on nothing is lost, dead receivers come back, and everybody releases.
        world.frames.clear();
        for number in 0..sizes.len() {
            world.restart(number);
            world.close(number);
            let (_, edge) = world.change(number);
            edge.turn_all(Token::Queued, Token::Held);
            edge.turn_all(Token::Held, Token::Released);
        }
        if let Some(at) = world.ledger.wake_at() {
            world.now = world.now.max(at).after(REPEAT_AFTER_MAX);
            world.tell(DrainEvent::Tick);
        }
        while let Some(frame) = world.frames.pop() {
            world.deliver(frame);
        }
        prop_assert_eq!(world.drained.len(), sizes.len());
        prop_assert_eq!(world.ledger.waiting().count(), 0);
        prop_assert_eq!(world.ledger.wake_at(), None);
        let told = world.told.clone();
        for fact in told {
            prop_assert_eq!(world.ledger.handle(world.now, fact), []);
        }
    }

    #[test]
    fn time_alone_never_drains(seed: u64, years in 1..100_u64) {
        let edge = EdgeId(0);
        let mut ledger = DrainLedger::new(seed);
        let mut now = Time::START;
        let receiver = Receiver::Alive { epoch: Epoch(1) };
        ledger.handle(now, DrainEvent::CloseEdge { edge, upto: Sequence(1), receiver });
        for attempt in 2..200 {
            let at = ledger.wake_at().expect("asks again");
            let wait = at.since(now);
            prop_assert!(wait >= REPEAT_AFTER_MIN && wait <= REPEAT_AFTER_MAX);
            now = at;
            let commands = ledger.handle(now, DrainEvent::Tick);
            prop_assert_eq!(
                &commands[0],
                &DrainCommand::SendRequest { edge, epoch: Epoch(1), upto: Sequence(1), attempt }
            );
            prop_assert_eq!(commands.len(), 2);
        }
        now = now.after(Duration::from_secs(years * 365 * 24 * 3600));
        let commands = ledger.handle(now, DrainEvent::Tick);
        let asks = matches!(commands[0], DrainCommand::SendRequest { .. });
        prop_assert!(asks);
        prop_assert!(!ledger.is_drained(edge));
    }
}

fn close(ledger: &mut DrainLedger, upto: u64, receiver: Receiver) -> Vec<DrainCommand> {
    let event = DrainEvent::CloseEdge {
        edge: EdgeId(0),
        upto: Sequence(upto),
        receiver,
    };
    ledger.handle(Time::START, event)
}

const DRAINED: DrainCommand = DrainCommand::Drained { edge: EdgeId(0) };

#[test]
fn an_edge_on_which_nothing_was_sent_is_drained_at_once() {
    let receiver = Receiver::Alive { epoch: Epoch(1) };
    assert_eq!(close(&mut DrainLedger::new(0), 0, receiver), [DRAINED]);
}

#[test]
fn an_edge_whose_receiver_is_gone_is_drained_at_once() {
    assert_eq!(
        close(&mut DrainLedger::new(0), 9, Receiver::Gone),
        [DRAINED]
    );
}

#[test]
fn a_receiver_in_backoff_is_waited_for_without_being_asked() {
    let mut ledger = DrainLedger::new(0);
    let receiver = Receiver::Restarting {
        epoch: Epoch(3),
        queued: 2,
    };
    assert_eq!(close(&mut ledger, 9, receiver), []);
    assert_eq!(ledger.wake_at(), None);
    assert_eq!(ledger.waiting().count(), 1);
    let started = DrainEvent::ReceiverStarted {
        edge: EdgeId(0),
        epoch: Epoch(4),
    };
    let commands = ledger.handle(Time::START, started);
    let asks = matches!(
        commands[0],
        DrainCommand::SendRequest {
            epoch: Epoch(4),
            ..
        }
    );
    assert!(asks, "{commands:?}");
}

#[test]
fn a_process_that_connects_late_is_asked_again_at_once() {
    let mut ledger = DrainLedger::new(0);
    close(&mut ledger, 9, Receiver::Alive { epoch: Epoch(1) });
    let started = DrainEvent::ReceiverStarted {
        edge: EdgeId(0),
        epoch: Epoch(1),
    };
    let commands = ledger.handle(Time::START, started);
    let asks = matches!(commands[0], DrainCommand::SendRequest { attempt: 2, .. });
    assert!(asks, "{commands:?}");
}

fn ack(epoch: u32, released_upto: u64, held: &[u64], busy_ms: u64) -> DrainEvent {
    DrainEvent::Ack {
        edge: EdgeId(0),
        epoch: Epoch(epoch),
        released_upto: Sequence(released_upto),
        queued: 0,
        held: held.iter().copied().map(Sequence).collect(),
        busy_for: Duration::from_millis(busy_ms),
    }
}

#[test]
fn an_answer_of_another_incarnation_settles_nothing() {
    let mut ledger = DrainLedger::new(0);
    close(&mut ledger, 9, Receiver::Alive { epoch: Epoch(2) });
    assert_eq!(ledger.handle(Time::START, ack(1, 9, &[], 0)), []);
    assert_eq!(ledger.handle(Time::START, ack(3, 9, &[], 0)), []);
    let died = DrainEvent::ReceiverDied {
        edge: EdgeId(0),
        epoch: Epoch(2),
        afterwards: Afterwards::Restart { queued: 1 },
    };
    ledger.handle(Time::START, died);
    assert_eq!(ledger.handle(Time::START, ack(2, 9, &[], 0)), []);
    assert!(!ledger.is_drained(EdgeId(0)));
}

#[test]
fn an_answer_that_contradicts_itself_settles_nothing() {
    let mut ledger = DrainLedger::new(0);
    close(&mut ledger, 9, Receiver::Alive { epoch: Epoch(1) });
    assert_eq!(ledger.handle(Time::START, ack(1, 9, &[9], 0)), []);
    assert_eq!(ledger.handle(Time::START, ack(1, 8, &[], 0)), []);
    assert_eq!(ledger.handle(Time::START, ack(1, 9, &[], 0)), [DRAINED]);
}

#[test]
fn what_a_receiver_said_last_is_there_for_the_report() {
    let mut ledger = DrainLedger::new(0);
    close(&mut ledger, 9, Receiver::Alive { epoch: Epoch(1) });
    ledger.handle(Time::START, ack(1, 7, &[8, 9], 12_300));
    // This one was overtaken.
    ledger.handle(Time::START, ack(1, 2, &[3, 8, 9], 10));
    let waiting: Vec<_> = ledger.waiting().collect();
    let answer = waiting[0].answer.as_ref().expect("answered");
    assert_eq!(answer.held, [Sequence(8), Sequence(9)]);
    assert_eq!(answer.busy_for, Duration::from_millis(12_300));
}

#[test]
fn a_tick_that_comes_early_asks_for_no_second_one() {
    let mut ledger = DrainLedger::new(1);
    let close = DrainEvent::CloseEdge {
        edge: EdgeId(0),
        upto: Sequence(1),
        receiver: Receiver::Alive { epoch: Epoch(1) },
    };
    ledger.handle(Time::START, close);
    let due = ledger.wake_at().expect("somebody is waited for");
    assert_eq!(ledger.handle(Time::START, DrainEvent::Tick), []);
    assert_eq!(ledger.wake_at(), Some(due));
    let commands = ledger.handle(due, DrainEvent::Tick);
    assert!(matches!(
        commands[..],
        [DrainCommand::SendRequest { attempt: 2, .. }, DrainCommand::WakeAt(again)] if again > due
    ));
}
