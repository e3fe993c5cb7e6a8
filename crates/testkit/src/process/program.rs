//! The user's code of a simulated node: what it calls next, and what it does with what it gets.

use std::time::Duration;

use super::behaviour::{Afterwards, CrashPoint, Library as Uses, Lingers, Releases};
use super::library::{Library, Polled, SendStep, Sending};
use super::payload::STAMP_BYTES;
use super::simulated::{SimulatedProcess, Stage};

/// What the user's code does at the moment.
#[derive(Debug)]
enum Doing {
    /// It starts, and says hello at this moment.
    Starting { until: Duration },
    /// It waits for what the runtime hands over.
    Greeting,
    /// It prepares itself, until this moment.
    Preparing { until: Duration },
    /// It works, until this moment.
    Working { until: Duration },
    /// It receives.
    Receiving(Receiving),
    /// It sends; asleep or not.
    Sending { sending: Sending, is_asleep: bool },
    /// It should end, and goes on until this moment.
    Lingering { until: Option<Duration> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    /// It looks.
    Look,
    /// It has found nothing and has forgotten its wake-ups; it looks a last time.
    LookAgain,
    /// It sleeps.
    Asleep,
}

/// The user's code.
#[derive(Debug)]
pub(super) struct Program {
    doing: Doing,
    steps: u32,
    sent: u64,
    received: u64,
    /// Messages that it has decided to send.
    to_send: u64,
    has_called: bool,
    is_ending: bool,
}

impl Program {
    pub(super) fn new(until: Duration) -> Program {
        Program {
            doing: Doing::Starting { until },
            steps: 0,
            sent: 0,
            received: 0,
            to_send: 0,
            has_called: false,
            is_ending: false,
        }
    }

    pub(super) fn has_greeted(&self) -> bool {
        matches!(self.doing, Doing::Greeting)
    }

    pub(super) fn connected(&mut self, until: Duration) {
        self.doing = Doing::Preparing { until };
    }

    /// Whether it sleeps and waits for a message.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.doing, Doing::Receiving(Receiving::Asleep))
    }

    /// Ends as soon as it may.
    pub(super) fn relent(&mut self) {
        if let Doing::Lingering { until } = &mut self.doing {
            *until = Some(Duration::ZERO);
        }
        if let Doing::Starting { until } = &mut self.doing {
            *until = Duration::ZERO;
        }
    }

    pub(super) fn stage(&self, is_connected: bool) -> Stage {
        match self.doing {
            Doing::Starting { .. } => Stage::Started,
            _ if self.is_ending => Stage::Ending,
            _ if self.has_called => Stage::Running,
            _ if is_connected => Stage::Connected,
            _ => Stage::Greeted,
        }
    }

    /// The moment until which it waits, by time alone.
    pub(super) fn until(&self, library: Option<&Library>) -> Option<Duration> {
        match self.doing {
            Doing::Starting { until } | Doing::Preparing { until } | Doing::Working { until } => {
                Some(until)
            }
            Doing::Lingering { until } => until,
            Doing::Receiving(_) => library.and_then(Library::next_tick),
            Doing::Greeting | Doing::Sending { .. } => None,
        }
    }
}

impl SimulatedProcess {
    /// The user's thread does one thing, if it can.
    pub(super) fn user_step(&mut self, now: Duration) -> bool {
        let doing = std::mem::replace(&mut self.program.doing, Doing::Greeting);
        let (did, next) = self.go_on_with(doing, now);
        if self.ended().is_some() {
            return true;
        }
        self.program.doing = next;
        if did {
            self.program.steps += 1;
            self.crash_if_due();
        }
        did
    }

