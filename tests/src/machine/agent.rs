//! A running agent, and what it says of the others.

use std::time::{Duration, Instant};

use dataflow_ids::PeerState;
use rustix::process::Signal;
use serde_json::Value;

use crate::command::{Finished, Running, Stream};
use crate::places::PATIENCE;

/// An agent that was ready once. It is killed when it is dropped.
#[derive(Debug)]
pub struct Agent {
    id: String,
    running: Running,
}

impl Agent {
    pub(super) fn started(id: &str, running: Running) -> Agent {
        let mut agent = Agent {
            id: id.to_owned(),
            running,
        };
        let deadline = Instant::now() + PATIENCE;
        while !agent.events().iter().any(|event| event["event"] == "ready") {
            let is_late = Instant::now() >= deadline;
            assert!(
                !is_late && !agent.running.has_ended(),
                "the agent {id} does not become ready"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        agent
    }

    /// Everything that it has said, one object a line.
    ///
    /// # Panics
    ///
    /// When something is no JSON.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.running.lines();
        let said = lines.iter().filter(|line| line.stream == Stream::Output);
        said.map(|line| {
            serde_json::from_str(&line.text)
                .unwrap_or_else(|error| panic!("{} said {:?}: {error}", self.id, line.text))
        })
        .collect()
    }

    /// The lines of its log.
    pub fn log(&self) -> Vec<String> {
        let lines = self.running.lines();
        let logged = lines
            .into_iter()
            .filter(|line| line.stream == Stream::Error);
        logged.map(|line| line.text).collect()
    }

    /// Every state that it has said `peer` came to, in order.
    pub fn states_of(&self, peer: &str) -> Vec<PeerState> {
        let events = self.events();
        let of_peer = events.iter().filter(|event| event["peer"] == peer);
        of_peer
            .filter(|event| event["event"] == "peer")
            .map(|event| {
                serde_json::from_value(event["to"].clone()).expect("it says the states by name")
            })
            .collect()
    }

    /// How it has said last that `peer` stands. Before it has said anything it does not know.
    pub fn state_of(&self, peer: &str) -> PeerState {
        let states = self.states_of(peer);
        states.last().copied().unwrap_or(PeerState::Degraded)
    }

    /// Waits until `peer` stands so, and gives how long that took.
    ///
    /// # Panics
    ///
    /// When it does not within `patience`.
    #[track_caller]
    pub fn wait_until(&self, peer: &str, state: PeerState, patience: Duration) -> Duration {
        let what = format!("{peer} is {state}");
        self.wait(&what, patience, || self.state_of(peer) == state)
    }

    /// Waits until all of these are healthy.
    ///
    /// # Panics
    ///
    /// When one is not within [`PATIENCE`].
    #[track_caller]
    pub fn wait_until_healthy(&self, peers: &[&str]) {
        for peer in peers {
            self.wait_until(peer, PeerState::Healthy, PATIENCE);
        }
    }

    /// Waits for an event, also among those that came already, and gives it.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn wait_for_event(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let found = || self.events().into_iter().find(|event| is_it(event));
        self.wait(what, PATIENCE, || found().is_some());
        found().expect("events are only added")
    }

    #[track_caller]
    fn wait(&self, what: &str, patience: Duration, is_so: impl Fn() -> bool) -> Duration {
        let started = Instant::now();
        while !is_so() {
            assert!(
                started.elapsed() < patience,
                "never: {} sees that {what}, within {patience:?}",
                self.id
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        started.elapsed()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(self) {
        self.signal(Signal::KILL);
        self.running.wait();
    }

    /// Stops it as its supervisor would, and waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not end well.
    pub fn stop(self) -> Finished {
        self.signal(Signal::TERM);
        self.running.wait().expect_code(0)
    }
}
