//! Writing the fingerprints of a peer into the text of its file, so that everything else stays as a person wrote it.
//!
//! The places of keys and values are known from the parser. What an edit has made is checked like any file: the text
//! comes back only when it says the same as before but for that one entry.

use std::ops::Range;

use dataflow_ids::{Fingerprint, PeerId};

use crate::limits::FINGERPRINTS_MAX;
use crate::peers::Peers;
use crate::source::Source;
use crate::yaml::{self, Kind, Value};
use crate::{CheckedPeers, check_peers_text};

/// Why fingerprints were not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The file has errors.
    #[error("the file has {errors} errors; `dataflow peers check` says which")]
    Invalid {
        /// How many.
        errors: usize,
    },
    /// The file has no such peer.
    #[error("the file has no peer `{id}`; its peers are {}", listed(peers))]
    NoSuchPeer {
        /// The peer that is not there.
        id: PeerId,
        /// Those that are.
        peers: Vec<PeerId>,
    },
    /// None, or more than a peer may have.
    #[error("a peer has 1 to {FINGERPRINTS_MAX} fingerprints, not {count}")]
    Count {
        /// How many there were.
        count: usize,
    },
    /// Another peer has that key, or it is there twice.
    #[error(
        "{fingerprint} is the key of `{peer}` already; each machine has a key of its own: if its files were copied from \
         another, remove its `identity.pem` and start its agent again"
    )]
    Taken {
        /// The key.
        fingerprint: Fingerprint,
        /// Whose it is.
        peer: PeerId,
    },
    /// The entry is written in a way that no edit can be made in without changing more.
    #[error(
        "the entry of `{id}` is written in a way that only a person can change; write `{line}` into it"
    )]
    NotEditable {
        /// The peer.
        id: PeerId,
        /// What to write, in one line.
        line: String,
    },
}

fn listed(peers: &[PeerId]) -> String {
    const SHOWN_MAX: usize = 10;
    let mut shown: Vec<String> = (peers.iter().take(SHOWN_MAX))
        .map(|peer| format!("`{peer}`"))
        .collect();
    if peers.len() > SHOWN_MAX {
        shown.push(format!("and {} more", peers.len() - SHOWN_MAX));
    }
    shown.join(", ")
}

/// The text of a file of peers in which the peer `id` has these fingerprints, and no others. Comments, order,
/// indentation, quotes and line ends stay.
///
/// # Errors
///
/// [`RecordError`]; nothing is changed then.
pub fn with_fingerprints(
    text: &str,
    id: &PeerId,
    fingerprints: &[Fingerprint],
) -> Result<String, RecordError> {
    // The name only shows in diagnostics, which nobody sees.
    let check = |text: &str| check_peers_text(text, "peers.yaml");
    let checked = check(text);
    let errors = checked.errors();
    let CheckedPeers {
        peers: Some(mut wanted),
        ..
    } = checked
    else {
        return Err(RecordError::Invalid { errors });
    };
    let unchanged = set(&mut wanted, id, fingerprints)?;
    if unchanged {
        return Ok(text.to_owned());
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mark = &text[..text.len() - body.len()];
    for edits in ways(body, id, fingerprints) {
        let changed = mark.to_owned() + &apply(body, edits);
        if check(&changed).peers.as_ref() == Some(&wanted) {
            return Ok(changed);
        }
    }
    Err(RecordError::NotEditable {
        id: id.clone(),
        line: format!("fingerprint: {}", written(fingerprints, '"')),
    })
}

/// Gives the peer these fingerprints; `true` when it has them already.
fn set(peers: &mut Peers, id: &PeerId, fingerprints: &[Fingerprint]) -> Result<bool, RecordError> {
    if !(1..=FINGERPRINTS_MAX).contains(&fingerprints.len()) {
        return Err(RecordError::Count {
            count: fingerprints.len(),
        });
    }
    for (place, fingerprint) in fingerprints.iter().enumerate() {
        let others = peers.peers.iter().filter(|peer| peer.id != *id);
        let twice = fingerprints[..place].contains(fingerprint);
        let owner = others
            .filter(|peer| peer.fingerprints.contains(fingerprint))
            .map(|peer| &peer.id)
            .next()
            .or(twice.then_some(id));
        if let Some(peer) = owner {
            return Err(RecordError::Taken {
                fingerprint: *fingerprint,
                peer: peer.clone(),
            });
        }
    }
    let Some(peer) = peers.peers.iter_mut().find(|peer| peer.id == *id) else {
        return Err(RecordError::NoSuchPeer {
            id: id.clone(),
            peers: peers.peers.iter().map(|peer| peer.id.clone()).collect(),
        });
    };
    let unchanged = peer.fingerprints == fingerprints;
    peer.fingerprints = fingerprints.to_vec();
    Ok(unchanged)
}

/// Something to put in the place of a part of the text.
type Edit = (Range<usize>, String);

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut changed = String::with_capacity(text.len() + 200);
    let mut from = 0;
    for (range, new) in edits {
        // Two edits of one way never overlap; a text that they did not fit would not pass the check.
        changed.push_str(text.get(from..range.start).unwrap_or_default());
        changed.push_str(&new);
        from = range.end.max(from);
    }
    changed.push_str(text.get(from..).unwrap_or_default());
    changed
}

