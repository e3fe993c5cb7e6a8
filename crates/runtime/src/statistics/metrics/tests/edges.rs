//! Which edges have metrics of their own, and that all members together are the total at any time.

use std::collections::BTreeMap;

use dataflow_core::Time;
use dataflow_core::random::Random;
use dataflow_core::stats::Book;
use dataflow_ids::stats::{EdgeKey, RunNumber};

use super::super::Format;
use super::super::page::Exporter;
use super::{add_edge, add_run, book, counted, empty, facts};

const SENT: &str = "dataflow_edge_messages_sent_total";
const COUNTED: &str = "dataflow_edge_message_latency_seconds_count";

/// Every member of a family, with its number.
fn members(page: &str, family: &str) -> BTreeMap<String, u64> {
    let lines = page.lines().filter_map(|line| line.strip_prefix(family));
    let member = |line: &str| {
        let (labels, number) = line.rsplit_once(' ').unwrap();
        (labels.to_owned(), number.parse().unwrap())
    };
    lines
        .filter(|line| line.starts_with('{'))
        .map(member)
        .collect()
}

/// What an observer of a family adds up: by how much each member has grown since the page before.
fn growth(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> u64 {
    let grown = now.iter().map(|(labels, number)| {
        let was = before.get(labels).copied().unwrap_or(0);
        assert!(*number >= was, "{labels} has fallen from {was} to {number}");
        number - was
    });
    grown.sum()
}

#[test]
fn edges_above_the_limit_are_one_more_member() {
    let mut exporter = Exporter::with_edges_max(3);
    let mut book = book(&[10; 8]);
    let page = exporter.page(facts(&mut book), Format::OpenMetrics);
    let page = page.unwrap();
    let sent = members(&page, SENT);
    assert_eq!(sent.len(), 4);
    let others = sent.iter().find(|(labels, _)| labels.contains("(others)"));
    assert_eq!(others.map(|(_, number)| *number), Some(50));
    assert_eq!(sent.values().sum::<u64>(), 80);
    assert_eq!(members(&page, COUNTED).values().sum::<u64>(), 80);
}

/// Edges that come, count, and go, at random.
struct World {
    random: Random,
    book: Book,
    runs: Vec<RunNumber>,
    edges: Vec<(EdgeKey, u64)>,
    next_edge: u32,
}

impl World {
    /// One of so many.
    fn one_of(&mut self, count: usize) -> Option<usize> {
        (count > 0).then(|| self.random.draw() as usize % count)
    }

    fn add_edge(&mut self, run: RunNumber) {
        let key = add_edge(&mut self.book, run, self.next_edge);
        self.next_edge += 1;
        self.edges.push((key, 0));
    }

    fn step(&mut self) {
        match self.random.draw() % 12 {
            0 => {
                let run = add_run(&mut self.book, u64::from(self.next_edge) + 1000);
                self.next_edge += 1;
                self.runs.push(run);
                for _ in 0..self.random.draw() % 5 {
                    self.add_edge(run);
                }
            }
            1 => {
                // To a run that was there before.
                if let Some(place) = self.one_of(self.runs.len()) {
                    self.add_edge(self.runs[place]);
                }
            }
            2 => {
                if let Some(place) = self.one_of(self.runs.len()) {
                    let run = self.runs.remove(place);
                    self.edges.retain(|(key, _)| key.run != run);
                    (self.book.remove_dataflow(Time::START, run)).unwrap();
                }
            }
            3 => {
                if let Some(place) = self.one_of(self.edges.len()) {
                    let (key, _) = self.edges.remove(place);
                    self.book.remove_edge(key).unwrap();
                }
            }
            _ => {
                if let Some(place) = self.one_of(self.edges.len()) {
                    let more = self.random.draw() % 100;
                    let (key, sent) = &mut self.edges[place];
                    *sent += more;
                    self.book.edge_read(*key, &counted(*sent)).unwrap();
                }
            }
        }
    }
}

#[test]
fn all_members_together_grow_as_the_total_does_and_none_falls() {
    for seed in 1..=10 {
        let mut world = World {
            random: Random::new(seed),
            book: empty(),
            runs: Vec::new(),
            edges: Vec::new(),
            next_edge: 0,
        };
        let mut exporter = Exporter::with_edges_max(4);
        let mut before = [BTreeMap::new(), BTreeMap::new()];
        let mut grown = [0, 0];
        let mut most = 0;
        for _ in 0..100 {
            for _ in 0..world.random.draw() % 8 {
                world.step();
            }
            let facts = facts(&mut world.book);
            let total = facts.snapshot.total().into.sent.get();
            let page = exporter.page(facts, Format::OpenMetrics).unwrap();
            for (place, family) in [SENT, COUNTED].into_iter().enumerate() {
                let now = members(&page, family);
                most = most.max(now.len());
                grown[place] += growth(&before[place], &now);
                before[place] = now;
                assert_eq!(grown[place], total, "seed {seed}, {family}");
            }
        }
        assert_eq!(most, 5, "seed {seed}");
    }
}
