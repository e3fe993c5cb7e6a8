//! What an agent says of itself while it runs: a line for people when it is ready, JSON lines for programs, and the
//! status for its supervisor. What happens to peers is in its log, on standard error.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use dataflow_descriptor::harmless_text;
use dataflow_ids::{PeerId, PeerState};
use dataflow_runtime::agent::AgentEvent;
use serde_json::{Value, json};

use super::supervisor::Supervisor;
use crate::log::Lines;
use crate::metrics;
use crate::text::counted;

/// Hears what happens, until the agent has ended.
#[derive(Debug)]
pub(super) struct Listener {
    supervisor: Supervisor,
    file: PathBuf,
    is_json: bool,
    output: Lines,
    standing: Standing,
}

/// How the agent stands, for one line.
#[derive(Debug, Default)]
struct Standing {
    others: usize,
    /// Those that have changed once.
    states: BTreeMap<PeerId, PeerState>,
    dataflows: u64,
}

impl Listener {
    pub(super) fn new(
        supervisor: Supervisor,
        file: PathBuf,
        is_json: bool,
        output: Lines,
    ) -> Listener {
        Listener {
            supervisor,
            file,
            is_json,
            output,
            standing: Standing::default(),
        }
    }

    pub(super) fn listen(mut self, events: &Receiver<AgentEvent>) {
        for event in events {
            let changes = self.standing.take(&event);
            if changes {
                self.supervisor.status(self.standing.text());
            }
            if let AgentEvent::Ready {
                this,
                address,
                metrics,
                peers,
            } = &event
            {
                self.supervisor.ready();
                if !self.is_json {
                    self.ready(this, *address, *peers);
                    let metrics = metrics.iter().flat_map(|address| metrics::lines(*address));
                    metrics.for_each(|text| self.line(&text));
                }
            }
            if self.is_json {
                self.line(&for_programs(&event).to_string());
            }
        }
    }

    fn line(&self, text: &str) {
        self.output.say(&harmless_text(text));
    }

    fn ready(&self, this: &PeerId, address: SocketAddr, peers: usize) {
        self.line(&format!(
            "agent {this} listens on {address} (UDP), with {} in {}",
            counted(peers as u64, "other peer"),
            self.file.display()
        ));
        self.line(
            "`dataflow peers` shows them, `dataflow up` runs dataflows here, Ctrl-C stops it",
        );
    }
}

impl Standing {
    /// Gives whether it stands otherwise now.
    fn take(&mut self, event: &AgentEvent) -> bool {
        match event {
            AgentEvent::Ready { peers, .. } => self.others = *peers,
            AgentEvent::Peer { peer, to, .. } => {
                self.states.insert(peer.clone(), *to);
            }
            AgentEvent::Reloaded { added, removed, .. } => {
                self.others = (self.others + added.len()).saturating_sub(removed.len());
                for peer in removed {
                    self.states.remove(peer);
                }
            }
            AgentEvent::RunBegun { .. } => self.dataflows += 1,
            AgentEvent::RunEnded { .. } => self.dataflows = self.dataflows.saturating_sub(1),
            AgentEvent::Stranger { .. }
            | AgentEvent::ReloadRefused { .. }
            | AgentEvent::Trouble(_)
            | AgentEvent::Ended => return false,
        }
        true
    }

    /// `3 peers: 2 healthy, 1 unreachable; 1 dataflow`.
    fn text(&self) -> String {
        let of = |state| self.states.values().filter(|now| **now == state).count();
        let counts = [
            PeerState::Healthy,
            PeerState::Unreachable,
            PeerState::Rejected,
        ]
        .map(|state| (state, of(state)));
        let rest = self
            .others
            .saturating_sub(counts.iter().map(|(_, count)| count).sum());
        let mut parts: Vec<String> = counts
            .into_iter()
            .chain([(PeerState::Degraded, rest)])
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        if parts.is_empty() {
            parts.push("none".to_owned());
        }
        format!(
            "{}: {}; {}",
            counted(self.others as u64, "peer"),
            parts.join(", "),
            counted(self.dataflows, "dataflow")
        )
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn for_programs(event: &AgentEvent) -> Value {
    match event {
        AgentEvent::Ready {
            this,
            address,
            metrics,
            peers,
        } => {
            json!({"event": "ready", "this": this, "address": address, "metrics": metrics, "peers": peers,
            "pid": std::process::id()})
        }
        AgentEvent::Peer {
            peer,
            from,
            to,
            because,
            remedy,
            lasted,
            outage,
        } => json!({
            "event": "peer", "peer": peer, "from": from, "to": to, "because": because, "remedy": remedy,
            "lasted_s": seconds(*lasted), "outage_s": outage.map(seconds),
        }),
        AgentEvent::Stranger {
            from,
            peer,
            rejection,
            more,
        } => json!({
            "event": "stranger", "from": from, "peer": peer, "because": rejection.to_string(), "more": more,
        }),
        AgentEvent::Reloaded {
            added,
            removed,
            changed,
        } => json!({"event": "reloaded", "added": added, "removed": removed, "changed": changed}),
        AgentEvent::ReloadRefused { report } => {
            json!({"event": "reload-refused", "report": report})
        }
        AgentEvent::Trouble(what) => json!({"event": "trouble", "because": what}),
        AgentEvent::RunBegun { dataflow } => json!({"event": "run-begun", "dataflow": dataflow}),
        AgentEvent::RunEnded { dataflow, how } => {
            json!({"event": "run-ended", "dataflow": dataflow, "how": how})
        }
        AgentEvent::Ended => json!({"event": "ended"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, to: PeerState) -> AgentEvent {
        AgentEvent::Peer {
            peer: PeerId::new(name).unwrap(),
            from: PeerState::Degraded,
            to,
            because: "x".to_owned(),
            remedy: None,
            lasted: Duration::from_millis(1500),
            outage: None,
        }
    }

    #[test]
    fn the_status_counts_every_peer_once_and_those_that_never_changed_as_degraded() {
        let mut standing = Standing::default();
        standing.take(&AgentEvent::Ready {
            this: PeerId::new("a").unwrap(),
            address: "127.0.0.1:1".parse().unwrap(),
            metrics: None,
            peers: 3,
        });
        assert_eq!(standing.text(), "3 peers: 3 degraded; 0 dataflows");
        standing.take(&peer("b", PeerState::Healthy));
        standing.take(&peer("c", PeerState::Unreachable));
        standing.take(&peer("c", PeerState::Healthy));
        standing.take(&AgentEvent::RunBegun {
            dataflow: "flow".to_owned(),
        });
        assert_eq!(
            standing.text(),
            "3 peers: 2 healthy, 1 degraded; 1 dataflow"
        );
        standing.take(&AgentEvent::Reloaded {
            added: Vec::new(),
            removed: vec![PeerId::new("b").unwrap(), PeerId::new("d").unwrap()],
            changed: Vec::new(),
        });
        assert_eq!(standing.text(), "1 peer: 1 healthy; 1 dataflow");
    }

    #[test]
    fn programs_are_told_times_in_seconds() {
        let value = for_programs(&peer("b", PeerState::Healthy));
        assert_eq!(value["event"], "peer");
        assert_eq!(value["lasted_s"], 1.5);
        assert_eq!(value["outage_s"], Value::Null);
    }
}
