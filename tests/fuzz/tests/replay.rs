//! Every file of the corpora, and mutations of each, keep what must be true: on any machine, without a fuzzer.
//!
//! `DATAFLOW_FUZZ_MUTATIONS` says how many mutations of each file (8), `DATAFLOW_FUZZ_SEED` which ones.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use dataflow_fuzz::{Mutations, TARGETS, Target};

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpora")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be read").path())
        .map(|path| {
            let bytes = fs::read(&path).expect("a file can be read");
            (path, bytes)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {}", folder.display());
    files
}

/// Runs `target` on bytes that came about as `how` says.
fn hold(target: Target, bytes: &[u8], how: impl Fn() -> String) {
    if catch_unwind(|| target(bytes)).is_err() {
        panic!("{}: {:?}", how(), String::from_utf8_lossy(bytes));
    }
}

fn replay(name: &str) {
    let (_, target) = TARGETS
        .into_iter()
        .find(|(known, _)| *known == name)
        .expect("a target of this name");
    let files = corpus(name);
    let seed = setting("DATAFLOW_FUZZ_SEED", 1);
    let mutations = setting("DATAFLOW_FUZZ_MUTATIONS", 8);
    let mut random = Mutations::new(seed);
    for (path, bytes) in &files {
        let file = path.display();
        hold(target, bytes, || file.to_string());
        for number in 1..=mutations {
            let (_, other) = &files[(random.number() % files.len() as u64) as usize];
            let changed = random.of(bytes, other);
            hold(target, &changed, || {
                format!("mutation {number} of {file}, DATAFLOW_FUZZ_SEED={seed}")
            });
        }
    }
}

#[test]
fn any_text_is_a_description_or_has_errors_that_can_be_shown() {
    replay("yaml");
}

#[test]
fn any_text_is_a_file_of_peers_or_has_errors_and_a_key_can_be_recorded_or_nothing_changes() {
    replay("peers");
}

#[test]
fn what_is_decoded_from_a_frame_encodes_to_the_same() {
    replay("frames");
}

#[test]
fn a_stream_gives_the_same_frames_in_any_pieces() {
    replay("stream");
}

#[test]
fn metadata_that_can_be_read_can_be_written() {
    replay("metadata");
}

#[test]
fn what_another_agent_says_is_read_as_it_was_written_and_cannot_move_a_cursor() {
    replay("peer_frames");
}

#[test]
fn what_a_runtime_tells_a_subscriber_counts_once_or_changes_nothing() {
    replay("statistics");
}

#[test]
fn keepers_that_lie_neither_spoil_sums_nor_let_a_counter_fall() {
    replay("gathered");
}

#[test]
fn a_damaged_edge_harms_nobody() {
    replay("damaged_edge");
}

#[test]
fn every_message_is_accounted_for_wherever_somebody_dies() {
    replay("edge_with_deaths");
}

#[test]
fn the_corpora_stay_small() {
    let mut bytes = 0;
    for (name, _) in TARGETS {
        bytes += corpus(name)
            .iter()
            .map(|(_, bytes)| bytes.len())
            .sum::<usize>();
    }
    assert!(bytes < 1 << 20, "{bytes} bytes: run `make fuzz-corpora`");
}
