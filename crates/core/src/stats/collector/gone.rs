//! What members of other keepers have counted that have gone.
//!
//! A member may come, count and go between two looks, and one that was seen may have counted more before it went. So of each
//! level the keeper's own sum of those that have gone is followed, less what has been seen going here.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::{Delta, GroupRow, Level, Retired, RunNumber};

use super::super::book::Book;
use super::super::groups::GroupNumber;
use super::super::levels;
use super::super::readings::COUNTER_MAX;
use super::sources::Known;
use crate::broken::{Rule, is_broken};

/// What has gone at the levels of which a delta speaks, before it is taken.
pub(super) struct Before {
    total: Box<Retired>,
    runs: BTreeMap<RunNumber, Box<Retired>>,
    groups: BTreeMap<GroupNumber, Box<Retired>>,
}

impl Before {
    pub(super) fn of(book: &mut Book, known: &Known, delta: &Delta) -> Before {
        let retired = |level: &Level| Box::new(level.retired);
        let runs = delta.dataflows.iter().filter_map(|row| {
            let run = known.runs.get(&row.number)?.number;
            Some((run, retired(book.dataflow(run)?)))
        });
        let runs = runs.collect();
        let mut groups = BTreeMap::new();
        for row in &delta.groups {
            let number = group_number(book, row);
            if let Some(level) = book.now.groups.level_of(number) {
                groups.insert(number, retired(level));
            }
        }
        Before {
            total: retired(book.total()),
            runs,
            groups,
        }
    }

    /// Counts what the source says has gone and was not seen here, at each level.
    pub(super) fn retire_more(self, book: &mut Book, known: &mut Known, delta: &Delta) {
        if let Some(total) = &delta.total {
            let more = retired_growth(&mut known.total, &total.retired);
            book.retire_total(&self.total, &more);
        }
        let nothing = Retired::default();
        for row in &delta.dataflows {
            let Some(run) = known.runs.get_mut(&row.number) else {
                continue;
            };
            let more = retired_growth(&mut run.retired, &row.level.retired);
            let before = self.runs.get(&run.number).map_or(&nothing, |there| there);
            book.retire_run(run.number, before, &more);
        }
        // Several of theirs may be one of ours: that without a name.
        let mut more = BTreeMap::new();
        for row in &delta.groups {
            let known = known.groups.entry(row.name.clone()).or_default();
            let grown = retired_growth(known, &row.level.retired);
            let sum: &mut Box<Retired> = more.entry(group_number(book, row)).or_default();
            levels::zip_retired(sum, &grown, u128::saturating_add);
        }
        for (number, more) in more {
            let before = self.groups.get(&number).map_or(&nothing, |there| there);
            book.retire_group(number, before, &more);
        }
    }
}

/// The number that a group of a source has here.
fn group_number(book: &mut Book, row: &GroupRow) -> GroupNumber {
    match &row.name {
        Some(name) => book.join_group(name).0,
        None => book.nameless_group(),
    }
}

impl Book {
    /// The group without a name.
    pub(super) fn nameless_group(&mut self) -> GroupNumber {
        let before = self.now.groups.len();
        let number = self.now.groups.nameless();
        if self.now.groups.len() > before {
            self.changed();
        }
        number
    }

    fn retire_total(&mut self, before: &Retired, more: &Retired) {
        if retire(&mut self.now.total, before, more) {
            self.changed();
        }
    }

    fn retire_run(&mut self, run: RunNumber, before: &Retired, more: &Retired) {
        let run = self.run_mut(run);
        if run.is_some_and(|run| retire(&mut run.level, before, more)) {
            self.changed();
        }
    }

    fn retire_group(&mut self, group: GroupNumber, before: &Retired, more: &Retired) {
        let level = self.now.groups.level_mut(group);
        if level.is_some_and(|level| retire(level, before, more)) {
            self.changed();
        }
    }
}

/// Counts at a level what members have counted that were never seen, or not to their end: by how much `more`, what the
/// keeper says that has gone, is ahead of what has gone here since `before`.
fn retire(level: &mut Level, before: &Retired, more: &Retired) -> bool {
    let mut seen = level.retired;
    levels::zip_retired(&mut seen, before, |now, before| now.saturating_sub(before));
    let mut unseen = *more;
    levels::zip_retired(&mut unseen, &seen, |more, seen| more.saturating_sub(seen));
    if unseen == Retired::default() {
        return false;
    }
    levels::retire(level, &unseen);
    true
}

/// More time than all members of any keeper were in any state: a thousand million of them for 36 000 years.
const TIME_MAX_NS: u128 = 1 << 90;

/// By how much what has gone at a keeper has grown, and what is known of it from now on. It may be hostile: what no correct
/// keeper reaches is not believed, so that the sums have room for all others.
fn retired_growth(known: &mut Arc<Retired>, now: &Retired) -> Retired {
    let mut grown = *now;
    let counters_max = u128::from(COUNTER_MAX);
    levels::zip_retired(&mut grown, known, |now, known| {
        now.min(counters_max).saturating_sub(known)
    });
    for state in LifeCycle::ALL {
        let now = now.time_in_state_ns[state].min(TIME_MAX_NS);
        grown.time_in_state_ns[state] = now.saturating_sub(known.time_in_state_ns[state]);
    }
    if grown != Retired::default() && !is_broken(Rule::GoneCountsAgain) {
        levels::zip_retired(Arc::make_mut(known), &grown, u128::saturating_add);
    }
    grown
}
