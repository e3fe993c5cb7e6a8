//! Whatever stands in a file: no panic, bounded work, and a dataflow exactly when there is no error.

// A failed test may say so by a panic anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use dataflow_descriptor::{
    Checked, CheckedPeers, Environment, check_peers_text, check_text, limits,
};
use proptest::prelude::*;

const GOOD: &str = include_str!("data/good.yml");

fn check(text: &str) -> Checked {
    let environment = Environment {
        virtual_env: None,
        search_path: Some("tests/data/bin".into()),
    };
    check_text(
        text,
        Path::new("tests/data/hostile.yml"),
        "tests/data",
        &environment,
    )
}

/// What must be true of every check.
fn holds(text: &str) -> Checked {
    let checked = check(text);
    assert_eq!(
        checked.dataflow.is_some(),
        checked.errors() == 0,
        "{text:?}"
    );
    assert!(checked.diagnostics.len() <= limits::DIAGNOSTICS_MAX);
    let lines = text.split('\n').count();
    for diagnostic in &checked.diagnostics {
        let rendered = diagnostic.to_string();
        assert!(
            !rendered.contains(|character: char| character.is_control() && character != '\n'),
            "{rendered:?}"
        );
        if let Some((place, excerpt)) = &diagnostic.place {
            assert!(
                place.line >= 1 && place.line <= lines,
                "{place:?} in {text:?}"
            );
            assert!(place.column >= 1 && place.length >= 1, "{place:?}");
            let shown = excerpt.text.chars().count();
            assert!(
                excerpt.marked_from + excerpt.marked_length <= shown + 1,
                "{excerpt:?}"
            );
        }
    }
    checked
}

#[test]
fn the_text_that_is_broken_below_is_good() {
    assert_eq!(check(GOOD).errors(), 0, "{:?}", check(GOOD).diagnostics);
}

#[test]
fn a_text_cut_off_anywhere_is_checked() {
    for (end, _) in GOOD.char_indices() {
        holds(&GOOD[..end]);
    }
}

#[test]
fn a_text_without_any_one_line_is_checked() {
    let lines: Vec<&str> = GOOD.lines().collect();
    for without in 0..lines.len() {
        let text: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(number, _)| *number != without)
            .map(|(_, line)| *line)
            .collect();
        holds(&text.join("\n"));
    }
}

#[test]
fn nesting_and_aliases_are_bounded() {
    let deep = limits::DEPTH_MAX * 1000;
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    for text in [
        "[".repeat(deep),
        "{a: ".repeat(deep),
        "- ".repeat(deep),
        "? ".repeat(deep),
        (0..3000)
            .map(|depth| format!("{}a:\n", " ".repeat(depth % 900)))
            .collect(),
        bomb,
        "a: &a [*a, *a]".to_owned(),
        "&a a: *a".to_owned(),
        "<<: &a { <<: *a }".to_owned(),
        "&x ".repeat(10_000),
        "\"".repeat(10_001),
        "nodes: [".to_owned() + &"{},".repeat(999) + "]",
        "nodes:\n".to_owned() + &"- id: ' \n".repeat(20_000),
        ",".repeat(1 << 20),
        "nodes: [".to_owned() + &"a,".repeat(50_000) + "]",
        "nodes: [{inputs: {".to_owned() + &"a: b/c,".repeat(70_000) + "}}]",
        "\u{feff}".to_owned(),
        "\u{feff}nodes: []".to_owned(),
        "nodes: []\r\nname: a\r\r".to_owned(),
    ] {
        assert!(holds(&text).errors() >= 1);
    }
}

#[test]
fn aliases_stand_for_no_more_values_than_their_limit() {
    let shared = vec!["x"; 1000].join(", ");
    let text = |aliases: usize| {
        let aliases = vec!["*a"; aliases].join(", ");
        format!("env: &a [{shared}]\nnodes: [{aliases}]\n")
    };
    let too_large = |text: &str| {
        let checked = holds(text);
        let mut codes = checked.diagnostics.iter().map(|it| it.code.to_string());
        codes.any(|code| code == "DF0009")
    };
    // Each stands for its values and the two ends of the list.
    let fit = limits::ALIASED_VALUES_MAX / 1002;
    assert!(!too_large(&text(fit)));
    assert!(too_large(&text(fit + 1)));
}

#[test]
fn what_is_beyond_the_limit_of_diagnostics_is_counted() {
    let text = "nodes:\n".to_owned() + &"  - { id: 1, path: 2 }\n".repeat(500);
    let checked = check(&text);
    assert_eq!(checked.diagnostics.len(), limits::DIAGNOSTICS_MAX);
    assert_eq!(checked.omitted, 1000 - limits::DIAGNOSTICS_MAX);
}

/// What must be true of every check of a file of peers.
fn peers_hold(text: &str) -> CheckedPeers {
    let checked = check_peers_text(text, "hostile.yaml");
    assert_eq!(checked.peers.is_some(), checked.errors() == 0, "{text:?}");
    assert!(checked.diagnostics.len() <= limits::DIAGNOSTICS_MAX);
    for diagnostic in &checked.diagnostics {
        let rendered = diagnostic.to_string();
        let obeyed = |character: char| character.is_control() && character != '\n';
        assert!(!rendered.contains(obeyed), "{rendered:?}");
    }
    checked
}

