//! A fingerprint is written into a file of peers, and everything else stays as a person wrote it.

// A failed test may say so by a panic anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dataflow_descriptor::{RecordError, check_peers_text, with_fingerprints};
use dataflow_ids::{Fingerprint, PeerId};
use proptest::prelude::*;

const A: Fingerprint = Fingerprint([0xaa; 32]);
const B: Fingerprint = Fingerprint([0xbb; 32]);
const C: Fingerprint = Fingerprint([0xcc; 32]);

fn id(name: &str) -> PeerId {
    PeerId::new(name).unwrap()
}

/// In `text`, A, B and C stand for fingerprints; `node1` gets `fingerprints`.
fn recorded(text: &str, fingerprints: &[Fingerprint]) -> Result<String, RecordError> {
    let named = [("<A>", A), ("<B>", B), ("<C>", C)];
    let long = named.iter().fold(text.to_owned(), |text, (name, it)| {
        text.replace(name, &it.to_string())
    });
    let changed = with_fingerprints(&long, &id("node1"), fingerprints)?;
    Ok(named.iter().fold(changed, |text, (name, it)| {
        text.replace(&it.to_string(), name)
    }))
}

/// Before → what `node1` gets → after.
const EDITS: &[(&str, &[Fingerprint], &str)] = &[
    // A block entry without the key: after the address, indented as it.
    (
        "peers:\n  # the first\n  - id: node1\n    address: \"10.0.0.1:5\" # in the lab\n    capabilities: { gpu: true }\n",
        &[A],
        "peers:\n  # the first\n  - id: node1\n    address: \"10.0.0.1:5\" # in the lab\n    fingerprint: \"<A>\"\n    capabilities: { gpu: true }\n",
    ),
    (
        "peers:\n  - id: node1\n    address: 10.0.0.1:5",
        &[A, B],
        "peers:\n  - id: node1\n    address: 10.0.0.1:5\n    fingerprint: [\"<A>\", \"<B>\"]",
    ),
    (
        "peers:\r\n-   address: '10.0.0.1:5'\r\n    id: node1\r\n",
        &[A],
        "peers:\r\n-   address: '10.0.0.1:5'\r\n    fingerprint: \"<A>\"\r\n    id: node1\r\n",
    ),
    // A value over several lines.
    (
        "peers:\n  - id: node1\n    address: >-\n      10.0.0.1:5\n    # end\n",
        &[A],
        "peers:\n  - id: node1\n    address: >-\n      10.0.0.1:5\n    # end\n    fingerprint: \"<A>\"\n",
    ),
    // Flow style.
    (
        "peers: [{id: node1, address: \"10.0.0.1:5\"}, {id: b, address: \"10.0.0.2:5\"}] # all\n",
        &[A],
        "peers: [{id: node1, address: \"10.0.0.1:5\", fingerprint: \"<A>\"}, {id: b, address: \"10.0.0.2:5\"}] # all\n",
    ),
    (
        "{\"peers\": [\n  {\"id\": \"node1\",\n   \"address\": \"10.0.0.1:5\"}\n]}\n",
        &[A],
        "{\"peers\": [\n  {\"id\": \"node1\",\n   \"address\": \"10.0.0.1:5\", \"fingerprint\": \"<A>\"}\n]}\n",
    ),
    // An anchor for another entry's capabilities stays one.
    (
        "peers:\n  - id: node1\n    address: \"10.0.0.1:5\"\n    capabilities: &big { gpu: true }\n  - { id: b, address: \"10.0.0.2:5\", capabilities: *big }\n",
        &[A],
        "peers:\n  - id: node1\n    address: \"10.0.0.1:5\"\n    fingerprint: \"<A>\"\n    capabilities: &big { gpu: true }\n  - { id: b, address: \"10.0.0.2:5\", capabilities: *big }\n",
    ),
    // A key that stands elsewhere stays there.
    (
        "peers:\n  - { id: b, address: \"10.0.0.2:5\", capabilities: { labels: { key: &k <A> } } }\n  - { id: node1, address: \"10.0.0.1:5\", fingerprint: *k }\n",
        &[B, A],
        "peers:\n  - { id: b, address: \"10.0.0.2:5\", capabilities: { labels: { key: &k <A> } } }\n  - { id: node1, address: \"10.0.0.1:5\", fingerprint: [\"<B>\", \"<A>\"] }\n",
    ),
    // Line ends of both kinds: a new line ends as the one before it.
    (
        "cluster: lab\r\npeers:\n  - id: node1\n    address: 10.0.0.1:5\n",
        &[A],
        "cluster: lab\r\npeers:\n  - id: node1\n    address: 10.0.0.1:5\n    fingerprint: \"<A>\"\n",
    ),
    // Another key in the same place, in the same quotes.
    (
        "peers:\n  - { id: node1, fingerprint: '<A>', address: \"10.0.0.1:5\" }\n",
        &[B],
        "peers:\n  - { id: node1, fingerprint: '<B>', address: \"10.0.0.1:5\" }\n",
    ),
    (
        "\u{feff}peers:\n  - id: node1\n    fingerprint: <A> # old\n    address: \"10.0.0.1:5\"\n",
        &[B, A],
        "\u{feff}peers:\n  - id: node1\n    fingerprint: [\"<B>\", \"<A>\"] # old\n    address: \"10.0.0.1:5\"\n",
    ),
    // Lists, in both styles.
    (
        "peers:\n  - id: node1\n    fingerprint: [ <A> ] # x\n    address: \"10.0.0.1:5\"\n",
        &[A, B],
        "peers:\n  - id: node1\n    fingerprint: [ \"<A>\", \"<B>\" ] # x\n    address: \"10.0.0.1:5\"\n",
    ),
    (
        "peers:\n  - id: node1\n    fingerprint:\n      - '<A>' # now\n    address: \"10.0.0.1:5\"\n",
        &[A, B],
        "peers:\n  - id: node1\n    fingerprint:\n      - '<A>' # now\n      - '<B>'\n    address: \"10.0.0.1:5\"\n",
    ),
    (
        "peers:\n  - id: node1\n    address: \"10.0.0.1:5\"\n    fingerprint:\n      - '<A>' # old\n      - \"<B>\" # new\n",
        &[B],
        "peers:\n  - id: node1\n    address: \"10.0.0.1:5\"\n    fingerprint:\n      - \"<B>\" # new\n",
    ),
    (
        "peers:\n  - id: node1\n    address: \"10.0.0.1:5\"\n    fingerprint:\n      - '<A>' # old\n      - \"<B>\" # new",
        &[C],
        "peers:\n  - id: node1\n    address: \"10.0.0.1:5\"\n    fingerprint:\n      - '<C>' # old\n",
    ),
    (
        "peers: [{id: node1, address: \"10.0.0.1:5\", fingerprint: [\"<A>\", \"<B>\"]}]\n",
        &[A],
        "peers: [{id: node1, address: \"10.0.0.1:5\", fingerprint: [\"<A>\"]}]\n",
    ),
    (
        "peers: [{id: node1, address: \"10.0.0.1:5\", fingerprint: [\"<A>\", \"<B>\"]}]\n",
        &[B],
        "peers: [{id: node1, address: \"10.0.0.1:5\", fingerprint: [\"<B>\"]}]\n",
    ),
    (
        "peers:\n  - id: node1\n    address: \"10.0.0.1:5\"\n    fingerprint: [\n      \"<A>\", # old\n      \"<B>\", # new\n    ]\n",
        &[C, B],
        "peers:\n  - id: node1\n    address: \"10.0.0.1:5\"\n    fingerprint: [\n      \"<C>\", # old\n      \"<B>\", # new\n    ]\n",
    ),
    // Nothing to do.
    (
        "peers: [{id: node1, address: \"10.0.0.1:5\", fingerprint:    <A>}]",
        &[A],
        "peers: [{id: node1, address: \"10.0.0.1:5\", fingerprint:    <A>}]",
    ),
];