/// The ways in which the entry may be changed, the best first.
fn ways(text: &str, id: &PeerId, fingerprints: &[Fingerprint]) -> Vec<Vec<Edit>> {
    let source = Source::new("".as_ref(), text);
    let Ok(root) = yaml::parse(&source) else {
        return Vec::new();
    };
    let Some(entry) = entry_of(&root, id) else {
        return Vec::new();
    };
    if let Some((_, value)) = find(entry, "fingerprint") {
        return vec![replaced(text, value, fingerprints)];
    }
    ["address", "id"]
        .into_iter()
        .filter_map(|name| find(entry, name))
        .flat_map(|(key, value)| inserted(text, key, value, fingerprints))
        .collect()
}

fn entry_of<'v>(root: &'v Value, id: &PeerId) -> Option<&'v [(Value, Value)]> {
    let Kind::Mapping(entries) = &root.kind else {
        return None;
    };
    let (_, peers) = find(entries, "peers")?;
    let Kind::List(items) = &peers.kind else {
        return None;
    };
    items.iter().find_map(|item| match &item.kind {
        Kind::Mapping(entry) => {
            let (_, value) = find(entry, "id")?;
            (value.as_text() == Some(id.as_str())).then_some(entry.as_slice())
        }
        _ => None,
    })
}

fn find<'v>(entries: &'v [(Value, Value)], name: &str) -> Option<(&'v Value, &'v Value)> {
    entries
        .iter()
        .find(|(key, _)| key.as_text() == Some(name))
        .map(|(key, value)| (key, value))
}

