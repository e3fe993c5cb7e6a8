//! `dataflow top` without a terminal: as text, once, or as JSON, once or again and again.

use std::io::{Write, stdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::error::{CliError, Exit};
use crate::output;
use crate::running;
use crate::style::Style;

use super::arguments::TopArguments;
use super::board::{Board, Said};
use super::figures::{Picture, RuntimeKind};
use super::line::{Line, Look};
use super::past::Past;
use super::sources::{Event, Sources};
use super::summary;
use super::tables::{Tab, Wishes, fit};

/// How long runtimes are waited for, all together, beside the interval.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Writes what is known after one interval.
///
/// # Errors
///
/// [`CliError`] when it cannot be written.
pub(super) fn once(
    arguments: &TopArguments,
    board: &mut Board,
    sources: &Sources,
    events: &Receiver<Event>,
) -> Result<Exit, CliError> {
    gather(board, sources, events, arguments.interval)?;
    let picture = board.picture(sources.now());
    let text = match arguments.json {
        true => json(&picture)? + "\n",
        false if picture.runtimes.is_empty() => {
            format!(
                "no dataflow runs in {} or below\n",
                running::here()?.display()
            )
        }
        false => {
            let style = Style::of(&stdout());
            let wishes = |tab| Wishes::of(tab, arguments.sort.as_deref(), &arguments.filter);
            let lines: Vec<String> = text(&picture, &wishes)
                .iter()
                .map(|line| line.styled(style))
                .collect();
            lines.join("\n") + "\n"
        }
    };
    output::write(&text)?;
    // Who has named a dataflow has asked for no agent.
    let is_asked = |kind| arguments.dataflow.is_none() || kind == RuntimeKind::Dataflow;
    let is_silent = |runtime: &super::figures::RuntimeFigures| {
        runtime.error.is_some() && is_asked(runtime.about.kind)
    };
    Ok(match picture.runtimes.iter().any(is_silent) {
        true => Exit::Failed,
        false => Exit::Done,
    })
}

/// Waits until each runtime has said enough for rates over `interval`, or does not answer.
fn gather(
    board: &mut Board,
    sources: &Sources,
    events: &Receiver<Event>,
    interval: Duration,
) -> Result<(), CliError> {
    // A runtime says what it has at once, then at the end of an interval that has begun, and then of a whole one.
    let deadline = Instant::now() + 2 * interval + ANSWER_WAIT_MAX;
    while !board.is_complete(Past::has_rates) {
        let left = deadline.saturating_duration_since(Instant::now());
        match events.recv_timeout(left).map(Event::said) {
            Ok(Ok((number, said))) => board.said(sources.now(), number, said),
            Ok(Err(Event::Leave)) => return Err(CliError::Interrupted),
            Ok(Err(_)) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    board.missing(super::sources::why_silent);
    Ok(())
}

/// Writes a line of JSON once in an interval, and one when a runtime has ended, with its last figures: until all have
/// ended or nobody reads.
///
/// # Errors
///
/// [`CliError`] when it cannot be written.
pub(super) fn lines(
    arguments: &TopArguments,
    board: &mut Board,
    sources: &mut Sources,
    events: &Receiver<Event>,
) -> Result<Exit, CliError> {
    let mut due = Instant::now() + arguments.interval;
    // Who has named a dataflow does not wait for the end of the agent that runs it.
    let is_over = |board: &Board| match arguments.dataflow {
        Some(_) => board.has_no_dataflow(),
        None => board.is_empty(),
    };
    while !is_over(board) {
        let left = due.saturating_duration_since(Instant::now());
        match events.recv_timeout(left).map(Event::said) {
            Ok(Ok((number, said))) => {
                // What it has said at last would be in no line: how it ended.
                let is_end = matches!(said, Said::Ended);
                if is_end && !write_line(&board.picture(sources.now()))? {
                    return Ok(Exit::Done);
                }
                board.said(sources.now(), number, said);
            }
            Ok(Err(Event::Found(Ok(found)))) => sources.found(found, board)?,
            Ok(Err(Event::Found(Err(why)))) => output::note(&why),
            Ok(Err(Event::Leave)) => return Ok(Exit::Done),
            Ok(Err(_)) => {}
            Err(_) => {
                // What was due while this process was stopped, or nobody read, is not written at once.
                due = (due + arguments.interval).max(Instant::now());
                if !write_line(&board.picture(sources.now()))? {
                    return Ok(Exit::Done);
                }
            }
        }
    }
    Ok(Exit::Done)
}

/// Writes a line; gives whether anybody reads.
fn write_line(picture: &Picture) -> Result<bool, CliError> {
    let line = json(picture)? + "\n";
    let mut out = stdout().lock();
    let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    output::or_read_no_more(written)
}

fn json(picture: &Picture) -> Result<String, CliError> {
    serde_json::to_string(picture)
        .map_err(std::io::Error::other)
        .map_err(CliError::system("write the figures as JSON"))
}

/// Every table that has rows, as wide as it is.
fn text(picture: &Picture, wishes: &dyn Fn(Tab) -> Wishes) -> Vec<Line> {
    let mut lines = vec![Line::of(summary::who(picture), Look::Strong)];
    let totals = summary::totals(picture, usize::MAX);
    lines.extend(Some(totals).filter(|line| line.width() > 0));
    for runtime in &picture.runtimes {
        let about = &runtime.about;
        let what = match about.kind {
            RuntimeKind::Dataflow => about.name.clone(),
            RuntimeKind::Agent => format!("agent {}", about.name),
        };
        let run = about
            .run
            .as_ref()
            .map_or(String::new(), |run| format!(", run {run}"));
        let line = Line::of(
            format!("{what} (pid {}{run}, {})", about.pid, about.file),
            Look::Faint,
        );
        lines.push(match &runtime.error {
            Some(trouble) => line.and(format!(": {trouble}"), Look::Wrong),
            None => line,
        });
    }
    for tab in Tab::ALL {
        let wishes = wishes(tab);
        let sheet = tab.sheet(picture, &wishes, &mut |ids| 0..ids.len());
        // A group of one node says what the node says.
        let is_needless = tab == Tab::Groups && sheet.total >= Tab::Nodes.rows(picture);
        if sheet.ids.is_empty() || is_needless {
            continue;
        }
        let fitted = fit(
            &sheet,
            wishes.sort.as_deref(),
            wishes.is_reversed,
            usize::MAX / 2,
        );
        lines.push(Line::default());
        lines.push(fitted.heading);
        lines.extend(fitted.rows);
    }
    lines
}
