//! `dataflow peers`: how the peers of this machine's agent stand.

use std::io::stdout;

use dataflow_descriptor::harmless_text;
use dataflow_ids::{PeerState, span};
use dataflow_wire::peers::{PeerStatus, PeersStatus};
use serde_json::Value;

use super::{offer, source};
use crate::error::{CliError, Exit};
use crate::style::Style;
use crate::text::{self, Side, counted};
use crate::{json, output};

/// Runs the command.
///
/// # Errors
///
/// [`CliError::NoAgent`] when no agent runs here, or it does not answer.
pub(super) fn run(is_json: bool) -> Result<Exit, CliError> {
    let status = source::status()?.ok_or(CliError::NoAgent)?;
    output::write(&match is_json {
        true => format!("{:#}\n", for_programs(&status)),
        false => for_people(&status, Style::of(&stdout())),
    })?;
    Ok(Exit::Done)
}

/// The status as one object; each peer with its mark.
fn for_programs(status: &PeersStatus) -> Value {
    let mut value = json::plain(status);
    let peers = value["peers"].as_array_mut().into_iter().flatten();
    for (object, peer) in peers.zip(&status.peers) {
        object["mark"] = peer.state.mark().to_string().into();
    }
    value
}

fn for_people(status: &PeersStatus, style: Style) -> String {
    let mut lines = vec![format!(
        "{}: {} (UDP), cluster {}, up for {}, dataflow {}",
        style.strong(status.this.as_str()),
        status.address,
        status.cluster,
        span::plain(status.up_for),
        status.version,
    )];
    lines.push(style.faint(&format!(
        "  key {}, {}",
        status.fingerprint,
        status.file.display()
    )));
    lines.push(style.faint(&format!(
        "  declared {}; found {}",
        harmless_text(&offer::text(&status.declared)),
        harmless_text(&offer::text(&status.found)),
    )));
    if status.peers.is_empty() {
        lines.push("no other peers in its file".to_owned());
    } else {
        lines.push(String::new());
        lines.extend(table(&status.peers, style));
    }
    let notes = notes(status, style);
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes);
    }
    lines.join("\n") + "\n"
}

fn table(peers: &[PeerStatus], style: Style) -> Vec<String> {
    let mut rows = vec![
        [
            "PEER", "STATE", "FOR", "ADDRESS", "RTT", "LOSS", "DECLARED", "FOUND", "VERSION",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(peers.iter().map(row));
    let sides = [
        Side::Left,
        Side::Left,
        Side::Right,
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Left,
        Side::Left,
        Side::Left,
    ];
    let marks = std::iter::once("  ".to_owned()).chain(peers.iter().map(|peer| mark(peer.state)));
    let painted = std::iter::once(None).chain(peers.iter().map(|peer| Some(peer.state)));
    (text::table(&sides, &rows)
        .into_iter()
        .zip(marks)
        .zip(painted))
    .map(|((line, mark), state)| match state {
        None => style.faint(&format!("{mark} {line}")),
        Some(state) => format!("{} {line}", paint(style, state, &mark)),
    })
    .collect()
}

/// The mark, in two columns: one of them is as wide as two.
fn mark(state: PeerState) -> String {
    match state {
        PeerState::Rejected => state.mark().to_string(),
        _ => format!("{} ", state.mark()),
    }
}

fn paint(style: Style, state: PeerState, text: &str) -> String {
    match state {
        PeerState::Healthy => style.strong(text),
        PeerState::Degraded => style.doubtful(text),
        PeerState::Unreachable | PeerState::Rejected => style.wrong(text),
    }
}

fn row(peer: &PeerStatus) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        peer.peer.to_string(),
        peer.state.to_string(),
        span::plain(peer.state_for),
        peer.address.to_string(),
        or_none(peer.round_trip.map(span::fine)),
        or_none(
            peer.loss_ppm
                .map(|ppm| format!("{:.1} %", f64::from(ppm) / 1e4)),
        ),
        harmless_text(&offer::text(&peer.declared)),
        harmless_text(&or_none(peer.found.as_ref().map(offer::text))),
        harmless_text(&or_none(peer.version.clone())),
    ]
}

