//! Everything in two lines: who runs, and the sums.

use std::collections::BTreeMap;

use super::figures::{LevelFigures, Picture, RuntimeKind};
use super::line::{Line, Look};
use super::numbers;
use crate::text::{count, counted};

/// Who runs: the dataflow, or how many there are.
pub(super) fn who(picture: &Picture) -> String {
    let mut dataflows = picture.dataflows();
    let one = (dataflows.next(), dataflows.next());
    let mut who = match one {
        (None, _) => nobody(picture),
        (Some(dataflow), None) => format!(
            "{} up {}",
            dataflow.dataflow,
            numbers::duration(dataflow.up_for_s)
        ),
        (Some(_), Some(_)) => counted(picture.dataflows().count() as u64, "dataflow"),
    };
    let agents =
        (picture.runtimes.iter()).filter(|runtime| runtime.about.kind == RuntimeKind::Agent);
    for agent in agents {
        who.push_str(&format!(", agent {}", agent.about.name));
    }
    who
}

/// What is said when no dataflow has answered.
fn nobody(picture: &Picture) -> String {
    let mut dataflows =
        (picture.runtimes.iter()).filter(|runtime| runtime.about.kind == RuntimeKind::Dataflow);
    let silent = dataflows.clone().filter(|runtime| runtime.error.is_some());
    match silent.count() {
        0 if dataflows.next().is_none() => "nothing runs".to_owned(),
        0 => "nothing has answered yet".to_owned(),
        1 => "1 does not answer".to_owned(),
        number => format!("{} do not answer", count(number as u64)),
    }
}

/// A part of the line of sums.
#[derive(Debug)]
struct Part {
    text: String,
    look: Look,
    /// Who leaves first when there is no room: the highest. 0 never does.
    leaves: u8,
}

/// The sums over all dataflows, as many as there is room for; the last ones of the least important leave first.
pub(super) fn totals(picture: &Picture, width_max: usize) -> Line {
    let mut parts = parts(picture);
    loop {
        let mut line = Line::default();
        for part in &parts {
            let between = if line.pieces.is_empty() { "" } else { " · " };
            line = line
                .and(between, Look::Plain)
                .and(part.text.clone(), part.look);
        }
        let first = (parts.iter().enumerate()).max_by_key(|(place, part)| (part.leaves, *place));
        match first {
            Some((place, part)) if line.width() > width_max && part.leaves > 0 => {
                parts.remove(place);
            }
            _ => return line,
        }
    }
}

