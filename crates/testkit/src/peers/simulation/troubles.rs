//! What goes wrong: how it begins, and how it ends.

use std::time::Duration;

use super::world::{End, World};
use crate::simulation::Draw;

/// Something that goes wrong for a while. Numbers are places of machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing comes through from the one to the other.
    CutOneWay(usize, usize),
    /// Nothing comes through between two machines.
    Cut(usize, usize),
    /// A machine is cut off from all others.
    Alone(usize),
    /// Packets take longer by this, from the one to the other.
    Slow(usize, usize, Duration),
    /// Most packets between two machines are lost.
    Storm(usize, usize),
    /// The process is stopped, as by SIGSTOP.
    Stop(usize),
    /// The control loop does not run, and the network goes on.
    StallControl(usize),
    /// The process is killed, and started anew when this is over.
    Kill(usize),
    /// The agent ends as it should, and is started anew.
    Restart(usize),
    /// The clock jumps ahead by this; nothing is over later.
    JumpClock(usize, Duration),
    /// The one's file does not list the other.
    Unlist(usize, usize),
    /// The one's file names a wrong key for the other.
    WrongKey(usize, usize),
    /// The machine gets another address; the files of the others are changed when this is over.
    Move(usize),
    /// The machine gets another key: files name both, and when this is over it is started with the new one.
    Rotate(usize),
    /// Another agent with the name and the key of the first machine runs.
    SecondAgent,
}

impl Trouble {
    pub(super) fn of(draw: &mut Draw, machines: usize, timeout_ms: u64) -> Trouble {
        let one = draw.place(machines);
        let other = (one + 1 + draw.place(machines - 1)) % machines;
        match draw.below(14) {
            0 => Trouble::CutOneWay(one, other),
            1 | 2 => Trouble::Cut(one, other),
            3 => Trouble::Alone(one),
            4 => Trouble::Slow(one, other, draw.millis(timeout_ms / 4, timeout_ms * 2)),
            5 => Trouble::Storm(one, other),
            6 => Trouble::Stop(one),
            7 => Trouble::StallControl(one),
            8 => Trouble::Kill(one),
            9 => Trouble::Restart(one),
            10 => Trouble::JumpClock(one, draw.millis(10, 100_000)),
            11 => Trouble::Unlist(one, other),
            12 => match draw.percent(50) {
                true => Trouble::WrongKey(one, other),
                false => Trouble::Rotate(one),
            },
            _ => Trouble::Move(one),
        }
    }

    /// What is counted.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Trouble::CutOneWay(..) => "troubles: cut one way",
            Trouble::Cut(..) => "troubles: cut",
            Trouble::Alone(..) => "troubles: cut off from all",
            Trouble::Slow(..) => "troubles: slow",
            Trouble::Storm(..) => "troubles: most packets lost",
            Trouble::Stop(..) => "troubles: stopped",
            Trouble::StallControl(..) => "troubles: control loop stalled",
            Trouble::Kill(..) => "troubles: killed",
            Trouble::Restart(..) => "troubles: restarted",
            Trouble::JumpClock(..) => "troubles: clock jumped",
            Trouble::Unlist(..) => "troubles: reload without a peer",
            Trouble::WrongKey(..) => "troubles: reload with a wrong key",
            Trouble::Move(..) => "troubles: moved",
            Trouble::Rotate(..) => "troubles: key rotated",
            Trouble::SecondAgent => "troubles: second agent with one id",
        }
    }
}