    fn go_on_with(&mut self, doing: Doing, now: Duration) -> (bool, Doing) {
        match doing {
            Doing::Starting { until }
            | Doing::Preparing { until }
            | Doing::Working { until }
            | Doing::Lingering { until: Some(until) }
                if until > now =>
            {
                (false, doing)
            }
            Doing::Starting { .. } => (true, self.start()),
            Doing::Greeting | Doing::Lingering { until: None } => (false, doing),
            Doing::Preparing { .. } => {
                if self.behaviour().crash == CrashPoint::BeforeReady {
                    let exit = self.behaviour().crash_exit;
                    self.die(exit);
                    return (true, doing);
                }
                self.program.has_called = true;
                (true, self.begin(now))
            }
            Doing::Working { .. } => (true, self.decide(now)),
            Doing::Receiving(receiving) => self.receive(receiving, now),
            Doing::Sending { sending, is_asleep } => self.send(sending, is_asleep, now),
            Doing::Lingering { .. } => self.leave(),
        }
    }

    fn start(&mut self) -> Doing {
        if self.behaviour().crash == CrashPoint::BeforeHello {
            let exit = self.behaviour().crash_exit;
            self.die(exit);
        } else if self.behaviour().library == Uses::Unused {
            if let Lingers::ForEver = self.behaviour().lingers {
                // Until a signal ends it.
                return Doing::Lingering { until: None };
            }
            let exit = self.behaviour().exit;
            self.die(exit);
        } else {
            self.greet();
        }
        Doing::Greeting
    }

    /// The first call of all.
    fn begin(&mut self, now: Duration) -> Doing {
        // Somebody has to begin in a cycle.
        if self.chance(3) {
            self.program.to_send = 1;
        }
        self.decide(now)
    }

    fn is_source(&self) -> bool {
        self.library
            .as_ref()
            .is_some_and(|library| !library.has_inputs())
    }

    fn can_send(&self) -> bool {
        self.library
            .as_ref()
            .is_some_and(|library| library.outputs() > 0)
    }

    /// What the user's code calls next.
    fn decide(&mut self, now: Duration) -> Doing {
        if self.program.to_send > 0 && self.can_send() {
            self.program.to_send -= 1;
            return self.begin_send();
        }
        if self.program.is_ending {
            return self.linger(now);
        }
        if self.is_source() {
            if self.program.sent < self.behaviour().messages && self.can_send() {
                return self.begin_send();
            }
            if self.behaviour().afterwards == Afterwards::Returns {
                return self.end(now);
            }
        } else if (self.behaviour().returns_after)
            .is_some_and(|after| self.program.received >= after)
        {
            return self.end(now);
        }
        Doing::Receiving(Receiving::Look)
    }

    fn work(&mut self, now: Duration) -> Doing {
        let until = now + self.up_to(self.behaviour().think_max);
        Doing::Working { until }
    }

    fn begin_send(&mut self) -> Doing {
        let outputs = self.library.as_ref().map_or(0, Library::outputs) as u64;
        let output = self.below(outputs) as usize;
        let length = if self.chance(self.behaviour().chunk_one_in) {
            let longest = self.behaviour().chunk_bytes_max.max(128) as u64;
            self.below(longest - 100) as usize + 100
        } else {
            STAMP_BYTES + self.below(40) as usize
        };
        self.program.sent += 1;
        Doing::Sending {
            sending: Sending::new(output, length),
            is_asleep: false,
        }
    }

    fn send(&mut self, mut sending: Sending, is_asleep: bool, now: Duration) -> (bool, Doing) {
        let Some(library) = &mut self.library else {
            return (false, Doing::Greeting);
        };
        if is_asleep {
            if !library.drain_send() {
                let is_asleep = true;
                return (false, Doing::Sending { sending, is_asleep });
            }
            library.awake();
        }
        let step = library.send_step(&mut sending, now);
        if step == SendStep::Sleeps {
            library.last_call = None;
        }
        let next = match step {
            SendStep::GoesOn | SendStep::Sleeps => Doing::Sending {
                sending,
                is_asleep: step == SendStep::Sleeps,
            },
            SendStep::Done => self.work(now),
            // Whoever receives too learns of it there as well.
            SendStep::Stopped => self.end(now),
        };
        (true, next)
    }