/// Why somebody is not healthy, what to do about it, and what is wrong with the file.
fn notes(status: &PeersStatus, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let help = style.strong("help:");
    for peer in &status.peers {
        if peer.state != PeerState::Healthy {
            let sentence = format!(
                "{} {} ({}: {})",
                peer.peer,
                peer.state,
                span::plain(peer.state_for),
                harmless_text(&peer.because)
            );
            let mark = paint(style, peer.state, &mark(peer.state));
            lines.push(format!("{mark} {sentence}"));
        }
        if let Some(remedy) = &peer.remedy {
            lines.push(format!(
                "   {help} {}: {}",
                peer.peer,
                harmless_text(remedy)
            ));
        }
    }
    for warning in &status.warnings {
        lines.push(format!(
            "{} {}",
            style.doubtful("warning:"),
            harmless_text(warning)
        ));
    }
    if let Some(problem) = &status.file_problem {
        lines.push(format!(
            "{} {} is wrong as it stands; what it said before counts on",
            style.wrong("error:"),
            status.file.display()
        ));
        // A report has lines of its own, and no others.
        lines.extend(
            problem
                .lines()
                .map(|line| format!("  {}", harmless_text(line))),
        );
    }
    if lines.is_empty() && !status.peers.is_empty() {
        lines.push(style.faint(&format!(
            "all well: {} healthy",
            counted(status.peers.len() as u64, "peer")
        )));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_ids::{BootId, ClusterName, Fingerprint, PeerId};
    use dataflow_wire::peers::Offer;

    use super::*;

    fn peer(name: &str, state: PeerState, because: &str) -> PeerStatus {
        let is_connected = state == PeerState::Healthy;
        PeerStatus {
            peer: PeerId::new(name).unwrap(),
            address: "192.168.1.10:50051".parse().unwrap(),
            fingerprints: vec![Fingerprint([7; 32])],
            state,
            state_for: Duration::from_secs(192),
            because: because.to_owned(),
            remedy: (!is_connected).then(|| format!("look at {name}")),
            transitions: 3,
            round_trip: is_connected.then(|| Duration::from_micros(312)),
            loss_ppm: is_connected.then_some(12_000),
            connected: None,
            declared: Offer {
                gpu: Some(true),
                ..Offer::default()
            },
            found: is_connected.then(Offer::default),
            version: is_connected.then(|| "0.1.0".to_owned()),
            boot: None,
        }
    }

    fn status() -> PeersStatus {
        PeersStatus {
            this: PeerId::new("gpu-a").unwrap(),
            address: "10.0.0.1:50051".parse().unwrap(),
            fingerprint: Fingerprint([1; 32]),
            boot: BootId(1),
            version: "0.1.0".to_owned(),
            up_for: Duration::from_secs(5),
            cluster: ClusterName::new("default").unwrap(),
            found: Offer::default(),
            declared: Offer::default(),
            file: "/peers.yaml".into(),
            file_problem: None,
            warnings: Vec::new(),
            peers: vec![
                peer("node1", PeerState::Healthy, "answers"),
                peer("n2", PeerState::Degraded, "reconnecting: nothing came"),
                peer("n3", PeerState::Unreachable, "connection refused"),
                peer("n4", PeerState::Rejected, "its key is sha256:…"),
            ],
        }
    }

    #[test]
    fn every_peer_is_shown_with_its_mark_its_reason_since_when_and_what_to_do() {
        let shown = for_people(&status(), Style::PLAIN);
        let expected = "\
gpu-a: 10.0.0.1:50051 (UDP), cluster default, up for 5.0 s, dataflow 0.1.0
  key sha256:0101010101010101010101010101010101010101010101010101010101010101, /peers.yaml
  declared -; found -

   PEER   STATE             FOR  ADDRESS                  RTT   LOSS  DECLARED  FOUND  VERSION
●  node1  healthy      3 m 12 s  192.168.1.10:50051  312.0 µs  1.2 %  gpu       -      0.1.0
◐  n2     degraded     3 m 12 s  192.168.1.10:50051         -      -  gpu       -      -
✗  n3     unreachable  3 m 12 s  192.168.1.10:50051         -      -  gpu       -      -
⛔ n4     rejected     3 m 12 s  192.168.1.10:50051         -      -  gpu       -      -

◐  n2 degraded (3 m 12 s: reconnecting: nothing came)
   help: n2: look at n2
✗  n3 unreachable (3 m 12 s: connection refused)
   help: n3: look at n3
⛔ n4 rejected (3 m 12 s: its key is sha256:…)
   help: n4: look at n4
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_others_have_written_cannot_draw_on_the_terminal() {
        let mut status = status();
        status.peers[0].version = Some("1\x1b[2J".to_owned());
        status.peers[1].because = "a\rb\x07".to_owned();
        status.file_problem = Some("line one\nline \x1b[31mtwo".to_owned());
        let shown = for_people(&status, Style::PLAIN);
        let is_harmless = |letter: char| letter == '\n' || !letter.is_control();
        assert!(shown.chars().all(is_harmless), "{shown:?}");
        assert!(shown.contains("is wrong as it stands"), "{shown}");
    }

    #[test]
    fn programs_are_told_everything_with_marks_and_seconds() {
        let value = for_programs(&status());
        assert_eq!(value["this"], "gpu-a");
        assert_eq!(value["peers"][2]["state"], "unreachable");
        assert_eq!(value["peers"][2]["mark"], "✗");
        assert_eq!(value["peers"][2]["state_for_s"], 192.0);
        assert_eq!(value["peers"][2]["round_trip"], Value::Null);
        assert_eq!(value["peers"][0]["round_trip_s"], 0.000_312);
        assert_eq!(value["peers"][0]["loss_ppm"], 12_000);
    }
}