#[test]
fn only_the_entry_changes() {
    for (before, fingerprints, after) in EDITS {
        assert_eq!(
            recorded(before, fingerprints).unwrap(),
            *after,
            "from {before}"
        );
    }
}

#[test]
fn what_cannot_be_written_changes_nothing_and_says_why() {
    let two = "peers:\n  - { id: node1, address: \"10.0.0.1:5\" }\n  - { id: b, address: \"10.0.0.2:5\", fingerprint: <B> }\n";
    let refused = |text, fingerprints: &[Fingerprint]| recorded(text, fingerprints).unwrap_err();
    assert_eq!(
        refused(two, &[B]),
        RecordError::Taken {
            fingerprint: B,
            peer: id("b")
        }
    );
    assert_eq!(
        refused(two, &[A, A]),
        RecordError::Taken {
            fingerprint: A,
            peer: id("node1")
        }
    );
    assert_eq!(refused(two, &[]), RecordError::Count { count: 0 });
    assert_eq!(refused(two, &[A, B, C]), RecordError::Count { count: 3 });
    assert_eq!(
        refused("peers: []", &[A]),
        RecordError::Invalid { errors: 1 }
    );
    let other = "peers:\n  - { id: b, address: \"10.0.0.2:5\" }\n";
    let error = refused(other, &[A]);
    assert_eq!(
        error.to_string(),
        "the file has no peer `node1`; its peers are `b`"
    );
}

