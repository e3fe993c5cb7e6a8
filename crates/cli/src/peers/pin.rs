//! `dataflow peers pin`: asks a peer for its key, shows it, and records it.

use std::io::{BufRead, IsTerminal, Write, stdin, stdout};
use std::path::Path;
use std::thread;
use std::time::Duration;

use dataflow_core::peers::DialFailure;
use dataflow_descriptor::{
    Peer, Peers, check_peers_text, harmless_text, nearest, with_fingerprints,
};
use dataflow_ids::Fingerprint;
use dataflow_runtime::network::fetch_fingerprint;
use dataflow_wire::peers::PeersStatus;
use serde_json::json;

use super::arguments::PinArguments;
use super::{record, source};
use crate::error::{CliError, Exit};
use crate::{output, say};

/// How long a peer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How many fingerprints an entry may have: one, and one that is on its way out.
const KEPT_MAX: usize = 2;

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when the file is wrong or cannot be written, the peer is not in it, or nobody can be asked.
pub(super) fn run(arguments: &PinArguments) -> Result<Exit, CliError> {
    let file = source::file(arguments.peers.as_deref())?;
    let peers = source::load(&file)?;
    let meant = meant(&peers, arguments)?;
    if !arguments.yes && !stdin().is_terminal() {
        return Err(CliError::CannotAsk);
    }
    let agent = source::status().ok().flatten();
    let mut worst = Exit::Done;
    for (peer, shown) in ask_all(&meant, agent.as_ref()) {
        let result = match shown {
            Ok(shown) => pin(&file, peer, shown, arguments)?,
            Err(failure) => Pinned::NoAnswer(failure),
        };
        tell(peer, &result, arguments.json)?;
        worst = worst.worse(result.exit());
    }
    Ok(worst)
}

/// The peers that are meant, in the order of the file.
fn meant<'p>(peers: &'p Peers, arguments: &PinArguments) -> Result<Vec<&'p Peer>, CliError> {
    let Some(id) = &arguments.peer else {
        return Ok(peers.peers.iter().collect());
    };
    match peers.peer(id) {
        Some(peer) => Ok(vec![peer]),
        None => {
            let known: Vec<&str> = peers.peers.iter().map(|peer| peer.id.as_str()).collect();
            Err(CliError::UnknownPeer {
                peer: id.clone(),
                file: peers.file.clone(),
                near: nearest(id, known.iter().copied()).map(str::to_owned),
                known: known.join(", "),
            })
        }
    }
}

/// Asks all of them at the same time, and gives the answers in order.
fn ask_all<'p>(
    peers: &[&'p Peer],
    agent: Option<&PeersStatus>,
) -> Vec<(&'p Peer, Result<Fingerprint, DialFailure>)> {
    thread::scope(|scope| {
        let asked: Vec<_> = peers
            .iter()
            .map(|peer| (*peer, scope.spawn(move || ask(peer, agent))))
            .collect();
        asked
            .into_iter()
            .map(|(peer, answer)| {
                let panicked = |_| Err(DialFailure::Other("asking it panicked".to_owned()));
                (peer, answer.join().unwrap_or_else(panicked))
            })
            .collect()
    })
}

fn ask(peer: &Peer, agent: Option<&PeersStatus>) -> Result<Fingerprint, DialFailure> {
    match agent {
        // The agent of this machine needs no network to be asked.
        Some(agent) if agent.this == peer.id => Ok(agent.fingerprint),
        _ => fetch_fingerprint(peer.address, ANSWER_WITHIN),
    }
}

/// What became of a pin.
#[derive(Debug)]
enum Pinned {
    /// It is recorded now.
    Recorded(Vec<Fingerprint>),
    /// It was recorded before.
    Already(Fingerprint),
    /// The person said no.
    Refused,
    /// What the file says of the peer has changed since it was asked.
    Changed,
    /// The peer could not be asked.
    NoAnswer(DialFailure),
}

impl Pinned {
    fn exit(&self) -> Exit {
        match self {
            Pinned::Recorded(_) | Pinned::Already(_) => Exit::Done,
            Pinned::Refused | Pinned::Changed | Pinned::NoAnswer(_) => Exit::Failed,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Pinned::Recorded(_) => "recorded",
            Pinned::Already(_) => "recorded-before",
            Pinned::Refused => "refused",
            Pinned::Changed => "changed",
            Pinned::NoAnswer(_) => "no-answer",
        }
    }
}

