//! What a person sees at a terminal, and what their keys do.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use super::played::{NAMES, Played};
use crate::ground::{Ground, PlayedRun, Running, said};
use crate::screen::Screen;

/// The tables: the key of each, its file in `tests/terminal`, and what is drawn of it at last.
const TABLES: [(&str, &str, &str); 8] = [
    ("1", "dataflows", "3 running  11.0 s"),
    ("2", "nodes", "\nplanner   running"),
    ("3", "groups", "\ncamera      3"),
    ("4", "edges", "detector/out → "),
    ("5", "peers", "no answer for 2 s"),
    ("6", "downloads", "430.0 MB"),
    ("7", "actors", "\nsource      1"),
    ("8", "pool", "\nvision "),
];

/// Everything above the last line.
fn above_the_keys(text: &str) -> String {
    let (above, _) = text.rsplit_once('\n').unwrap_or_default();
    above.trim_end().to_owned()
}

#[test]
fn at_a_terminal_it_shows_tables_and_takes_keys_and_leaves_the_terminal_as_it_was() {
    let ground = Ground::new();
    let played = Played::begin(&ground);
    let mut screen = Screen::new(100, 14);
    let before = screen.modes();
    let mut top = screen.start(&ground.dataflow(["top", "vision"]));
    screen.wait_for("up 11.0 s");
    assert_ne!(screen.modes().local_modes, before.local_modes);

    // Tables.
    screen.press("4");
    screen.wait_for("OLDEST");
    screen.press("\x1b[D\x1b[D");
    screen.wait_for("BLOCKED BY");

    // Order: the busiest first, and then last. The first column is the name.
    screen.press("ssss");
    screen.wait_for("CPU %▼");
    let order = |text: &str| -> Vec<usize> {
        NAMES
            .iter()
            .map(|name| text.find(&format!("\n{name}")).unwrap_or(0))
            .collect()
    };
    screen.wait_until("the busiest is the first", |_, text| {
        order(text).is_sorted_by(|a, b| a > b)
    });
    screen.press("r");
    screen.wait_until("the busiest is the last", |_, text| order(text).is_sorted());

    // A filter, and what it leaves.
    screen.press("/DETE");
    screen.wait_until("the filter", |_, text| {
        text.contains("filter: DETE▏") && !text.contains("\ncamera")
    });
    screen.press("\r");
    screen.wait_for("filter: DETE");
    screen.press("\x1b");
    screen.wait_for("\ncamera");

    // All about one row.
    screen.press("\x1b[B\x1b[B\r");
    screen.wait_for("resident memory of its processes");
    screen.press("\x1b");
    screen.wait_for("BLOCKED BY");

    // A pause: time stands still, and goes on.
    screen.press(" ");
    screen.wait_for("paused");
    played.go_to(12);
    screen.press("?");
    screen.wait_for("Keys");
    assert!(!screen.text().contains("up 12.0 s"));
    screen.press("q");
    screen.wait_for("BLOCKED BY");
    screen.press(" ");
    played.go_to(13);
    screen.wait_for("up 13.0 s");

    // The end, by a key.
    screen.press("q");
    assert_eq!(top.wait(), Some(0));
    assert_is_as_before(&screen, &before);
}

/// How the terminal was before.
fn assert_is_as_before(screen: &Screen, before: &rustix::termios::Termios) {
    screen.wait_until("the screen before", |screen, _| {
        !screen.alternate_screen() && !screen.hide_cursor()
    });
    assert_eq!(screen.text(), "");
    let after = screen.modes();
    assert_eq!(after.local_modes, before.local_modes);
    assert_eq!(after.input_modes, before.input_modes);
    assert_eq!(after.output_modes, before.output_modes);
}

/// The screens in `tests/terminal`; `UPDATE_EXPECT=1` renews them.
#[test]
fn every_table_is_seen_at_a_terminal_as_its_file_says() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terminal");
    let ground = Ground::new();
    let _played = Played::begin(&ground);
    let mut screen = Screen::new(100, 10);
    let mut top = screen.start(&ground.dataflow(["top", "vision"]));
    screen.wait_for("up 11.0 s");
    for (key, name, last) in TABLES {
        screen.press(key);
        let file = folder.join(name).with_extension("txt");
        if update {
            screen.wait_for(last);
            fs::write(&file, above_the_keys(&screen.text()) + "\n").unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        let what = format!("{name}; UPDATE_EXPECT=1 renews the screens; it should be\n{expected}");
        screen.wait_until(&what, |_, text| above_the_keys(text) == expected.trim_end());
    }
    screen.press("q");
    assert_eq!(top.wait(), Some(0));
}

#[test]
fn a_terminal_that_becomes_small_shows_less_and_one_that_grows_more() {
    let ground = Ground::new();
    let _played = Played::begin(&ground);
    let mut screen = Screen::new(100, 14);
    let mut top = screen.start(&ground.dataflow(["top"]));
    screen.wait_for("up 11.0 s");
    screen.resize(40, 6);
    screen.wait_until("what matters in a small one", |_, text| {
        text.contains("NODE      STATE") && !text.contains("PID") && text.contains("2 of 8 tables")
    });
    let narrow = screen.text();
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 40),
        "{narrow}"
    );
    assert!(narrow.contains("planner   running"), "{narrow}");
    screen.resize(20, 2);
    screen.wait_until("two lines", |_, text| {
        text.starts_with("NODE") && text.contains("\ncamera")
    });
    screen.resize(180, 20);
    screen.wait_until("everything in a large one", |_, text| {
        text.contains("PID") && text.contains("LOST") && text.contains("8 Pool 1")
    });
    // A key that no terminal of ours gives otherwise: Ctrl-C, which here is a key.
    screen.press("\x03");
    assert_eq!(top.wait(), Some(0));
}

