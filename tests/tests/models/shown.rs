//! What people and programs see of models: bars on a terminal, lines without one, objects with `--json`.

use std::path::Path;

use serde_json::Value;

use crate::world::{WEIGHTS, World, model};

const SIZE: usize = 4 * 1024 * 1024;

const FLOW: &str = "
models:
  tiny: { repo: acme/tiny }
nodes:
  - id: clock
    path: /bin/sh
    args: [-c, 'n=0; while :; do n=$((n + 1)); echo tick $n; sleep 0.05; done']
  - id: reader
    path: /bin/sh
    args: [-c, 'echo is here; exec sleep 1000']
    models: [tiny]
";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn has_control_characters(text: &str) -> bool {
    text.chars()
        .any(|character| character.is_control() && character != '\n')
}

#[test]
fn what_is_pulled_is_listed_verified_and_removed() {
    let repository = model("acme/tiny", SIZE);
    let commit = repository.commit();
    let world = World::new("pull-ls-verify-rm", [repository]);
    world.flow(FLOW);
    let pulled = world.pull_flow().run().expect_code(0);
    let said = pulled.output();
    assert!(said.starts_with("tiny: acme/tiny@main, commit "), "{said}");
    assert!(said.contains("now pinned in dataflow.lock"), "{said}");
    let everything = said + &pulled.error();
    assert!(!has_control_characters(&everything), "{everything:?}");
    let again = world.pull_flow().run().expect_code(0);
    again.expect_line(&["pinned in dataflow.lock", "models pull --update"]);

    let listed = world.dataflow(["models", "ls", "--json"]).run();
    let listed = json(&listed.expect_code(0).output());
    let repo = &listed["repositories"][0];
    assert_eq!(repo["repo"], "acme/tiny");
    assert_eq!(repo["commits"][0]["commit"], commit.as_str());
    assert_eq!(repo["verified_files"], 2);
    let verified = world.dataflow(["models", "verify", "--json"]).run();
    let verified = json(&verified.expect_code(0).output());
    let files = verified["repositories"][0]["files"].as_array().unwrap();
    let verdicts: Vec<&Value> = files.iter().map(|file| &file["verdict"]).collect();
    assert_eq!(verdicts, ["right", "right"]);

    let removed = world.dataflow(["models", "rm", "acme/tiny"]).run();
    removed
        .expect_code(0)
        .expect_line(&["removed acme/tiny", "2 files"]);
    assert!(!world.cached("acme/tiny").exists());
}

#[test]
fn an_update_says_from_where_to_where_a_model_has_moved() {
    let first = model("acme/tiny", 1000);
    let second = first
        .clone()
        .next_commit()
        .file("config.json", b"{\"size\":\"new\"}");
    let (old, new) = (first.commit(), second.commit());
    let world = World::new("update-is-said", [first]);
    world.flow(FLOW);
    world.pull_flow().run().expect_code(0);
    world.hub.put(second);
    let still = world
        .pull_flow()
        .arg("--json")
        .run()
        .expect_code(0)
        .output();
    let last = json(still.lines().last().unwrap());
    assert_eq!(last["event"], "ended");
    assert_eq!(last["models"][0]["view"]["commit"], old.as_str());
    let moved = world.pull_flow().arg("--update").run().expect_code(0);
    let from_to = format!("moved: {} → {}", &old[..12], &new[..12]);
    moved.expect_line(&[&from_to]);
    let again = world.pull_flow().arg("--update").run().expect_code(0);
    again.expect_line(&["not moved"]);
}

#[test]
fn programs_are_told_how_far_a_download_is_and_how_it_ends() {
    let world = World::new("pull-json", [model("acme/tiny", SIZE)]);
    world.hub.throttle(Some(SIZE as u64 / 8));
    let comes_on =
        |event: &&Value| event["event"] == "model" && event["view"]["state"] == "fetching";
    let done = |event: &Value| event["view"]["bytes_done"].as_u64().unwrap();
    let pull = world.pull("acme/tiny").arg("--json").start();
    // It is told once a second: the rest waits until it has been.
    pull.wait_for_line_in_which("some of it has come", |line| {
        let event = json(line);
        comes_on(&&event) && done(&event) > 0
    });
    world.hub.throttle(None);
    let ended = pull.wait().expect_code(0);
    assert_eq!(ended.error(), "");
    let events: Vec<Value> = ended.output().lines().map(json).collect();
    let (last, before) = events.split_last().unwrap();
    let fetching: Vec<u64> = before.iter().filter(comes_on).map(done).collect();
    assert!(fetching.is_sorted(), "{fetching:?}");
    assert_eq!(last["event"], "ended");
    let view = &last["models"][0]["view"];
    assert_eq!(view["state"], "ready");
    assert_eq!(view["files"][1]["path"], WEIGHTS);
    assert!(
        Path::new(view["path"].as_str().unwrap())
            .join(WEIGHTS)
            .exists()
    );

    // One that cannot be had is an object, too, and an error for whoever watches.
    let ended = world.pull("acme/nix").arg("--json").run().expect_code(1);
    let last = json(ended.output().lines().last().unwrap());
    assert_eq!(last["models"][0]["view"]["failure"]["code"], "not-found");
    ended.expect_line(&["help: ", "HF_TOKEN"]);
}

