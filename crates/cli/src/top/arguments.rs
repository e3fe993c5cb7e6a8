//! What can be typed after `dataflow top`.

use std::time::Duration;

use clap::Args;
use dataflow_descriptor::duration_from_text;

use super::tables::Tab;

/// Nobody is told more often than this.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// And who looks less often does not look.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow top                        everything that runs in this folder or below; ? shows the keys
  dataflow top vision --sort cpu      one dataflow, its busiest nodes first
  dataflow top --once                 the same as text, once
  dataflow top --once --json          as one JSON object; --json alone writes one a line, until all have ended, or NAME has

It looks and touches nothing: what runs goes on as before. P50 and P99 come from histograms that the edges keep; the
rates are over the last interval. The exit code of --once is 1 when a runtime does not answer.")]
pub(crate) struct TopArguments {
    /// The dataflow's name, or its YAML file
    pub(crate) dataflow: Option<String>,
    /// Write it once, and do not stay; rates are over one interval
    #[arg(long)]
    pub(crate) once: bool,
    /// Write one JSON object a line, or with --once one object
    #[arg(long)]
    pub(crate) json: bool,
    /// How often to look, as 1s or 500ms, from 100ms to 60s
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Order the tables that have this column by it, as cpu, memory, p99, drops; `dataflow top` explains them with `?`
    #[arg(long, value_name = "COLUMN", value_parser = column, conflicts_with = "json")]
    pub(crate) sort: Option<String>,
    /// Show only rows that have this text in one of theirs
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "json"
    )]
    pub(crate) filter: String,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration_from_text(text)?;
    match (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        true => Ok(interval),
        false => Err("it can be 100ms to 60s".to_owned()),
    }
}

/// The name of a column that some table has.
fn column(text: &str) -> Result<String, String> {
    let mut names: Vec<&str> = Tab::ALL
        .iter()
        .flat_map(|tab| tab.headings())
        .map(|heading| heading.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    let wanted = text.to_lowercase();
    match names.contains(&wanted.as_str()) {
        true => Ok(wanted),
        false => Err(format!("the columns are {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_known_by_its_name_and_an_unknown_one_is_told_which_there_are() {
        assert_eq!(column("CPU").as_deref(), Ok("cpu"));
        let error = column("weight").unwrap_err();
        assert!(error.contains("cpu, ") && error.contains("p99"), "{error}");
    }

    #[test]
    fn an_interval_is_neither_too_short_nor_for_ever() {
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        assert!(interval("99ms").is_err());
        assert!(interval("61s").is_err());
        assert!(interval("often").is_err());
    }
}
