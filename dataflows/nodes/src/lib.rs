//! What the Rust nodes of the examples share: reading the machine, drawing on a terminal, checking frames, ranking.

mod checksum;
mod figures;
mod ranking;
mod reading;
mod screen;
mod table;

pub use checksum::checksum;
pub use figures::{FIGURES, Figure, Figures};
pub use ranking::{Ranking, RankingError};
pub use reading::{CoreTimes, Reading, ReadingError};
pub use screen::Screen;
pub use table::Table;

use std::time::Duration;

/// Overrides the `--seconds` of every source, so that a test can run an example for a moment.
pub const SECONDS_VARIABLE: &str = "DATAFLOW_EXAMPLE_SECONDS";

/// How long a source runs: the environment's [`SECONDS_VARIABLE`], else the argument after `--seconds`.
/// `None`: until it is stopped.
///
/// # Errors
///
/// The text that is no number of seconds, or the argument that is not known.
pub fn seconds(
    arguments: impl Iterator<Item = String>,
    variable: Option<String>,
) -> Result<Option<Duration>, String> {
    let mut text = None;
    let mut arguments = arguments.skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => text = Some(arguments.next().ok_or("`--seconds` needs a number")?),
            other => {
                return Err(format!(
                    "unknown argument `{other}`; there is `--seconds N`"
                ));
            }
        }
    }
    let Some(text) = variable.or(text) else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Duration::try_from_secs_f64(seconds)
            .map(Some)
            .map_err(|error| format!("`{text}` seconds: {error}")),
        _ => Err(format!("`{text}` is no number of seconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str], variable: Option<&str>) -> Result<Option<Duration>, String> {
        let arguments = std::iter::once("program").chain(arguments.iter().copied());
        seconds(
            arguments.map(str::to_owned),
            variable.map(ToOwned::to_owned),
        )
    }

    #[test]
    fn the_environment_wins_over_the_argument() {
        let second = Duration::from_secs(1);
        assert_eq!(of(&[], None), Ok(None));
        assert_eq!(of(&["--seconds", "30"], None), Ok(Some(30 * second)));
        assert_eq!(of(&["--seconds", "30"], Some("0.5")), Ok(Some(second / 2)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (arguments, variable) in [
            (&["--seconds"][..], None),
            (&["--minutes", "1"], None),
            (&["--seconds", "-1"], None),
            (&["--seconds", "soon"], None),
            (&[], Some("nan")),
            (&[], Some("1e300")),
        ] {
            assert!(
                of(arguments, variable).is_err(),
                "{arguments:?} {variable:?}"
            );
        }
    }
}