/// Other fingerprints where some stand.
fn replaced(text: &str, value: &Value, fingerprints: &[Fingerprint]) -> Vec<Edit> {
    let Some(range) = value.bytes.clone() else {
        return Vec::new();
    };
    let raw = text.get(range.clone()).unwrap_or_default();
    let items = match &value.kind {
        // An alias of a list is replaced as a whole.
        Kind::List(items) if !raw.starts_with('*') => items,
        _ => return vec![(range, written(fingerprints, quote_of(raw)))],
    };
    let ranges: Vec<Range<usize>> = items.iter().filter_map(|item| item.bytes.clone()).collect();
    let one = |place: usize, fingerprint: &Fingerprint| {
        let range = ranges[place].clone();
        let quote = quote_of(text.get(range.clone()).unwrap_or_default());
        (range, quoted(fingerprint, quote))
    };
    match (ranges.as_slice(), fingerprints) {
        _ if ranges.len() == fingerprints.len() => fingerprints
            .iter()
            .enumerate()
            .map(|(place, fingerprint)| one(place, fingerprint))
            .collect(),
        ([item], [first, second]) => {
            let quote = quote_of(text.get(item.clone()).unwrap_or_default());
            let next = if raw.starts_with('[') {
                (item.end..item.end, format!(", {}", quoted(second, quote)))
            } else {
                let line = Line::of(text, item.clone());
                let before = text.get(line.begin..item.start).unwrap_or_default();
                line.with(text, &format!("{before}{}", quoted(second, quote)))
            };
            vec![one(0, first), next]
        }
        ([first, second], [only]) => {
            // The one that stays keeps its line, and its comment.
            let stays =
                usize::from(items[1].as_text().and_then(|it| it.parse().ok()) == Some(*only));
            let gone = if raw.starts_with('[') {
                let between = text.get(first.end..second.start).unwrap_or_default();
                match (stays, between.trim() == ",") {
                    (0, true) => first.end..second.end,
                    (_, true) => first.start..second.start,
                    // What stands between is a comment or a line end: the comma before nothing does no harm.
                    (0, false) => second.clone(),
                    (_, false) => return vec![one(0, only), (second.clone(), String::new())],
                }
            } else {
                let gone = [second, first][stays];
                let line = Line::of(text, gone.clone());
                line.begin..line.end
            };
            vec![one(stays, only), (gone, String::new())]
        }
        _ => Vec::new(),
    }
}

/// A new key after this one.
fn inserted(
    text: &str,
    key: &Value,
    value: &Value,
    fingerprints: &[Fingerprint],
) -> Vec<Vec<Edit>> {
    let (Some(key), Some(value)) = (key.bytes.clone(), value.bytes.clone()) else {
        return Vec::new();
    };
    // As in JSON, when the neighbour is written so.
    let name = match quote_of(text.get(key.clone()).unwrap_or_default()) {
        '"' if text.as_bytes().get(key.start) == Some(&b'"') => "\"fingerprint\"",
        _ => "fingerprint",
    };
    let entry = format!("{name}: {}", written(fingerprints, '"'));
    let line = Line::of(text, value.clone());
    let indent = " ".repeat(
        text.get(Line::of(text, key.clone()).begin..key.start)
            .map_or(0, |before| before.chars().count()),
    );
    // Of the two, the one that fits the entry passes the check.
    vec![
        vec![line.with(text, &format!("{indent}{entry}"))],
        vec![(value.end..value.end, format!(", {entry}"))],
    ]
}

/// A line of the text, from where a value begins to where it ends.
struct Line {
    begin: usize,
    /// After its line end.
    end: usize,
}

impl Line {
    fn of(text: &str, value: Range<usize>) -> Line {
        let before = text.get(..value.start).unwrap_or_default();
        let after = text.get(value.end..).unwrap_or_default();
        Line {
            begin: before.rfind('\n').map_or(0, |at| at + 1),
            end: after.find('\n').map_or(text.len(), |at| value.end + at + 1),
        }
    }

    /// Another line after this one.
    fn with(&self, text: &str, new: &str) -> Edit {
        let before = text.get(..self.end).unwrap_or_default();
        let new = match (before.ends_with('\n'), before.ends_with("\r\n")) {
            (_, true) => format!("{new}\r\n"),
            (true, _) => format!("{new}\n"),
            // The last line has no end: this one has none either.
            _ if text.contains("\r\n") => format!("\r\n{new}"),
            _ => format!("\n{new}"),
        };
        (self.end..self.end, new)
    }
}

/// The quotes that a scalar has; double ones for none.
fn quote_of(raw: &str) -> char {
    match raw.chars().next() {
        Some('\'') => '\'',
        _ => '"',
    }
}

fn quoted(fingerprint: &Fingerprint, quote: char) -> String {
    format!("{quote}{fingerprint}{quote}")
}

/// One as it is, several as a list.
fn written(fingerprints: &[Fingerprint], quote: char) -> String {
    match fingerprints {
        [only] => quoted(only, quote),
        _ => {
            let all: Vec<String> = fingerprints.iter().map(|it| quoted(it, quote)).collect();
            format!("[{}]", all.join(", "))
        }
    }
}
