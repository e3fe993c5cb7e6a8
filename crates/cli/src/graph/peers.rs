//! The machines: as the agent of this one sees them, or as a file says that they are.

use std::fmt::Write;

use dataflow_descriptor::{Peers, harmless_text};
use dataflow_ids::{PeerState, span};
use dataflow_wire::peers::{Offer, PeersStatus};
use serde_json::json;

use crate::arguments::GraphFormat;
use crate::json::plain;
use crate::peers::offer;
use crate::text::counted;

/// What is drawn.
#[derive(Debug)]
pub(super) struct Machines {
    /// The cluster, and where this is known from.
    title: String,
    cluster: String,
    /// The machine of the agent whose view this is. `None`: nobody watches.
    this: Option<Machine>,
    others: Vec<Machine>,
}

#[derive(Debug)]
struct Machine {
    id: String,
    address: String,
    offer: Offer,
    /// How it stands, seen from this machine.
    seen: Option<Seen>,
}

impl Machine {
    /// What it has, as people read it.
    fn has(&self) -> String {
        harmless_text(&offer::text(&self.offer))
    }
}

#[derive(Debug)]
struct Seen {
    state: PeerState,
    /// `healthy, 310.0 µs` or `unreachable (3 m 12 s: connection refused)`.
    text: String,
}

impl Machines {
    /// As the agent sees them.
    pub(super) fn live(status: &PeersStatus) -> Machines {
        let others = status.peers.iter().map(|peer| Machine {
            id: peer.peer.to_string(),
            address: peer.address.to_string(),
            offer: peer.found.as_ref().unwrap_or(&peer.declared).clone(),
            seen: Some(Seen {
                state: peer.state,
                text: match (peer.state, peer.round_trip) {
                    (PeerState::Healthy, Some(time)) => {
                        format!("{}, {}", peer.state, span::fine(time))
                    }
                    (PeerState::Healthy, None) => peer.state.to_string(),
                    _ => format!(
                        "{} ({}: {})",
                        peer.state,
                        span::plain(peer.state_for),
                        harmless_text(&peer.because)
                    ),
                },
            }),
        });
        let count = counted(status.peers.len() as u64 + 1, "machine");
        Machines {
            title: format!(
                "cluster {}: {count}, seen from {}",
                status.cluster, status.this
            ),
            cluster: status.cluster.to_string(),
            this: Some(Machine {
                id: status.this.to_string(),
                address: status.address.to_string(),
                offer: status.found.clone(),
                seen: None,
            }),
            others: others.collect(),
        }
    }

    /// As the file says that they are.
    pub(super) fn of_file(peers: &Peers) -> Machines {
        let others = peers.peers.iter().map(|peer| {
            let has = &peer.capabilities;
            let declared = Offer {
                memory_bytes: has.memory_bytes,
                cpus: has.cpus,
                gpu: has.gpu,
                labels: has.labels.clone(),
            };
            Machine {
                id: peer.id.to_string(),
                address: peer.address.to_string(),
                offer: declared,
                seen: None,
            }
        });
        let count = counted(peers.peers.len() as u64, "machine");
        Machines {
            title: format!(
                "cluster {}: {count} of {}, watched by nobody here",
                peers.cluster,
                peers.file.display()
            ),
            cluster: peers.cluster.to_string(),
            this: None,
            others: others.collect(),
        }
    }

    /// Draws it. `json` draws what the agent says, when there is one.
    pub(super) fn draw(&self, format: GraphFormat, status: Option<&PeersStatus>) -> String {
        match (format, status) {
            (GraphFormat::Ascii, _) => self.ascii(),
            (GraphFormat::Mermaid, _) => self.mermaid(),
            (GraphFormat::Dot, _) => self.dot(),
            (GraphFormat::Json, Some(status)) => format!("{:#}\n", plain(status)),
            (GraphFormat::Json, None) => format!("{:#}\n", self.json()),
        }
    }

