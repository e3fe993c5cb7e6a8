//! The conversation about drop tokens: who still owes which, and whom to ask again (section 6 of the design).
//!
//! An edge whose sender has ended for good is asked about until its receiver has released everything, or is
//! dead by the word of the kernel. Time decides only when to ask again, never the answer (I-6).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dataflow_ids::{EdgeId, Epoch, Sequence};

use crate::backoff;
use crate::broken::{Rule, is_broken};
use crate::random::Random;
use crate::time::Time;

/// The first wait before a request is repeated.
pub const REPEAT_AFTER_MIN: Duration = Duration::from_millis(50);
/// The longest wait before a request is repeated.
pub const REPEAT_AFTER_MAX: Duration = Duration::from_secs(2);

/// How the receiver of an edge is when the edge closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// Its process lives, or is being started.
    Alive {
        /// Its incarnation.
        epoch: Epoch,
    },
    /// It has no process, and another incarnation may follow: in backoff, parked, not started yet.
    Restarting {
        /// Its last incarnation; `Epoch::NONE` when there was none.
        epoch: Epoch,
        /// How many messages wait for the next one, after the repair.
        queued: u64,
    },
    /// No incarnation follows, and the edge has been repaired and swept.
    Gone,
}

/// What follows the death of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// Another incarnation may follow.
    Restart {
        /// How many messages wait for it, after the repair. 0 settles the edge.
        queued: u64,
    },
    /// Nothing; the edge has been repaired and swept.
    Gone,
}

/// A fact about an edge that drains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrainEvent {
    /// The sender has ended for good and `closed_at` is written.
    CloseEdge {
        /// The edge.
        edge: EdgeId,
        /// Its last sequence.
        upto: Sequence,
        /// Its receiver.
        receiver: Receiver,
    },
    /// The receiver's library answers.
    Ack {
        /// The edge.
        edge: EdgeId,
        /// The incarnation that answers.
        epoch: Epoch,
        /// Every token up to and including this one is released.
        released_upto: Sequence,
        /// Messages at or below the requested sequence that wait in the queue.
        queued: u64,
        /// Messages at or below the requested sequence that are held, in order.
        held: Vec<Sequence>,
        /// For how long the user's code has run since the last call into the library.
        busy_for: Duration,
    },
    /// A new incarnation of the receiver is there and can be asked.
    ReceiverStarted {
        /// The edge.
        edge: EdgeId,
        /// The new incarnation.
        epoch: Epoch,
    },
    /// The receiver is dead (reaped), or will not come back, and the runtime has repaired the edge.
    ReceiverDied {
        /// The edge.
        edge: EdgeId,
        /// The incarnation that died, or the last one of a receiver that will not come back.
        epoch: Epoch,
        /// What follows.
        afterwards: Afterwards,
    },
    /// Time has passed, as `WakeAt` asked for or not.
    Tick,
}

/// What the shell must do. Everything may be done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrainCommand {
    /// Send the frame `ReleaseRequest` to the receiver.
    SendRequest {
        /// The edge.
        edge: EdgeId,
        /// The receiver's incarnation.
        epoch: Epoch,
        /// The last sequence that counts.
        upto: Sequence,
        /// Counted from 1.
        attempt: u32,
    },
    /// Say `Tick` at this moment. Replaces an earlier wish.
    WakeAt(Time),
    /// Nobody owes a token of this edge any more. Said once.
    Drained {
        /// The edge.
        edge: EdgeId,
    },
}

/// What a receiver last said about an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Every token up to and including this one is released.
    pub released_upto: Sequence,
    /// How many messages wait in its queue.
    pub queued: u64,
    /// What it holds.
    pub held: Vec<Sequence>,
    /// For how long its user's code had run.
    pub busy_for: Duration,
    /// When this was heard.
    pub at: Time,
}

/// An edge that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEdge {
    /// The edge.
    pub edge: EdgeId,
    /// The last sequence that counts.
    pub upto: Sequence,
    /// Its receiver's incarnation.
    pub epoch: Epoch,
    /// Whether that incarnation lives.
    pub receiver: Presence,
    /// Since when it is waited for.
    pub since: Time,
    /// How often it was asked.
    pub attempts: u32,
    /// What it last said.
    pub answer: Option<Answer>,
}

/// Whether a receiver can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Its process lives.
    Alive,
    /// Its next incarnation is waited for.
    Away,
}

/// Who still owes tokens of edges whose senders have ended for good.
#[derive(Debug, Clone, PartialEq)]
pub struct DrainLedger {
    edges: BTreeMap<EdgeId, Entry>,
    random: Random,
    /// The moment last asked for.
    wake_at: Option<Time>,
}