#[test]
fn whatever_ends_it_the_terminal_is_as_it_was() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let ground = Ground::new();
        let _played = Played::begin(&ground);
        let screen = Screen::new(80, 24);
        let before = screen.modes();
        let mut top = screen.start(&ground.dataflow(["top"]));
        screen.wait_for("up 11.0 s");
        top.signal(signal);
        assert_eq!(top.wait(), Some(0), "{signal:?}");
        assert_is_as_before(&screen, &before);
    }
}

#[test]
fn a_runtime_that_ends_is_said_and_one_that_comes_is_shown() {
    let ground = Ground::new();
    let mut screen = Screen::new(100, 14);
    let mut top = screen.start(&ground.dataflow(["top"]));
    screen.wait_for("no dataflow runs in");
    let mut played = Played::begin(&ground);
    screen.wait_for("\ncamera    running");
    played.end();
    screen.wait_for("vision has ended (run vision-1)");
    screen.wait_for("no dataflow runs in");
    let _again = Played::begin(&ground);
    screen.wait_for("\ncamera    running");
    screen.press("q");
    assert_eq!(top.wait(), Some(0));
}

#[test]
fn a_runtime_that_does_not_answer_is_named_and_hides_no_other() {
    let ground = Ground::new();
    let _played = Played::begin(&ground);
    let silent = Running::start(Command::new("sleep").arg("1000").stdout(Stdio::null()));
    let pid = u32::try_from(silent.pid().as_raw_nonzero().get()).unwrap();
    // A connection is taken by the kernel, and nobody ever reads from it.
    let _silent = PlayedRun::begin(&ground, "silent", pid);
    silent.signal(Signal::STOP);
    let mut screen = Screen::new(100, 14);
    let mut top = screen.start(&ground.dataflow(["top", "--interval", "100ms"]));
    screen.wait_for(&format!(
        "silent (pid {pid}) does not answer: it is stopped, and goes on with `kill -CONT {pid}`"
    ));
    screen.wait_for("\ncamera    running");
    screen.press("q");
    assert_eq!(top.wait(), Some(0));

    let output = ground
        .dataflow(["top", "--once", "--json", "--interval", "100ms"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let runtimes = object["runtimes"].as_array().unwrap();
    assert_eq!(runtimes.len(), 2);
    assert!(
        runtimes[0]["error"]
            .as_str()
            .unwrap()
            .contains("it is stopped")
    );
    assert_eq!(runtimes[1]["nodes"].as_array().unwrap().len(), 3);
}

/// Whether a row of the table is faint: all cells of it that have something in them.
fn is_faint(screen: &vt100::Screen, text: &str, begins: &str) -> bool {
    let row = text.lines().position(|line| line.starts_with(begins));
    let Some(row) = row.and_then(|row| u16::try_from(row).ok()) else {
        return false;
    };
    let (_, columns) = screen.size();
    let cells = (0..columns.get()).filter_map(|column| screen.cell(row, column));
    let mut cells = cells.filter(|cell| !cell.contents().trim().is_empty());
    cells.all(vt100::Cell::dim)
}

#[test]
fn who_finds_no_place_to_look_reads_why_and_what_was_known_is_faint_until_there_is_one() {
    const REASON: &str = "64 commands watch its statistics already (pid 30, 31): end one of them";
    let ground = Ground::new();
    let played = Played::begin(&ground);
    let mut screen = Screen::new(120, 14);
    let mut top = screen.start(&ground.dataflow(["top"]));
    screen.wait_until("rows as always", |screen, text| {
        text.contains("\nplanner   running") && !is_faint(screen, text, "planner ")
    });
    played.refuse(Some(REASON));
    let refused = format!("vision (pid {}) refuses: {REASON}", played.pid());
    screen.wait_until(&refused, |screen, text| {
        let rows = ["camera ", "detector ", "planner "];
        text.contains(&refused) && rows.iter().all(|row| is_faint(screen, text, row))
    });

    // A program is told the same.
    let output = ground.dataflow(["top", "--once"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains(&format!("refuses: {REASON}")), "{text}");
    let output = ground
        .dataflow(["top", "--once", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["runtimes"][0]["error"], REASON);

    played.refuse(None);
    screen.wait_until("rows as before", |screen, text| {
        text.contains("\nplanner   running")
            && !text.contains("refuses")
            && !is_faint(screen, text, "planner ")
    });
    screen.press("q");
    assert_eq!(top.wait(), Some(0));
}

#[test]
fn without_colours_no_colour_is_written() {
    let ground = Ground::new();
    let _played = Played::begin(&ground);
    for (no_colour, has_colours) in [("", true), ("1", false)] {
        let mut screen = Screen::new(100, 14);
        let mut top = ground.dataflow(["top"]);
        let mut top = screen.start(&*top.env("NO_COLOR", no_colour));
        screen.wait_for("\ncamera    running");
        screen.wait_until("all or nothing in colours", |screen, _| {
            let cells = (0..14).flat_map(|row| (0..100).map(move |column| (row, column)));
            let mut cells = cells.filter_map(|(row, column)| screen.cell(row, column));
            cells.any(|cell| cell.fgcolor() != vt100::Color::Default) == has_colours
        });
        screen.press("q");
        assert_eq!(top.wait(), Some(0));
    }
}