/// The sums in their order.
fn parts(picture: &Picture) -> Vec<Part> {
    let levels = || {
        let of_dataflows = picture
            .runtimes
            .iter()
            .filter(|runtime| runtime.about.kind == RuntimeKind::Dataflow);
        // What was long ago is no part of what is now.
        let answering = of_dataflows.filter(|runtime| runtime.error.is_none());
        answering.filter_map(|runtime| Some(&runtime.answer.as_ref()?.total))
    };
    let silent = picture.runtimes.iter();
    let silent = silent
        .filter(|runtime| runtime.about.kind == RuntimeKind::Dataflow && runtime.error.is_some());
    let silent = silent.count() as u64;
    if silent > 0 && levels().next().is_none() {
        // Nothing is known, and nothing is not 0.
        return Vec::new();
    }
    let sum = |of: fn(&LevelFigures) -> u64| levels().map(of).fold(0, u64::saturating_add);
    let rate = |of: fn(&LevelFigures) -> Option<f64>| levels().filter_map(of).sum::<f64>();
    let mut states = BTreeMap::new();
    for (state, count) in levels().flat_map(|level| &level.states) {
        let sum: &mut u64 = states.entry(state).or_default();
        *sum = sum.saturating_add(*count);
    }
    let states: Vec<String> = states
        .iter()
        .map(|(state, number)| format!("{} {state}", count(*number)))
        .collect();
    let nodes = counted(sum(|level| level.nodes), "node");
    let nodes = match states.is_empty() {
        true => nodes,
        false => format!("{nodes}: {}", states.join(", ")),
    };
    let dropped = rate(|level| level.dropped_per_s);
    let (dropped_look, dropped_leaves) = match dropped > 0.0 {
        true => (Look::Doubtful, 1),
        false => (Look::Plain, 6),
    };
    let blocked = sum(|level| level.blocked_senders);
    let cpu = levels().filter_map(|level| level.cpu_percent);
    let cpu = cpu.reduce(|sum, percent| sum + percent);
    let memory = levels().filter_map(|level| level.memory_bytes);
    let memory = memory.reduce(u64::saturating_add);
    let known = |text: Option<String>| text.unwrap_or_else(|| numbers::NONE.to_owned());
    let part = |text: String, look, leaves| Part { text, look, leaves };
    let mut parts = vec![
        part(nodes, Look::Plain, 0),
        part(
            format!("{} msg/s", numbers::rate(rate(|level| level.sent_per_s))),
            Look::Plain,
            2,
        ),
        part(
            numbers::bytes_rate(rate(|level| level.sent_bytes_per_s)) + "/s",
            Look::Plain,
            5,
        ),
        part(
            format!("{} dropped/s", numbers::rate(dropped)),
            dropped_look,
            dropped_leaves,
        ),
    ];
    if blocked > 0 {
        let text = format!("{} blocked", counted(blocked, "sender"));
        parts.push(part(text, Look::Doubtful, 1));
    }
    if silent > 0 {
        let text = format!("without {} that says nothing", counted(silent, "runtime"));
        parts.push(part(text, Look::Wrong, 1));
    }
    let cpu = known(cpu.map(|percent| format!("{} %", numbers::percent(percent))));
    parts.push(part(format!("CPU {cpu}"), Look::Plain, 3));
    let memory = known(memory.map(numbers::bytes));
    parts.push(part(format!("memory {memory}"), Look::Plain, 4));
    parts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::board::{Board, Said};
    use super::super::example;
    use super::super::figures::Trouble;
    use super::*;

    #[test]
    fn a_runtime_that_does_not_answer_is_not_said_to_be_nothing() {
        let mut board = Board::new(Duration::from_secs(1));
        assert_eq!(who(&board.picture(Duration::from_secs(1))), "nothing runs");
        let first = board.came(Duration::ZERO, example::about());
        assert_eq!(
            who(&board.picture(Duration::from_secs(1))),
            "nothing has answered yet"
        );
        board.said(
            Duration::ZERO,
            first,
            Said::Nothing(Trouble::Silent("it stands".to_owned())),
        );
        assert_eq!(
            who(&board.picture(Duration::from_secs(1))),
            "1 does not answer"
        );
        let second = board.came(Duration::ZERO, example::about());
        board.said(
            Duration::ZERO,
            second,
            Said::Nothing(Trouble::Refuses("too".to_owned())),
        );
        assert_eq!(
            who(&board.picture(Duration::from_secs(1))),
            "2 do not answer"
        );
    }

    #[test]
    fn who_says_nothing_any_more_is_in_no_sum_and_nothing_at_all_is_not_0() {
        let mut board = Board::new(Duration::from_secs(1));
        let at = Duration::from_secs(1);
        let silent = board.came(Duration::ZERO, example::about());
        let statistics = || Said::Statistics(Box::new(example::statistics_at(at)));
        board.said(at, silent, statistics());
        board.said(
            at,
            silent,
            Said::Nothing(Trouble::Silent("it stands".to_owned())),
        );
        assert_eq!(totals(&board.picture(at), 200).text(), "");
        let other = board.came(Duration::ZERO, example::about());
        board.said(at, other, statistics());
        let totals = totals(&board.picture(at), 200).text();
        assert!(totals.starts_with("3 nodes: 3 running · "), "{totals}");
        assert!(
            totals.contains("without 1 runtime that says nothing"),
            "{totals}"
        );
    }

    #[test]
    fn what_is_not_known_is_not_said_to_be_nothing() {
        let mut board = Board::new(Duration::from_secs(1));
        let number = board.came(Duration::ZERO, example::about());
        let mut statistics = example::statistics_at(Duration::from_secs(1));
        for row in &mut statistics.nodes {
            row.numbers.process.read_at_ns = None;
        }
        board.said(
            Duration::ZERO,
            number,
            Said::Statistics(Box::new(statistics)),
        );
        let totals = totals(&board.picture(Duration::from_secs(1)), 100).text();
        assert!(totals.ends_with(" · CPU – · memory –"), "{totals}");
    }

    #[test]
    fn where_there_is_no_room_for_all_sums_whole_ones_leave_the_least_important_first() {
        let picture = example::picture(&[10, 11]);
        let in_width = |width| totals(&picture, width).text();
        let all = in_width(200);
        assert!(all.contains(" dropped/s"), "{all}");
        let some = in_width(70);
        assert!(some.contains("1 sender blocked · CPU 60 %"), "{some}");
        assert!(!some.contains("dropped/s"), "{some}");
        assert_eq!(in_width(0), "3 nodes: 3 running");
    }
}