#[derive(Debug, Clone, PartialEq)]
enum Entry {
    /// Shared by all copies of the ledger, until one of them changes it.
    Waiting(Arc<Asked>),
    Drained,
}

#[derive(Debug, Clone, PartialEq)]
struct Asked {
    waiting: WaitingEdge,
    /// Requests to this incarnation: the exponent of the backoff.
    step: u32,
    repeat_at: Time,
}

impl DrainLedger {
    /// A ledger in which no edge has closed yet. `seed` begins the jitter of repetitions.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        DrainLedger {
            edges: BTreeMap::new(),
            random: Random::new(seed),
            wake_at: None,
        }
    }

    /// Takes one event; gives what must be done, in order.
    pub fn handle(&mut self, now: Time, event: DrainEvent) -> Vec<DrainCommand> {
        let mut commands = Vec::new();
        match event {
            DrainEvent::CloseEdge {
                edge,
                upto,
                receiver,
            } => self.close(now, edge, upto, receiver, &mut commands),
            DrainEvent::Ack {
                edge,
                epoch,
                released_upto,
                queued,
                held,
                busy_for,
            } => {
                let answer = Answer {
                    released_upto,
                    queued,
                    held,
                    busy_for,
                    at: now,
                };
                self.acknowledged(edge, epoch, answer, &mut commands);
            }
            DrainEvent::ReceiverStarted { edge, epoch } => {
                self.started(now, edge, epoch, &mut commands);
            }
            DrainEvent::ReceiverDied {
                edge,
                epoch,
                afterwards,
            } => self.died(edge, epoch, afterwards, &mut commands),
            DrainEvent::Tick => {
                // One that comes early belongs to a wish that was replaced; the later one is still to come.
                if self.wake_at.is_some_and(|at| at <= now) {
                    self.wake_at = None;
                }
                self.repeat(now, &mut commands);
            }
        }
        self.ask_to_wake(&mut commands);
        commands
    }

    /// The edges that are waited for, in order.
    pub fn waiting(&self) -> impl Iterator<Item = &WaitingEdge> {
        self.edges.values().filter_map(|entry| match entry {
            Entry::Waiting(asked) => Some(&asked.waiting),
            Entry::Drained => None,
        })
    }

    /// Whether this edge has closed and nobody owes a token of it.
    #[must_use]
    pub fn is_drained(&self, edge: EdgeId) -> bool {
        matches!(self.edges.get(&edge), Some(Entry::Drained))
    }

    /// Whether this edge has closed.
    #[must_use]
    pub fn is_closed(&self, edge: EdgeId) -> bool {
        self.edges.contains_key(&edge)
    }

    /// The moment at which `Tick` is due, if any.
    #[must_use]
    pub fn wake_at(&self) -> Option<Time> {
        self.wake_at
    }

    fn close(
        &mut self,
        now: Time,
        edge: EdgeId,
        upto: Sequence,
        receiver: Receiver,
        commands: &mut Vec<DrainCommand>,
    ) {
        match self.edges.get_mut(&edge) {
            Some(Entry::Drained) => return,
            // A repetition, perhaps by somebody who knows more.
            Some(Entry::Waiting(asked)) => {
                let waiting = &mut Arc::make_mut(asked).waiting;
                waiting.upto = waiting.upto.max(upto);
            }
            None => {
                let epoch = match receiver {
                    Receiver::Alive { .. } | Receiver::Gone => Epoch::NONE,
                    Receiver::Restarting { epoch, .. } => epoch,
                };
                let asked = Asked {
                    waiting: WaitingEdge {
                        edge,
                        upto,
                        epoch,
                        receiver: Presence::Away,
                        since: now,
                        attempts: 0,
                        answer: None,
                    },
                    step: 0,
                    repeat_at: now,
                };
                self.edges.insert(edge, Entry::Waiting(Arc::new(asked)));
            }
        }
        if upto == Sequence::NONE {
            return self.settle(edge, commands);
        }
        match receiver {
            Receiver::Alive { epoch } => self.started(now, edge, epoch, commands),
            Receiver::Restarting { epoch, queued } => {
                self.died(edge, epoch, Afterwards::Restart { queued }, commands);
            }
            Receiver::Gone => self.settle(edge, commands),
        }
    }

    fn asked(&mut self, edge: EdgeId) -> Option<&mut Asked> {
        match self.edges.get_mut(&edge) {
            Some(Entry::Waiting(asked)) => Some(Arc::make_mut(asked)),
            Some(Entry::Drained) | None => None,
        }
    }

    fn settle(&mut self, edge: EdgeId, commands: &mut Vec<DrainCommand>) {
        if matches!(self.edges.get(&edge), Some(Entry::Waiting(_))) {
            self.edges.insert(edge, Entry::Drained);
            commands.push(DrainCommand::Drained { edge });
        }
    }

    fn acknowledged(
        &mut self,
        edge: EdgeId,
        epoch: Epoch,
        answer: Answer,
        commands: &mut Vec<DrainCommand>,
    ) {
        let Some(asked) = self.asked(edge) else {
            return;
        };
        let waiting = &mut asked.waiting;
        let is_of_another = waiting.epoch != epoch && !is_broken(Rule::AckOfAnEarlierEpoch);
        if waiting.receiver == Presence::Away || is_of_another {
            return;
        }
        // An answer that contradicts itself settles nothing; the request is repeated.
        let none_held = answer.held.is_empty() && answer.released_upto >= waiting.upto;
        if answer.queued == 0 && (none_held || is_broken(Rule::HeldMessagesAreIgnored)) {
            return self.settle(edge, commands);
        }
        // Releases never go back: an answer that says so was overtaken by a later one.
        if waiting
            .answer
            .as_ref()
            .is_none_or(|known| answer.released_upto >= known.released_upto)
        {
            waiting.answer = Some(answer);
        }
    }

    fn started(&mut self, now: Time, edge: EdgeId, epoch: Epoch, commands: &mut Vec<DrainCommand>) {
        let Some(asked) = self.asked(edge) else {
            return;
        };
        let is_new = epoch > asked.waiting.epoch;
        // The first requests to a process that has not connected yet are lost: ask again now that it has.
        let is_unheard = epoch == asked.waiting.epoch
            && asked.waiting.receiver == Presence::Alive
            && asked.waiting.answer.is_none();
        // Else it is an older incarnation, or one that has died, or a repetition.
        if !is_new && !is_unheard {
            return;
        }
        asked.waiting.epoch = epoch;
        asked.waiting.receiver = Presence::Alive;
        asked.waiting.answer = None;
        asked.step = 0;
        self.ask(now, edge, commands);
    }

    fn died(
        &mut self,
        edge: EdgeId,
        epoch: Epoch,
        afterwards: Afterwards,
        commands: &mut Vec<DrainCommand>,
    ) {
        let Some(asked) = self.asked(edge) else {
            return;
        };
        if epoch < asked.waiting.epoch {
            return;
        }
        asked.waiting.epoch = epoch;
        asked.waiting.receiver = Presence::Away;
        asked.waiting.answer = None;
        match afterwards {
            Afterwards::Restart { queued: 1.. } => {}
            Afterwards::Restart { queued: 0 } | Afterwards::Gone => self.settle(edge, commands),
        }
    }

    /// Sends the next request about an edge and plans its repetition.
    fn ask(&mut self, now: Time, edge: EdgeId, commands: &mut Vec<DrainCommand>) {
        let random = self.random.draw();
        let Some(asked) = self.asked(edge) else {
            return;
        };
        asked.waiting.attempts = asked.waiting.attempts.saturating_add(1);
        if asked.waiting.attempts > 5 && is_broken(Rule::TimeDrains) {
            return self.settle(edge, commands);
        }
        commands.push(DrainCommand::SendRequest {
            edge,
            epoch: asked.waiting.epoch,
            upto: asked.waiting.upto,
            attempt: asked.waiting.attempts,
        });
        let wait = backoff::delay(REPEAT_AFTER_MIN, REPEAT_AFTER_MAX, asked.step, random);
        asked.step = asked.step.saturating_add(1);
        asked.repeat_at = now.after(wait);
    }

    fn repeat(&mut self, now: Time, commands: &mut Vec<DrainCommand>) {
        let due: Vec<EdgeId> = self
            .alive()
            .filter(|asked| asked.repeat_at <= now)
            .map(|asked| asked.waiting.edge)
            .collect();
        for edge in due {
            self.ask(now, edge, commands);
        }
    }

    fn alive(&self) -> impl Iterator<Item = &Asked> {
        self.edges.values().filter_map(|entry| match entry {
            Entry::Waiting(asked) if asked.waiting.receiver == Presence::Alive => {
                Some(asked.as_ref())
            }
            Entry::Waiting(_) | Entry::Drained => None,
        })
    }

    fn ask_to_wake(&mut self, commands: &mut Vec<DrainCommand>) {
        let earliest = self.alive().map(|asked| asked.repeat_at).min();
        if earliest != self.wake_at {
            self.wake_at = earliest;
            if let Some(at) = earliest {
                commands.push(DrainCommand::WakeAt(at));
            }
        }
    }
}