    /// Only ASCII, so that it can be read everywhere and pasted anywhere.
    fn ascii(&self) -> String {
        let mut lines = vec![self.title.clone(), String::new()];
        if let Some(this) = &self.this {
            let bar = format!("+{}+", "-".repeat(this.id.len() + 2));
            lines.push(bar.clone());
            lines.push(format!("| {} |  {}, {}", this.id, this.address, this.has()));
            lines.push(bar);
        }
        let width = |of: fn(&Machine) -> usize| self.others.iter().map(of).max().unwrap_or(0);
        let (ids, addresses) = (width(|it| it.id.len()), width(|it| it.address.len()));
        for machine in &self.others {
            let arrow = match machine.seen.as_ref().map(|seen| seen.state) {
                None => "    ",
                Some(PeerState::Healthy) => "  |---> ",
                Some(PeerState::Degraded) => "  |-~-> ",
                Some(PeerState::Unreachable) => "  |- x  ",
                Some(PeerState::Rejected) => "  |- #  ",
            };
            let seen = machine.seen.as_ref().map_or("", |seen| &seen.text);
            let line = format!(
                "{arrow}{:ids$}  {:addresses$}  {}  {seen}",
                machine.id,
                machine.address,
                machine.has()
            );
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n") + "\n"
    }

    fn mermaid(&self) -> String {
        let mut text = "graph LR\n".to_owned();
        for (number, machine) in self.all().enumerate() {
            let label = quoted_html(&format!(
                "{}\n{}\n{}",
                machine.id,
                machine.address,
                machine.has()
            ));
            // Writing to a text cannot fail.
            let _ = writeln!(text, "    m{number}[\"{label}\"]");
        }
        let watched = self
            .all()
            .enumerate()
            .filter_map(|(number, machine)| machine.seen.as_ref().map(|seen| (number, seen)));
        for (number, seen) in watched {
            let label = quoted_html(&seen.text);
            let line = match seen.state {
                PeerState::Healthy => "---",
                _ => "-.-",
            };
            let _ = writeln!(text, "    m0 {line}|\"{label}\"| m{number}");
        }
        text
    }

    fn dot(&self) -> String {
        let mut text = format!("graph {} {{\n", quoted(&self.cluster));
        let _ = writeln!(text, "    layout=neato; overlap=false; splines=true;");
        let _ = writeln!(
            text,
            "    node [shape=box, style=rounded, fontname=\"sans-serif\"];"
        );
        let _ = writeln!(text, "    edge [fontname=\"sans-serif\", fontsize=10];");
        for machine in self.all() {
            let label = quoted(&format!(
                "{}\n{}\n{}",
                machine.id,
                machine.address,
                machine.has()
            ));
            let _ = writeln!(text, "    {} [label={label}];", quoted(&machine.id));
        }
        if let Some(this) = &self.this {
            for (machine, seen) in
                (self.others.iter()).filter_map(|it| Some((it, it.seen.as_ref()?)))
            {
                let style = match seen.state {
                    PeerState::Healthy => "",
                    PeerState::Degraded => ", style=dashed",
                    PeerState::Unreachable => ", style=dotted, color=gray",
                    PeerState::Rejected => ", style=dotted, color=red",
                };
                let _ = writeln!(
                    text,
                    "    {} -- {} [label={}{style}];",
                    quoted(&this.id),
                    quoted(&machine.id),
                    quoted(&seen.text)
                );
            }
        }
        text.push_str("}\n");
        text
    }

    fn json(&self) -> serde_json::Value {
        let machines = self.others.iter().map(|machine| {
            json!({"id": machine.id, "address": machine.address, "declared": machine.offer})
        });
        json!({"cluster": self.cluster, "this": null, "peers": machines.collect::<Vec<_>>()})
    }

    fn all(&self) -> impl Iterator<Item = &Machine> {
        self.this.iter().chain(&self.others)
    }
}

/// A text in quotes, for Graphviz.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// A text inside of quotes, for Mermaid, which has entities and no escapes.
fn quoted_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\n', "<br>")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_descriptor::check_peers_text;
    use dataflow_ids::{BootId, ClusterName, Fingerprint, PeerId};
    use dataflow_wire::peers::PeerStatus;

