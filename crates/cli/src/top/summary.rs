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

/// The sums over all dataflows.
pub(super) fn totals(picture: &Picture) -> Line {
    let levels = || {
        let of_dataflows = picture
            .runtimes
            .iter()
            .filter(|runtime| runtime.about.kind == RuntimeKind::Dataflow);
        of_dataflows.filter_map(|runtime| Some(&runtime.answer.as_ref()?.total))
    };
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
    let blocked = sum(|level| level.blocked_senders);
    let unknown = || numbers::NONE.to_owned();
    let cpu = levels().filter_map(|level| level.cpu_percent);
    let cpu = cpu.reduce(|sum, percent| sum + percent);
    let memory = levels().filter_map(|level| level.memory_bytes);
    let memory = memory.reduce(u64::saturating_add);
    let mut line = Line::of(nodes, Look::Plain)
        .and(
            format!(
                " · {} msg/s · {}/s",
                numbers::rate(rate(|level| level.sent_per_s)),
                numbers::bytes_rate(rate(|level| level.sent_bytes_per_s))
            ),
            Look::Plain,
        )
        .and(" · ", Look::Plain)
        .and(
            format!("{} dropped/s", numbers::rate(dropped)),
            if dropped > 0.0 {
                Look::Doubtful
            } else {
                Look::Plain
            },
        );
    if blocked > 0 {
        line = line.and(" · ", Look::Plain).and(
            format!("{} blocked", counted(blocked, "sender")),
            Look::Doubtful,
        );
    }
    line.and(
        format!(
            " · CPU {} · memory {}",
            cpu.map_or(unknown(), |percent| format!(
                "{} %",
                numbers::percent(percent)
            )),
            memory.map_or(unknown(), numbers::bytes)
        ),
        Look::Plain,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::board::{Board, Said};
    use super::super::example;
    use super::*;

    #[test]
    fn a_runtime_that_does_not_answer_is_not_said_to_be_nothing() {
        let mut board = Board::new(Duration::from_secs(1));
        assert_eq!(who(&board.picture()), "nothing runs");
        let first = board.came(Duration::ZERO, example::about());
        assert_eq!(who(&board.picture()), "nothing has answered yet");
        board.said(Duration::ZERO, first, Said::Nothing("it stands".to_owned()));
        assert_eq!(who(&board.picture()), "1 does not answer");
        let second = board.came(Duration::ZERO, example::about());
        board.said(Duration::ZERO, second, Said::Nothing("too".to_owned()));
        assert_eq!(who(&board.picture()), "2 do not answer");
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
        let totals = totals(&board.picture()).text();
        assert!(totals.ends_with(" · CPU – · memory –"), "{totals}");
    }
}
