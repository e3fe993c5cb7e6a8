//! The live table: what it knows, and the lines it shows.

use std::collections::VecDeque;
use std::time::Duration;

use crate::figures::{FIGURES, Figure};

/// How many values the small graph of a figure shows.
const GRAPH_VALUES: usize = 40;
/// How long an unusual value stays marked.
const MARKED_FOR: Duration = Duration::from_secs(5);

/// What the table knows of one figure.
#[derive(Debug, Default)]
struct Row {
    values: VecDeque<f64>,
    low: f64,
    high: f64,
    unusual: u64,
    marked: Option<(Duration, String)>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    rows: [Row; FIGURES.len()],
    samples: u64,
    unusual: u64,
}

impl Table {
    /// Takes a sample's values in: `value` gives the one of a figure, if the sample has it.
    pub fn sample(&mut self, value: impl Fn(&Figure) -> Option<f64>) {
        self.samples += 1;
        for (row, figure) in self.rows.iter_mut().zip(&FIGURES) {
            let Some(value) = value(figure).filter(|value| value.is_finite()) else {
                continue;
            };
            if row.values.is_empty() {
                (row.low, row.high) = (value, value);
            }
            row.low = row.low.min(value);
            row.high = row.high.max(value);
            if row.values.len() == GRAPH_VALUES {
                row.values.pop_front();
            }
            row.values.push_back(value);
        }
    }

    /// Takes an unusual value in, and gives the line that says so. `None` when no figure has that key.
    pub fn unusual(
        &mut self,
        now: Duration,
        key: &str,
        value: f64,
        median: f64,
        score: f64,
    ) -> Option<String> {
        let place = FIGURES.iter().position(|figure| figure.key == key)?;
        let figure = &FIGURES[place];
        let row = &mut self.rows[place];
        self.unusual += 1;
        row.unusual += 1;
        let side = if score < 0.0 { "below" } else { "above" };
        let mark = format!(
            "{:.1} deviations {side} {}",
            score.abs(),
            figure.show(median)
        );
        let line = format!("unusual: {} {}, {mark}", figure.title, figure.show(value));
        row.marked = Some((now, mark));
        Some(line)
    }

    /// How many samples and unusual values there were.
    pub fn counts(&self) -> (u64, u64) {
        (self.samples, self.unusual)
    }

    /// The table, as lines of a terminal.
    pub fn lines(&self, now: Duration) -> Vec<String> {
        let mut lines = vec![
            format!(
                "─── this machine: {} samples, {} unusual {}",
                self.samples,
                self.unusual,
                "─".repeat(44)
            ),
            format!(
                "{:<9} {:>13} {:>13} {:>13}  {:<GRAPH_VALUES$}  unusual",
                "", "now", "lowest", "highest", "the last values"
            ),
        ];
        for (row, figure) in self.rows.iter().zip(&FIGURES) {
            let show = |value: f64| {
                if row.values.is_empty() {
                    "–".to_owned()
                } else {
                    figure.show(value)
                }
            };
            let mark = match &row.marked {
                Some((since, mark)) if now.saturating_sub(*since) < MARKED_FOR => mark.as_str(),
                _ => "",
            };
            let count = if row.unusual == 0 {
                String::new()
            } else {
                row.unusual.to_string()
            };
            lines.push(format!(
                "{:<9} {:>13} {:>13} {:>13}  {:<GRAPH_VALUES$}  {count} {mark}",
                figure.title,
                show(row.values.back().copied().unwrap_or(0.0)),
                show(row.low),
                show(row.high),
                graph(&row.values, row.low, row.high),
            ));
        }
        lines
    }

    /// The newest values, in one line.
    pub fn line(&self) -> String {
        self.rows
            .iter()
            .zip(&FIGURES)
            .filter_map(|(row, figure)| {
                let value = row.values.back()?;
                Some(format!("{} {}", figure.title, figure.show(*value)))
            })
            .collect::<Vec<_>>()
            .join("  ")
    }
}

/// The values as small columns, from the lowest to the highest seen.
fn graph(values: &VecDeque<f64>, low: f64, high: f64) -> String {
    const COLUMNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let range = high - low;
    values
        .iter()
        .map(|value| {
            let height = if range > 0.0 {
                (value - low) / range
            } else {
                0.0
            };
            COLUMNS[(height * 7.0).round().clamp(0.0, 7.0) as usize]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_the_newest_the_extremes_and_the_mark_for_a_while() {
        let mut table = Table::default();
        for value in [10.0, 30.0, 20.0] {
            table.sample(|figure| (figure.key == "cpu_percent").then_some(value));
        }
        let now = Duration::from_secs(10);
        let line = table.unusual(now, "cpu_percent", 20.0, 5.0, 7.25).unwrap();
        assert_eq!(line, "unusual: cpu 20.0 %, 7.2 deviations above 5.0 %");
        let cpu = &table.lines(now)[2];
        for part in ["20.0 %", "10.0 %", "30.0 %", "▁█▅", "7.2 deviations"] {
            assert!(cpu.contains(part), "{part} in {cpu}");
        }
        assert!(!table.lines(now + MARKED_FOR)[2].contains("deviations"));
        assert_eq!(table.line(), "cpu 20.0 %");
        assert_eq!(table.counts(), (3, 1));
    }

    #[test]
    fn a_figure_that_nobody_knows_is_not_counted() {
        let mut table = Table::default();
        assert_eq!(
            table.unusual(Duration::ZERO, "tea_cups", 1.0, 1.0, 1.0),
            None
        );
        assert_eq!(table.counts(), (0, 0));
    }
}