    use super::*;

    fn status() -> PeersStatus {
        let peer = |name: &str, state, because: &str| PeerStatus {
            peer: PeerId::new(name).unwrap(),
            address: "10.0.0.2:50051".parse().unwrap(),
            fingerprints: Vec::new(),
            state,
            state_for: Duration::from_secs(192),
            because: because.to_owned(),
            remedy: None,
            transitions: 1,
            round_trip: (state == PeerState::Healthy).then(|| Duration::from_micros(310)),
            loss_ppm: None,
            connected: None,
            declared: Offer {
                gpu: Some(true),
                ..Offer::default()
            },
            found: None,
            version: None,
            boot: None,
        };
        PeersStatus {
            this: PeerId::new("gpu-a").unwrap(),
            address: "10.0.0.1:50051".parse().unwrap(),
            fingerprint: Fingerprint([0; 32]),
            boot: BootId(1),
            version: "0.1.0".to_owned(),
            up_for: Duration::ZERO,
            cluster: ClusterName::new("lab").unwrap(),
            found: Offer::default(),
            declared: Offer::default(),
            file: "/peers.yaml".into(),
            file_problem: None,
            warnings: Vec::new(),
            peers: vec![
                peer("node1", PeerState::Healthy, "answers"),
                peer("n2", PeerState::Unreachable, "connection \"refused\""),
            ],
        }
    }

    #[test]
    fn the_agents_view_is_a_star_with_the_state_on_every_line() {
        let status = status();
        let machines = Machines::live(&status);
        let draw = |format| machines.draw(format, Some(&status));
        assert_eq!(
            draw(GraphFormat::Ascii),
            "\
cluster lab: 3 machines, seen from gpu-a

+-------+
| gpu-a |  10.0.0.1:50051, -
+-------+
  |---> node1  10.0.0.2:50051  gpu  healthy, 310.0 µs
  |- x  n2     10.0.0.2:50051  gpu  unreachable (3 m 12 s: connection \"refused\")
"
        );
        assert_eq!(
            draw(GraphFormat::Mermaid),
            "\
graph LR
    m0[\"gpu-a<br>10.0.0.1:50051<br>-\"]
    m1[\"node1<br>10.0.0.2:50051<br>gpu\"]
    m2[\"n2<br>10.0.0.2:50051<br>gpu\"]
    m0 ---|\"healthy, 310.0 µs\"| m1
    m0 -.-|\"unreachable (3 m 12 s: connection &quot;refused&quot;)\"| m2
"
        );
        let dot = draw(GraphFormat::Dot);
        assert!(dot.starts_with("graph \"lab\" {\n"), "{dot}");
        assert!(
            dot.contains(
                "    \"gpu-a\" -- \"n2\" [label=\"unreachable (3 m 12 s: connection \\\"refused\\\")\", style=dotted, \
                 color=gray];\n"
            ),
            "{dot}"
        );
        let json: serde_json::Value = serde_json::from_str(&draw(GraphFormat::Json)).unwrap();
        assert_eq!(json["peers"][1]["state"], "unreachable");
    }

    #[test]
    fn a_file_is_drawn_without_an_agent_and_says_that_nobody_watches() {
        let text = "peers:\n  - { id: a, address: \"10.0.0.1:1\" }\n  - { id: b, address: \"10.0.0.2:1\", capabilities: { gpu: true } }\n";
        let checked = check_peers_text(text, "/peers.yaml");
        let machines = Machines::of_file(&checked.peers.unwrap());
        let ascii = machines.draw(GraphFormat::Ascii, None);
        assert!(
            ascii.starts_with(
                "cluster default: 2 machines of /peers.yaml, watched by nobody here\n"
            ),
            "{ascii}"
        );
        assert!(ascii.contains("    a  10.0.0.1:1  -\n"), "{ascii}");
        assert!(!machines.draw(GraphFormat::Dot, None).contains("--"));
        let json = machines.draw(GraphFormat::Json, None);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["peers"][1]["id"], "b");
        assert_eq!(json["peers"][1]["declared"]["gpu"], true);
    }
}