#[test]
fn a_terminal_has_bars_and_an_interrupt_ends_a_pull_at_once_and_keeps_what_came() {
    let world = World::new("pull-interrupted", [model("acme/tiny", SIZE)]);
    world.hub.throttle(Some(SIZE as u64 / 20));
    let mut terminal = world.at_terminal(["models", "pull", "acme/tiny"]);
    terminal.wait_for(WEIGHTS);
    terminal.wait_for("kB/s");
    world.wait_until_sent(WEIGHTS, 0, SIZE as u64 / 10);
    terminal.press_interrupt();
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("interrupted: "), "{shown}");
    assert!(
        shown.contains("the same command goes on from there"),
        "{shown}"
    );
    // The bars are taken away before anything else is said.
    let (bars, _) = shown.split_once("interrupted: ").unwrap();
    let bars = without_sequences(bars);
    assert_eq!(bars.rsplit('\r').next(), Some("error: "), "{shown:?}");
    let listed = world.dataflow(["models", "ls"]).run().expect_code(0);
    listed.expect_line(&["acme/tiny: ", "not complete"]);
    world.hub.throttle(None);
    world.pull("acme/tiny").run().expect_code(0);
    let transfers = world.hub.transfers(WEIGHTS);
    assert!(
        transfers.last().unwrap().range_start() > 0,
        "{transfers:#?}"
    );
}

#[test]
fn bars_below_a_running_dataflow_tear_no_line_of_a_node() {
    let world = World::new("bars-and-lines", [model("acme/tiny", SIZE)]);
    world.flow(FLOW);
    world.hub.throttle(Some(SIZE as u64 / 20));
    let mut terminal = world.up_at_terminal(&world.file());
    terminal.wait_for(WEIGHTS);
    terminal.wait_for("tick 20");
    world.hub.throttle(None);
    terminal.wait_for("is here");
    terminal.press_interrupt();
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("model tiny: ready, 2 files"), "{shown}");
    let plain = without_sequences(&shown);
    for number in 1..=20 {
        // Behind whatever has moved the cursor and cleared the line, the node's line stands alone.
        let text = format!("| tick {number}\r\n");
        let line = plain
            .split_inclusive("\r\n")
            .find(|line| line.ends_with(&text));
        let line = line.unwrap_or_else(|| panic!("no whole `{text}` in {plain:?}"));
        let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
        assert_eq!(line, format!("clock  | tick {number}"), "{plain:?}");
    }
}

/// A text without colours and moves of the cursor; where a line is cleared, it begins again.
fn without_sequences(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|character: char| character.is_ascii_alphabetic());
        let (sequence, rest) = part.split_at(end.map_or(part.len(), |end| end + 1));
        if sequence.ends_with('K') {
            plain.push('\r');
        }
        plain += rest;
    }
    plain
}

#[test]
fn without_a_terminal_an_up_says_a_line_now_and_then() {
    let world = World::new("lines-of-models", [model("acme/tiny", SIZE)]);
    world.flow(FLOW);
    // Of one that is there before anybody looks, only that is said.
    world.hub.throttle(Some(SIZE as u64 / 20));
    let up = world.up();
    up.wait_for_line(&["model tiny: commit ", "has 2 files, 4.2 MB"]);
    world.hub.throttle(None);
    up.wait_for_line(&["model tiny: ready, 2 files"]);
    up.wait_for_line(&["reader", "is here"]);
    up.interrupt();
    let ended = up.wait().expect_code(0);
    let everything = ended.output() + &ended.error();
    assert!(!has_control_characters(&everything), "{everything:?}");
    world.report();
}

#[test]
fn a_model_that_cannot_be_had_fails_the_up_naming_the_node_and_the_remedy() {
    let world = World::new("no-such-model", []);
    world.flow(FLOW);
    let ended = world.up().wait().expect_code(1);
    let ended = ended.expect_line(&[
        "reader",
        "model `tiny` cannot be had",
        "acme/tiny",
        "HF_TOKEN",
    ]);
    assert!(
        ended.error().contains("error: node `reader` failed"),
        "{ended}"
    );
    world.report();
}
