//! `docs/METRICS.md` lists what there is: no more, no less.

use std::fmt::Write;
use std::path::Path;

use dataflow_core::Time;
use dataflow_ids::stats::EdgeKey;
use dataflow_ids::{DropReason, EdgeId};

use super::{book, counted, facts, page};

const BEGIN: &str = "<!-- every metric, renewed by UPDATE_EXPECT=1 cargo test -p dataflow-runtime --lib documented -->\n";
const END: &str = "<!-- end -->";

/// Every family of a page as a row of a table, by the names that queries have.
fn table(page: &str) -> String {
    let mut table =
        "| Metric | Type | Labels | What it says |\n| --- | --- | --- | --- |\n".to_owned();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let kind = lines.next().and_then(|line| line.rsplit(' ').next());
        let kind = kind.unwrap().to_owned();
        lines.next_if(|line| line.starts_with("# UNIT "));
        let sample = lines.peek().unwrap();
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels = sample.split_once('{').map_or("", |(_, labels)| labels);
        let labels: Vec<String> = labels
            .split(',')
            .filter_map(|label| label.split_once("=\""))
            .map(|(label, _)| format!("`{label}`"))
            .collect();
        let _ = writeln!(
            table,
            "| `{name}{suffix}` | {kind} | {} | {help} |",
            labels.join(", ")
        );
    }
    table
}

#[test]
fn every_metric_is_documented_and_nothing_else() {
    let mut book = book(&[1]);
    let run = facts(&mut book).snapshot.dataflows().next().unwrap().number;
    let mut said = counted(2);
    said.oldest = Some(Time::START);
    let edge = EdgeId(0);
    book.edge_read(EdgeKey { run, edge }, &said).unwrap();
    let found = table(&page(&mut book));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/METRICS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark of the beginning");
    let (documented, after) = rest.split_once(END).expect("the mark of the end");
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        std::fs::write(&path, format!("{before}{BEGIN}{found}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(documented, found, "UPDATE_EXPECT=1 renews the table");
}

#[test]
fn the_words_for_why_a_message_was_dropped_are_documented_with_their_meaning() {
    let words = DropReason::ALL.map(|reason| format!("`{reason}` ({})", reason.because()));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/METRICS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let [full, closed, memory] = words;
    let documented = format!("{full}, {closed} and {memory}");
    assert!(text.contains(&documented), "not there: {documented}");
}