impl World {
    /// Begins, or ends, the trouble of that number.
    pub(super) fn trouble(&mut self, number: usize, is_over: bool) {
        let trouble = self.plan.troubles[number].2.clone();
        let now = self.now;
        self.notes.trace(now, || {
            let verb = if is_over { "ends" } else { "begins" };
            format!("--- {trouble:?} {verb}")
        });
        if !is_over {
            self.notes.count(trouble.name());
        }
        match trouble {
            Trouble::CutOneWay(from, to) => self.cut(from, to, is_over),
            Trouble::Cut(one, other) => {
                self.cut(one, other, is_over);
                self.cut(other, one, is_over);
            }
            Trouble::Alone(one) => {
                for other in (0..self.hosts.len()).filter(|other| *other != one) {
                    self.cut(one, other, is_over);
                    self.cut(other, one, is_over);
                }
            }
            Trouble::Slow(from, to, by) => {
                let slowed_by = &mut self.paths[from][to].slowed_by;
                match slowed_by.iter().position(|it| *it == by) {
                    Some(place) if is_over => drop(slowed_by.remove(place)),
                    _ => slowed_by.push(by),
                }
            }
            Trouble::Storm(one, other) => {
                for (from, to) in [(one, other), (other, one)] {
                    count(&mut self.paths[from][to].storms, is_over);
                }
            }
            Trouble::Stop(one) => {
                count(&mut self.hosts[one].stops, is_over);
                if is_over {
                    self.resume(one);
                }
            }
            Trouble::StallControl(one) => {
                count(&mut self.hosts[one].control_stalls, is_over);
                if is_over {
                    self.run_control(one);
                }
            }
            Trouble::Kill(one) => self.down(one, End::Killed, is_over),
            Trouble::Restart(one) => self.down(one, End::AsItShould, is_over),
            Trouble::JumpClock(one, by) => {
                if !is_over {
                    self.hosts[one].clock_ahead += by;
                    self.looks.touch(now, one);
                    self.look_at_clock(one);
                }
            }
            Trouble::Unlist(one, other) => {
                count(&mut self.hosts[one].views[other].unlisted, is_over);
                self.reload(one);
            }
            Trouble::WrongKey(one, other) => {
                count(&mut self.hosts[one].views[other].wrong_key, is_over);
                self.reload(one);
            }
            Trouble::Move(one) => self.move_machine(one, is_over),
            Trouble::Rotate(one) => self.rotate(one, is_over),
            Trouble::SecondAgent => {
                let second = self.hosts.len() - 1;
                match is_over {
                    true => self.kill(second, End::Killed),
                    false => self.start(second),
                }
                (0..self.plan.machines).for_each(|one| self.looks.touch(now, one));
            }
        }
        self.look_around();
    }

    fn cut(&mut self, from: usize, to: usize, is_over: bool) {
        count(&mut self.paths[from][to].cuts, is_over);
    }

    /// The agent is not there for a while. Others may also have taken it away.
    fn down(&mut self, one: usize, end: End, is_over: bool) {
        count(&mut self.hosts[one].downs, is_over);
        match self.hosts[one].downs {
            0 if is_over => self.start(one),
            _ => self.kill(one, end),
        }
    }

    fn move_machine(&mut self, one: usize, is_over: bool) {
        if is_over {
            let moves = self.hosts[one].moves;
            for other in 0..self.plan.machines {
                let seen = &mut self.hosts[other].views[one].moves;
                *seen = moves.max(*seen);
                self.reload(other);
            }
            return;
        }
        self.hosts[one].moves += 1;
        self.looks.touch(self.now, one);
    }

    fn rotate(&mut self, one: usize, is_over: bool) {
        if !is_over {
            for other in 0..self.plan.machines {
                self.hosts[other].views[one].has_next_key = true;
                self.reload(other);
            }
            return;
        }
        // A second rotation at the same time has done this already.
        if self.hosts[one].keys_before == 0 {
            self.hosts[one].keys_before = 1;
            if self.hosts[one].downs == 0 {
                self.kill(one, End::AsItShould);
                self.start(one);
                self.looks.touch(self.now, one);
            }
        }
    }
}

/// One more, or one less, that has an effect.
fn count(effects: &mut u32, is_over: bool) {
    *effects = match is_over {
        true => effects.saturating_sub(1),
        false => *effects + 1,
    };
}