#[test]
fn a_file_of_as_many_peers_as_there_may_be_is_taken_and_one_more_is_not() {
    let text = |count: usize| {
        let peer = |n: usize| {
            format!(
                "  - {{ id: n{n}, address: \"10.0.{}.{}:5\" }}\n",
                n / 256,
                n % 256
            )
        };
        "peers:\n".to_owned() + &(1..=count).map(peer).collect::<String>()
    };
    let most = peers_hold(&text(limits::PEERS_MAX))
        .peers
        .map(|it| it.peers.len());
    assert_eq!(most, Some(limits::PEERS_MAX));
    assert_eq!(peers_hold(&text(limits::PEERS_MAX + 1)).errors(), 1);
}

#[test]
fn what_is_wrong_with_peers_beyond_the_limit_of_diagnostics_is_counted() {
    let text = "peers:\n".to_owned() + &"  - { id: 1, address: 2 }\n".repeat(500);
    let checked = peers_hold(&text);
    assert_eq!(checked.diagnostics.len(), limits::DIAGNOSTICS_MAX);
    assert_eq!(checked.omitted, 1000 - limits::DIAGNOSTICS_MAX);
}

fn bytes_of_yaml() -> impl Strategy<Value = String> {
    // Signs that mean something in YAML, much more often than chance would have them.
    let sign = prop_oneof![
        Just("\n".to_owned()),
        Just("\n  ".to_owned()),
        Just("- ".to_owned()),
        Just(": ".to_owned()),
        Just("nodes:".to_owned()),
        Just("id: a".to_owned()),
        Just("inputs:".to_owned()),
        Just("restart: {".to_owned()),
        Just("timer/".to_owned()),
        Just("a/b".to_owned()),
        Just("&x ".to_owned()),
        Just("*x".to_owned()),
        Just("<<: *x".to_owned()),
        Just("!!int ".to_owned()),
        Just("|\n".to_owned()),
        Just("---\n".to_owned()),
        "[\\[\\]{}\"',#>?%@`~!|]",
        "[0-9.e+-]{1,6}",
        ".",
        any::<String>(),
    ];
    proptest::collection::vec(sign, 0..40).prop_map(|signs| signs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_checked(text in any::<String>()) {
        holds(&text);
        peers_hold(&text);
    }

    #[test]
    fn any_address_fingerprint_and_capability_of_a_peer_is_checked(
        address in "[0-9a-f:.%\\[\\]-]{0,40}",
        fingerprint in "(sha256:)?[0-9a-fx]{60,70}",
        number in any::<f64>(),
        whole in any::<i128>(),
        text in "\\PC{0,30}",
    ) {
        let text = text.replace(['\\', '"'], " ");
        peers_hold(&format!(
            "cluster: \"{text}\"\nhealth_check: {{ interval: \"{text}\", timeout: {whole}ms, unreachable_after: {whole} }}\n\
             peers: [{{id: \"{text}\", address: \"{address}\", fingerprint: [\"{fingerprint}\", \"{text}\"], \
             capabilities: {{memory_gb: {number}, cpus: {whole}, labels: {{\"{text}\": {number}}}}}}}]"
        ));
    }

    #[test]
    fn any_text_that_looks_like_yaml_is_checked(text in bytes_of_yaml()) {
        holds(&text);
        peers_hold(&text.replace("nodes:", "peers:").replace("a/b", "127.0.0.1:1").replace("inputs:", "address:"));
    }

    #[test]
    fn a_good_text_with_damage_is_checked(
        at in 0..GOOD.len(),
        length in 0_usize..20,
        damage in bytes_of_yaml(),
    ) {
        let start = (0..=at).rev().find(|at| GOOD.is_char_boundary(*at)).unwrap_or(0);
        let end = (start + length..=GOOD.len())
            .find(|at| GOOD.is_char_boundary(*at))
            .unwrap_or(GOOD.len());
        holds(&format!("{}{damage}{}", &GOOD[..start], &GOOD[end..]));
    }

    #[test]
    fn any_bytes_in_a_file_are_checked(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("any.yml");
        std::fs::write(&file, &bytes).unwrap();
        let checked = dataflow_descriptor::check_file(&file);
        assert_eq!(checked.dataflow.is_some(), checked.errors() == 0);
    }

    #[test]
    fn any_duration_and_number_is_checked(text in "[0-9.]{0,30}(ns|us|ms|s|min|h|)", number in any::<i128>()) {
        holds(&format!(
            "nodes: [{{id: a, path: programs/run, outputs: [o], inputs: {{t: timer/{text}, h: dora/timer/hz/{text}, \
             e: {{source: a/o, spin: {text}, queue_size: {number}}}}}, restart: {{policy: always, max: {number}, \
             backoff: {text}..{text}}}, output_memory_mb: {number}, requires: {{memory_gb: {number}}}}}]"
        ));
    }
}