fn pin(
    file: &Path,
    peer: &Peer,
    shown: Fingerprint,
    arguments: &PinArguments,
) -> Result<Pinned, CliError> {
    let known = &peer.fingerprints;
    // With two, a rotation goes on, and which of them is on its way out is not known here: it ends for one peer at a
    // time, when a person names it.
    if known.contains(&shown) && (known.len() == 1 || arguments.rotate || arguments.all) {
        return Ok(Pinned::Already(shown));
    }
    let mut kept = vec![shown];
    if arguments.rotate {
        kept.extend(known.iter().copied().filter(|other| *other != shown));
        kept.truncate(KEPT_MAX);
    }
    if !arguments.yes && !says_yes(file, peer, shown, &kept)? {
        return Ok(Pinned::Refused);
    }
    // As it is now: another entry may have been changed while the person thought.
    let text = std::fs::read_to_string(file)
        .map_err(CliError::system(format!("read {}", file.display())))?;
    if !is_as_shown(&text, peer) {
        return Ok(Pinned::Changed);
    }
    let text = with_fingerprints(&text, &peer.id, &kept)?;
    record::replace(file, &text).map_err(CliError::system(format!("write {}", file.display())))?;
    Ok(Pinned::Recorded(kept))
}

/// Whether a file still says of a peer what was said when it was asked: the key is that of this address.
fn is_as_shown(text: &str, peer: &Peer) -> bool {
    // A file that is wrong by now is refused where it is recorded.
    let Some(peers) = check_peers_text(text, "peers.yaml").peers else {
        return true;
    };
    let now = peers.peer(peer.id.as_str());
    now.is_none_or(|now| now.address == peer.address && now.fingerprints == peer.fingerprints)
}

/// Shows the key, and asks.
fn says_yes(
    file: &Path,
    peer: &Peer,
    shown: Fingerprint,
    kept: &[Fingerprint],
) -> Result<bool, CliError> {
    let mut text = format!("{} at {} shows\n  {shown}\n", peer.id, peer.address);
    for known in &peer.fingerprints {
        let becomes = match kept.contains(known) {
            true => "stays",
            false => "goes: it is not the key that came",
        };
        text += &format!("recorded is\n  {known}  ({becomes})\n");
    }
    text += &format!(
        "Compare it with what `dataflow peers id` prints on {}.\nRecord it in {}? [y/N] ",
        peer.id,
        file.display()
    );
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(CliError::system("ask"))?;
    let mut answer = String::new();
    stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(CliError::system("read the answer"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

fn tell(peer: &Peer, pinned: &Pinned, is_json: bool) -> Result<(), CliError> {
    let id = &peer.id;
    if is_json {
        let mut object = json!({
            "peer": id, "address": peer.address, "result": pinned.word(),
            "fingerprints": peer.fingerprints,
        });
        match pinned {
            Pinned::Recorded(kept) => object["fingerprints"] = json!(kept),
            Pinned::NoAnswer(failure) => object["because"] = failure.to_string().into(),
            Pinned::Already(_) | Pinned::Refused | Pinned::Changed => {}
        }
        return output::write(&format!("{object}\n"));
    }
    match pinned {
        Pinned::Recorded(kept) => {
            let rest = match kept.get(1) {
                Some(old) => format!(
                    "; {old} stays as the second one: once {id} has changed its key, `dataflow peers pin {id}` ends that"
                ),
                None => String::new(),
            };
            output::write(&format!("{id}: recorded {}{rest}\n", kept[0]))
        }
        Pinned::Already(shown) => output::write(&format!("{id}: {shown} is recorded already\n")),
        Pinned::Refused => output::write(&format!("{id}: nothing was recorded\n")),
        Pinned::Changed => {
            say(
                &format!("what the file says of {id} was changed meanwhile: nothing was recorded"),
                Some(&format!("ask again: `dataflow peers pin {id}`")),
            );
            Ok(())
        }
        Pinned::NoAnswer(failure) => {
            let why = harmless_text(&failure.to_string());
            say(
                &format!("{id} at {} could not be asked: {why}", peer.address),
                Some("its agent must run: `dataflow agent` there"),
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "peers:\n  - { id: a, address: '10.0.0.1:7' }\n";

    #[test]
    fn a_key_is_recorded_only_for_the_address_that_was_asked() {
        let peers = check_peers_text(TEXT, "peers.yaml").peers.unwrap();
        let peer = &peers.peers[0];
        assert!(is_as_shown(TEXT, peer));
        let with_another = format!("{TEXT}  - {{ id: b, address: '10.0.0.2:7' }}\n");
        assert!(is_as_shown(&with_another, peer));
        assert!(!is_as_shown(&TEXT.replace("0.1:7", "0.9:7"), peer));
        let key = format!("7' , fingerprint: 'sha256:{}' }}", "ab".repeat(32));
        assert!(!is_as_shown(&TEXT.replace("7' }", &key), peer));
    }
}
