//! The figures of all nodes of one name: of a runtime, and of all runtimes together.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use dataflow_ids::stats::{EdgeHistograms, GroupRow, Level, Statistics};
use serde::Serialize;

use super::level::LevelFigures;
use super::node::Used;
use super::span::{Known, Spans};

/// The figures of all nodes of one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct GroupFigures {
    /// The name; `None` for those whose names came after there were as many groups as there may be.
    pub(in crate::top) group: Option<String>,
    /// Their figures.
    #[serde(flatten)]
    pub(in crate::top) level: LevelFigures,
    /// What the spans of time among them are made of.
    #[serde(skip)]
    spans: Box<GroupSpans>,
}

/// What spans of time are made of: latency, wait in the queue, handling.
#[derive(Debug, Clone, PartialEq)]
struct GroupSpans([Spans; 3]);

impl GroupFigures {
    pub(super) fn of(known: &Known<'_>, row: &GroupRow, used: Used) -> GroupFigures {
        let level = |statistics: &'_ Statistics| {
            let rows = &statistics.groups;
            // The one without a name is the last.
            let place = rows.binary_search_by(|other| {
                let order = |row: &GroupRow| (row.name.is_none(), row.name.clone());
                order(other).cmp(&order(row))
            });
            place.ok().map(|place| rows[place].level)
        };
        let before: Option<Level> = known.for_spans.and_then(level);
        let spans = |of: fn(&EdgeHistograms) -> &_| {
            let before = before.as_ref().map(|level| of(&level.histograms));
            known.all_spans(before, of(&row.level.histograms))
        };
        GroupFigures {
            group: row.name.as_ref().map(ToString::to_string),
            spans: Box::new(GroupSpans([
                spans(|of| &of.latency),
                spans(|of| &of.queue_wait),
                spans(|of| &of.handling),
            ])),
            level: LevelFigures::of(
                known,
                known.for_rates.and_then(level).as_ref(),
                before.as_ref(),
                &row.level,
                used,
            ),
        }
    }

    /// Adds the nodes of the same name of another runtime.
    fn add(&mut self, more: &GroupFigures) {
        self.level.add(&more.level);
        for (sum, more) in self.spans.0.iter_mut().zip(&more.spans.0) {
            sum.add(more);
        }
        let [latency, queue_wait, handling] = &self.spans.0;
        self.level.latency = latency.figures();
        self.level.queue_wait = queue_wait.figures();
        self.level.handling = handling.figures();
    }
}

/// All nodes of one name, in all of these groups together: by name, those without one last.
pub(super) fn together<'a>(groups: impl Iterator<Item = &'a GroupFigures>) -> Vec<GroupFigures> {
    let mut sums: BTreeMap<(bool, Option<&str>), GroupFigures> = BTreeMap::new();
    for group in groups {
        match sums.entry((group.group.is_none(), group.group.as_deref())) {
            Entry::Occupied(mut sum) => sum.get_mut().add(group),
            Entry::Vacant(place) => {
                place.insert(group.clone());
            }
        }
    }
    sums.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::top::board::{Board, Said};
    use crate::top::example;

    #[test]
    fn a_group_is_all_nodes_of_one_name_whatever_runtime_they_are_in() {
        let mut board = Board::new(Duration::from_secs(1));
        let runtimes = [(); 2].map(|()| board.came(Duration::ZERO, example::about()));
        for second in [10, 11] {
            let at = Duration::from_secs(second);
            for number in runtimes {
                let statistics = Box::new(example::statistics_at(at));
                board.said(at, number, Said::Statistics(statistics));
            }
        }
        let picture = board.picture(Duration::from_secs(11));
        let of_one = &picture.runtimes[0].answer.as_ref().unwrap().groups[0].level;
        let [group] = &picture.groups[..] else {
            panic!("{:?}", picture.groups);
        };
        assert_eq!(group.group.as_deref(), Some("camera"));
        assert_eq!(group.level.nodes, 2 * of_one.nodes);
        assert_eq!(group.level.sent, 2 * of_one.sent);
        assert_eq!(
            group.level.sent_per_s,
            of_one.sent_per_s.map(|rate| 2.0 * rate)
        );
        let (sum, one) = (group.level.latency.unwrap(), of_one.latency.unwrap());
        assert_eq!((sum.count, sum.p50_s), (2 * one.count, one.p50_s));
    }
}