#[test]
fn an_entry_that_no_edit_fits_is_left_to_a_person() {
    // Keys with `?`: there is no line to put another after.
    let text = "peers:\n  - ? id\n    : node1\n    ? address\n    : \"10.0.0.1:5\"\n";
    match recorded(text, &[A]) {
        Ok(changed) => panic!("{changed}"),
        Err(error) => {
            assert_eq!(
                error,
                RecordError::NotEditable {
                    id: id("node1"),
                    line: format!("fingerprint: \"{A}\"")
                }
            );
        }
    }
}

/// How a file is written.
#[derive(Debug, Clone)]
struct Style {
    indent: usize,
    flow: Vec<bool>,
    quote: &'static str,
    comments: bool,
    line_end: &'static str,
    last_line_end: bool,
    mark: bool,
    address_first: bool,
    fingerprints: Vec<usize>,
    as_list: bool,
}

fn style() -> impl Strategy<Value = Style> {
    (
        (
            0..4_usize,
            proptest::collection::vec(any::<bool>(), 3),
            0..3_usize,
        ),
        (
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
        ),
        (proptest::collection::vec(0..3_usize, 3), any::<bool>()),
    )
        .prop_map(
            |(
                (indent, flow, quote),
                (comments, crlf, last, mark, address_first),
                (count, as_list),
            )| Style {
                indent,
                flow,
                quote: ["", "'", "\""][quote],
                comments,
                line_end: if crlf { "\r\n" } else { "\n" },
                last_line_end: last,
                mark,
                address_first,
                fingerprints: count,
                as_list,
            },
        )
}

fn file_of(style: &Style) -> String {
    let pad = " ".repeat(style.indent);
    let q = style.quote;
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        if style.comments {
            text.push_str(" # says a person: \"fingerprint\"");
        }
        text.push_str(style.line_end);
    };
    line("peers:".to_owned());
    for (place, flow) in style.flow.iter().enumerate() {
        let mut entry = vec![
            format!("id: {q}node{place}{q}"),
            format!("address: {q}10.0.0.{}:5{q}", place + 1),
        ];
        if style.address_first {
            entry.reverse();
        }
        let keys: Vec<String> = (0..style.fingerprints[place])
            .map(|key| format!("{q}{}{q}", Fingerprint([(place * 2 + key) as u8; 32])))
            .collect();
        let one = keys.len() == 1 && !style.as_list;
        if *flow {
            match keys.len() {
                0 => (),
                _ if one => entry.push(format!("fingerprint: {}", keys[0])),
                _ => entry.push(format!("fingerprint: [{}]", keys.join(", "))),
            }
            entry.push("capabilities: {gpu: true}".to_owned());
            line(format!("{pad}- {{ {} }}", entry.join(", ")));
        } else {
            for (number, part) in entry.into_iter().enumerate() {
                let sign = if number == 0 { "- " } else { "  " };
                line(format!("{pad}{sign}{part}"));
            }
            if one {
                line(format!("{pad}  fingerprint: {}", keys[0]));
            } else if !keys.is_empty() {
                line(format!("{pad}  fingerprint:"));
                for key in &keys {
                    line(format!("{pad}  - {key}"));
                }
            }
        }
    }
    if !style.last_line_end {
        text.truncate(text.trim_end().len());
    }
    let mark = if style.mark { "\u{feff}" } else { "" };
    format!("{mark}{text}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_any_style_the_file_says_the_same_but_for_that_entry(
        style in style(),
        which in 0..3_usize,
        count in 1..3_usize,
    ) {
        let before = file_of(&style);
        let parsed = check_peers_text(&before, "peers.yaml");
        let mut wanted = parsed.peers.unwrap_or_else(|| panic!("{before}\n{:?}", parsed.diagnostics));
        let fingerprints = &[A, B][..count];
        let after = with_fingerprints(&before, &id(&format!("node{which}")), fingerprints).unwrap();
        wanted.peers[which].fingerprints = fingerprints.to_vec();
        prop_assert_eq!(check_peers_text(&after, "peers.yaml").peers, Some(wanted));
        // Every other line is there, in its order and with its line end.
        let lines = |text: &str| -> Vec<String> {
            text.split('\n')
                .filter(|line| !line.contains("sha256:") || !line.trim_start().starts_with(['f', '-']))
                .filter(|line| !line.contains(&format!("node{which}")) || !line.contains('{'))
                .map(|line| line.trim_end().to_owned())
                .filter(|line| !line.is_empty())
                .collect()
        };
        prop_assert_eq!(lines(&before), lines(&after), "{}\n{}", before, after);
        prop_assert_eq!(after.starts_with('\u{feff}'), style.mark);
        let carriage_returns = after.matches("\r\n").count();
        let line_ends = after.matches('\n').count();
        prop_assert_eq!(carriage_returns, if style.line_end == "\r\n" { line_ends } else { 0 });
        // Again changes nothing.
        let again = with_fingerprints(&after, &id(&format!("node{which}")), fingerprints).unwrap();
        prop_assert_eq!(again, after);
    }
}
