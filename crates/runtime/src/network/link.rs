//! A connection whose hellos have passed: probes go out, and those of the peer are answered here, whatever the control
//! loop does meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::peers::{CloseCode, LinkEnd};
use dataflow_wire::peer::{Frame, Goodbye};
use quinn::{Connection, ConnectionError};
use tokio::time::Instant;

use super::rate::Rate;
use super::seam::NetworkEvent;
use super::shared::{Registered, Shared};
use super::talk::{Ear, Mouth, TalkError, goodbye};

/// Probes whose answers are waited for. An answer to an older one says nothing any more.
const UNANSWERED_MAX: usize = 64;

/// A probe that has no answer yet.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    number: u64,
    sequence: u64,
    sent: Instant,
}

/// Serves a connection until it ends.
pub(super) async fn serve(
    shared: Arc<Shared>,
    mut registered: Registered,
    connection: Connection,
    mut mouth: Mouth,
    mut ear: Ear,
) {
    let limits = &shared.settings.limits;
    let mut conversation = Conversation {
        shared: &shared,
        next_number: 0,
        next_answer: 0,
        unanswered: VecDeque::new(),
        asked: Rate::new(limits.probes_at_once, limits.probe_every),
    };
    let ended = loop {
        // Biased, so that answers are read before more is asked; nobody starves, since each branch takes one thing,
        // and our own probes are few.
        let step = tokio::select! {
            biased;
            heard = ear.hear() => match heard {
                Ok(frame) => conversation.hear(frame, &registered, &mut mouth).await,
                Err(error) => Err(error),
            },
            Some(sequence) = registered.probes.recv() => conversation.probe(sequence, &mut mouth).await,
        };
        if let Err(error) = step {
            break error;
        }
    };
    registered.end = match ended {
        TalkError::Ended(error) => end_of(&error),
        TalkError::Garbage(what) => {
            goodbye(&connection, Goodbye::Garbage);
            LinkEnd::Other(format!("it sent what no agent sends: {what}"))
        }
    };
}

struct Conversation<'a> {
    shared: &'a Shared,
    next_number: u64,
    /// Every answer up to this one has come, or will not come any more.
    next_answer: u64,
    unanswered: VecDeque<Unanswered>,
    asked: Rate,
}

impl Conversation<'_> {
    async fn probe(&mut self, sequence: u64, mouth: &mut Mouth) -> Result<(), TalkError> {
        let number = self.next_number;
        self.next_number += 1;
        if self.unanswered.len() == UNANSWERED_MAX {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(Unanswered {
            number,
            sequence,
            sent: Instant::now(),
        });
        mouth.say(&Frame::Probe { number }).await
    }

    async fn hear(
        &mut self,
        frame: Frame,
        registered: &Registered,
        mouth: &mut Mouth,
    ) -> Result<(), TalkError> {
        match frame {
            Frame::Probe { number } => {
                if !self.asked.allows(Instant::now()) {
                    return Err(TalkError::Garbage("it probes without a pause".to_owned()));
                }
                let silent = self.shared.control_silent_for();
                let control_silent_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
                let answer = Frame::Answer {
                    number,
                    control_silent_ms,
                };
                mouth.say(&answer).await
            }
            Frame::Answer {
                number,
                control_silent_ms,
            } => {
                let Some(probe) = self.answered(number)? else {
                    return Ok(());
                };
                self.shared.tell(NetworkEvent::Answered {
                    link: registered.link,
                    sequence: probe.sequence,
                    round_trip: probe.sent.elapsed(),
                    control_silent_for: Duration::from_millis(control_silent_ms),
                });
                Ok(())
            }
            Frame::Hello(_) => Err(TalkError::Garbage("it says hello once more".to_owned())),
        }
    }

    /// The probe that has its answer now; `None` when it is no longer waited for.
    fn answered(&mut self, number: u64) -> Result<Option<Unanswered>, TalkError> {
        if !(self.next_answer..self.next_number).contains(&number) {
            return Err(TalkError::Garbage(
                "it answers what nobody asked".to_owned(),
            ));
        }
        self.next_answer = number + 1;
        // Answers come in order, so those before it will not come any more.
        while let Some(probe) = self.unanswered.front().copied() {
            if probe.number > number {
                break;
            }
            self.unanswered.pop_front();
            if probe.number == number {
                return Ok(Some(probe));
            }
        }
        Ok(None)
    }
}

/// How a connection has ended.
pub(super) fn end_of(error: &ConnectionError) -> LinkEnd {
    match error {
        ConnectionError::TimedOut => LinkEnd::Idle,
        ConnectionError::Reset => LinkEnd::Reset,
        ConnectionError::ApplicationClosed(close) => {
            match Goodbye::from_code(close.error_code.into_inner()) {
                Some(goodbye) => LinkEnd::ByPeer(close_code(goodbye)),
                None => LinkEnd::Other("it closed the connection".to_owned()),
            }
        }
        // The reason in it is the other side's text.
        ConnectionError::ConnectionClosed(close) => {
            LinkEnd::Other(format!("it ended the connection: {:?}", close.error_code))
        }
        other => LinkEnd::Other(other.to_string()),
    }
}

fn close_code(goodbye: Goodbye) -> CloseCode {
    match goodbye {
        Goodbye::Superseded => CloseCode::Superseded,
        Goodbye::Ending => CloseCode::Ending,
        Goodbye::Reconfigured => CloseCode::Reconfigured,
        Goodbye::DuplicateId => CloseCode::DuplicateId,
        Goodbye::Garbage => CloseCode::Garbage,
        Goodbye::Unanswered => CloseCode::Unanswered,
    }
}

/// What the other side is told with this code.
pub(super) fn goodbye_of(code: CloseCode) -> Goodbye {
    match code {
        CloseCode::Superseded => Goodbye::Superseded,
        CloseCode::Ending => Goodbye::Ending,
        CloseCode::Reconfigured => Goodbye::Reconfigured,
        CloseCode::DuplicateId => Goodbye::DuplicateId,
        CloseCode::Garbage => Goodbye::Garbage,
        CloseCode::Unanswered => Goodbye::Unanswered,
    }
}
