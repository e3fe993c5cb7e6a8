//! The simulated process as a whole: its socket, its two threads, the signals that reach it, and its death.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Duration;

use dataflow_core::lifecycle::Exit;
use dataflow_core::random::Random;
use dataflow_ids::{Epoch, Sequence};
use dataflow_wire::node::{ToNode, ToRuntime};

use super::behaviour::{AtTerminate, Behaviour, Library as Uses, Releases};
use super::library::{Frame, Handshake, HeldMessage, Library};
use super::observation::Observation;
use super::program::Program;

/// The number of SIGKILL, and of SIGTERM.
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// The longest that a late acknowledgement is under way.
const LATE_MAX: Duration = Duration::from_secs(3);

/// How far a process is, for who wants to do something to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has not said hello.
    Started,
    /// It has said hello.
    Greeted,
    /// It has everything, and has not called yet.
    Connected,
    /// It has called.
    Running,
    /// It has seen the stop, or the end of its inputs.
    Ending,
}

/// A process of a simulated node.
#[derive(Debug)]
pub struct SimulatedProcess {
    pid: u32,
    random: Random,
    behaviour: Behaviour,
    inbox: VecDeque<Frame<ToNode>>,
    outbox: VecDeque<Frame<ToRuntime>>,
    /// Acknowledgements that arrive late.
    late: Vec<(Duration, ToRuntime)>,
    handshake: Option<Handshake>,
    pub(super) library: Option<Library>,
    pub(super) program: Program,
    /// What it holds, and until when.
    pub(super) held: Vec<(Duration, HeldMessage)>,
    observed: Vec<Observation>,
    stalled_until: Option<Duration>,
    is_terminated: bool,
    is_hung_up: bool,
    ended: Option<Exit>,
}

impl SimulatedProcess {
    /// A process that has just been started. `run` tells several runs apart; `pid` is what it calls itself.
    pub fn new(run: u32, pid: u32, behaviour: Behaviour, seed: u64, now: Duration) -> Self {
        SimulatedProcess {
            pid,
            random: Random::new(seed),
            program: Program::new(now + behaviour.connects_after),
            behaviour,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            late: Vec::new(),
            handshake: Some(Handshake::new(run)),
            library: None,
            held: Vec::new(),
            observed: Vec::new(),
            stalled_until: None,
            is_terminated: false,
            is_hung_up: false,
            ended: None,
        }
    }

    /// What it does of its own accord.
    pub fn behaviour(&self) -> &Behaviour {
        &self.behaviour
    }

    /// How it ended, once it has.
    pub fn ended(&self) -> Option<Exit> {
        self.ended
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        self.program.stage(self.library.is_some())
    }

    /// Whether its code sleeps and waits for a message.
    pub fn is_idle(&self) -> bool {
        self.program.is_idle()
    }

    /// How many frames it has not read.
    pub fn unread(&self) -> usize {
        self.inbox.len()
    }

    /// How many messages it holds.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether it stands still, and until when.
    pub fn stalled_until(&self) -> Option<Duration> {
        self.stalled_until
    }

    /// The runtime has written a frame to its socket.
    pub fn hear(&mut self, frame: ToNode, descriptors: Vec<OwnedFd>) {
        if self.ended.is_none() {
            self.inbox.push_back((frame, descriptors));
        }
    }

    /// The next frame that it has written to its socket. What it wrote before its death is still there.
    pub fn say(&mut self) -> Option<(ToRuntime, Vec<OwnedFd>)> {
        self.outbox.pop_front()
    }

    /// What happened to messages since the last call, in order.
    pub fn take_observed(&mut self) -> Vec<Observation> {
        std::mem::take(&mut self.observed)
    }

    /// The runtime has closed its side of the socket: a node's library ends its process then.
    pub fn hang_up(&mut self) {
        self.is_hung_up = true;
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.die(Exit::Signal(SIGKILL));
    }

    /// SIGTERM. A process that stands still learns of it when it goes on.
    pub fn terminate(&mut self) {
        self.is_terminated = true;
    }