    fn receive(&mut self, receiving: Receiving, now: Duration) -> (bool, Doing) {
        let Some(library) = &mut self.library else {
            return (false, Doing::Greeting);
        };
        match receiving {
            Receiving::Look => library.begin_receive(now),
            Receiving::LookAgain => {}
            Receiving::Asleep => {
                let is_due = library.next_tick().is_some_and(|at| at <= now);
                if !library.drain_receive() && !is_due {
                    return (false, Doing::Receiving(receiving));
                }
                library.finish_sleep();
                library.last_call = Some(now);
                return (true, Doing::Receiving(Receiving::Look));
            }
        }
        let next = match library.look(now) {
            Polled::Nothing if receiving == Receiving::Look => {
                // Forgotten before the last look, so that a wake-up after it is not.
                library.drain_receive();
                Doing::Receiving(Receiving::LookAgain)
            }
            Polled::Nothing if library.prepare_sleep() => {
                library.last_call = None;
                Doing::Receiving(Receiving::Asleep)
            }
            Polled::Nothing | Polled::InputClosed => Doing::Receiving(Receiving::Look),
            Polled::Tick => {
                self.pass_on();
                self.work(now)
            }
            Polled::Message(held) => {
                self.program.received += 1;
                if let Some(message) = held {
                    if self.chance(self.behaviour().holds_one_in) {
                        let until = now + self.up_to(self.behaviour().hold_max);
                        self.held.push((until, message));
                    } else {
                        self.release(message);
                    }
                }
                self.pass_on();
                self.work(now)
            }
            Polled::AllInputsClosed | Polled::Stop | Polled::Ended => self.end(now),
        };
        (true, next)
    }

    /// Decides how many messages follow from one.
    fn pass_on(&mut self) {
        if self.program.sent < self.behaviour().messages && self.can_send() {
            self.program.to_send = [1, 1, 1, 0, 2][self.below(5) as usize];
        }
    }

    /// The end has been seen, or the work is done.
    fn end(&mut self, now: Duration) -> Doing {
        if !self.program.is_ending {
            self.program.is_ending = true;
            let is_now = self.library.as_ref().is_some_and(Library::is_now);
            self.program.to_send = if is_now {
                0
            } else {
                self.behaviour().last_words
            };
            if let Some(library) = &mut self.library {
                library.end_receiving();
            }
        }
        self.decide(now)
    }

    fn linger(&mut self, now: Duration) -> Doing {
        let until = match self.behaviour().lingers {
            Lingers::For(wait) => Some(now + wait),
            Lingers::ForEver => None,
        };
        Doing::Lingering { until }
    }

    /// Returns, unless it holds what it wants to let go of first.
    fn leave(&mut self) -> (bool, Doing) {
        let waits = !self.held.is_empty() && self.behaviour().releases != Releases::WithItsEnd;
        if waits {
            let until = Some(Duration::ZERO);
            return (false, Doing::Lingering { until });
        }
        let exit = self.behaviour().exit;
        self.die(exit);
        (true, Doing::Greeting)
    }

    fn crash_if_due(&mut self) {
        let half_done =
            matches!(&self.program.doing, Doing::Sending { sending, .. } if sending.is_half_done());
        let blocked = matches!(
            &self.program.doing,
            Doing::Sending { sending, is_asleep: true } if sending.is_blocked()
        );
        let is_due = match self.behaviour().crash {
            CrashPoint::Never | CrashPoint::BeforeHello | CrashPoint::BeforeReady => false,
            CrashPoint::AtStep(step) => self.program.steps >= step,
            CrashPoint::Holding => !self.held.is_empty() && self.chance(3),
            CrashPoint::Sending => half_done && self.chance(4),
            CrashPoint::Blocked => blocked && self.chance(2),
            CrashPoint::Ending => self.program.is_ending && self.chance(3),
        };
        if is_due {
            let exit = self.behaviour().crash_exit;
            self.die(exit);
        }
    }
}