    /// SIGSTOP, until a moment or until [`SimulatedProcess::go_on`].
    pub fn stand_still(&mut self, until: Duration) {
        if self.ended.is_none() {
            self.stalled_until = Some(until);
        }
    }

    /// SIGCONT.
    pub fn go_on(&mut self) {
        self.stalled_until = None;
    }

    /// From now on it lets go of what it holds, and ends when it is asked to.
    pub fn relent(&mut self) {
        self.behaviour.releases = Releases::InTime;
        self.behaviour.lingers = super::Lingers::For(Duration::ZERO);
        self.program.relent();
    }

    /// Ends it as the kernel does: nothing is released, what it said before stays said.
    pub fn die(&mut self, exit: Exit) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(exit);
        self.gather();
        self.inbox.clear();
        self.late.clear();
        self.stalled_until = None;
        let mut lost = |edge, sequence, is_seen| {
            self.observed.push(Observation::Lost {
                edge,
                sequence,
                is_seen,
            });
        };
        for (_, held) in self.held.drain(..) {
            lost(held.edge, held.sequence, true);
            held.abandon();
        }
        self.handshake = None;
        if let Some(library) = self.library.take() {
            for (edge, sequence) in library.abandon() {
                lost(edge, sequence, false);
            }
        }
    }

    /// Whether everything that it holds still says what it said when it came (I-1).
    ///
    /// # Errors
    ///
    /// Which message does not, in one line.
    pub fn check_held(&self) -> Result<(), String> {
        for (_, held) in &self.held {
            held.is_whole()
                .map_err(|why| format!("held message {} of {}: {why}", held.sequence, held.edge))?;
        }
        Ok(())
    }

    /// The next moment at which it could do something that it cannot do now.
    pub fn next_at(&self, now: Duration) -> Option<Duration> {
        if self.ended.is_some() {
            return None;
        }
        if let Some(until) = self.stalled_until {
            return Some(until);
        }
        let program = self.program.until(self.library.as_ref());
        let held = (self.behaviour.releases == Releases::InTime)
            .then(|| self.held.iter().map(|(until, _)| *until).min())
            .flatten();
        let late = self.late.iter().map(|(at, _)| *at).min();
        [program, held, late]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    /// Does one thing, if there is one that it can do; says whether it did.
    pub fn step(&mut self, now: Duration) -> bool {
        if self.ended.is_some() {
            return false;
        }
        if let Some(until) = self.stalled_until {
            if until > now {
                return false;
            }
            self.stalled_until = None;
        }
        if self.is_hung_up && self.behaviour.library == Uses::Used {
            self.die(Exit::Signal(SIGKILL));
            return true;
        }
        if std::mem::take(&mut self.is_terminated) {
            match self.behaviour.at_terminate {
                AtTerminate::Dies => self.die(Exit::Signal(SIGTERM)),
                AtTerminate::Returns(code) => self.die(Exit::Code(code)),
                AtTerminate::Ignores => {}
            }
            return true;
        }
        if let Some(library) = &mut self.library {
            library.last_step = now;
        }
        // Its two threads, and what happens by time: whichever comes first.
        let first = self.random.draw() % 3;
        let did = (0..3).any(|place| match (first + place) % 3 {
            0 => self.control_step(now),
            1 => self.user_step(now),
            _ => self.time_step(now),
        });
        self.gather();
        let one_in = self.behaviour.stalls_one_in;
        if did && one_in > 0 && self.chance(one_in) && self.ended.is_none() {
            let until = now + self.up_to(self.behaviour.stall_max);
            self.stalled_until = Some(until);
        }
        did
    }

    /// The thread that answers the runtime.
    fn control_step(&mut self, now: Duration) -> bool {
        if let Some(library) = &mut self.library {
            if let Some(frame) = self.inbox.pop_front() {
                library.hear(frame, now);
                return true;
            }
            if library.drain_control() {
                library.look_around(now);
                return true;
            }
            return false;
        }
        let Some(handshake) = self
            .handshake
            .as_mut()
            .filter(|_| self.program.has_greeted())
        else {
            return false;
        };
        let Some(frame) = self.inbox.pop_front() else {
            return false;
        };
        match handshake.take(frame) {
            Ok(None) => {}
            Ok(Some(library)) => {
                self.handshake = None;
                self.library = Some(library);
                let wait = self.behaviour.ready_after;
                self.program.connected(now + wait);
            }
            Err(what) => self.observed.push(Observation::Wrong { what }),
        }
        true
    }

    /// What happens by time: a message that was held long enough goes, a late frame arrives.
    fn time_step(&mut self, now: Duration) -> bool {
        if let Some(place) = self.late.iter().position(|(at, _)| *at <= now) {
            let (_, frame) = self.late.swap_remove(place);
            self.outbox.push_back((frame, Vec::new()));
            return true;
        }
        if self.behaviour.releases != Releases::InTime {
            return false;
        }
        let Some(place) = self.held.iter().position(|(until, _)| *until <= now) else {
            return false;
        };
        let (_, message) = self.held.swap_remove(place);
        self.release(message);
        true
    }

    pub(super) fn release(&mut self, message: HeldMessage) {
        let (edge, sequence) = (message.edge, message.sequence);
        if let Err(why) = message.is_whole() {
            let what = format!("message {sequence} of {edge} at its release: {why}");
            self.observed.push(Observation::Wrong { what });
        }
        drop(message);
        // What the library has seen came before.
        if let Some(library) = &mut self.library {
            self.observed.extend(library.take_observed());
        }
        self.observed.push(Observation::Released { edge, sequence });
    }

    /// Says hello.
    pub(super) fn greet(&mut self) {
        let hello = Handshake::hello(self.pid);
        self.outbox.push_back((hello, Vec::new()));
    }

    /// Brings what the library has said on its way.
    fn gather(&mut self) {
        let Some(mut library) = self.library.take() else {
            return;
        };
        self.observed.extend(library.take_observed());
        let said: Vec<_> = library.take_said().collect();
        let (epoch, now) = (library.welcome.epoch, library.last_step);
        self.library = Some(library);
        for (frame, descriptors) in said {
            if matches!(frame, ToRuntime::ReleaseAck { .. }) {
                self.acknowledge(frame, epoch, now);
            } else {
                self.outbox.push_back((frame, descriptors));
            }
        }
    }

    /// An acknowledgement goes its way, which may be a bad one.
    fn acknowledge(&mut self, frame: ToRuntime, epoch: Epoch, now: Duration) {
        let faults = self.behaviour.acknowledgements;
        let mut hits = |one_in: u64| one_in > 0 && self.random.draw().is_multiple_of(one_in);
        let (lost, repeated, late, stale) = (
            hits(faults.lost),
            hits(faults.repeated),
            hits(faults.late),
            hits(faults.stale),
        );
        if stale
            && epoch > Epoch(1)
            && let ToRuntime::ReleaseAck {
                edge,
                released_upto,
                queued,
                ..
            } = frame
            // Not the answer to how busy it is, which names no edge.
            && (released_upto, queued) != (Sequence::NONE, 0)
        {
            let of_the_dead = ToRuntime::ReleaseAck {
                edge,
                epoch: Epoch(epoch.0 - 1),
                released_upto: Sequence(u64::MAX),
                queued: 0,
                held: Vec::new(),
                busy_for: Duration::ZERO,
            };
            self.outbox.push_back((of_the_dead, Vec::new()));
        }
        if lost {
            return;
        }
        if repeated {
            let at = now + self.up_to(LATE_MAX);
            self.late.push((at, frame.clone()));
        }
        if late {
            let at = now + self.up_to(LATE_MAX);
            self.late.push((at, frame));
        } else {
            self.outbox.push_back((frame, Vec::new()));
        }
    }

    pub(super) fn chance(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random.draw().is_multiple_of(one_in)
    }

    pub(super) fn below(&mut self, count: u64) -> u64 {
        self.random.draw() % count.max(1)
    }

    /// A time up to `longest`, in whole milliseconds.
    pub(super) fn up_to(&mut self, longest: Duration) -> Duration {
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.below(longest_ms + 1))
    }
}
