//! `dataflow top`: what runs, as it runs. Figures are made of what runtimes say, a view decides which of them are shown,
//! and only what draws knows of a terminal.

pub(crate) mod arguments;
mod board;
#[cfg(feature = "top")]
mod draw;
#[cfg(test)]
mod example;
mod figures;
#[cfg(feature = "top")]
mod help;
mod line;
#[cfg(feature = "top")]
mod live;
mod numbers;
mod once;
mod past;
#[cfg(feature = "top")]
mod screen;
mod sources;
mod summary;
mod tables;
#[cfg(feature = "top")]
mod view;
mod waits;

use std::sync::mpsc;

use crate::error::{CliError, Exit};
use crate::running;
use crate::signals::{Heard, Signals};

use self::arguments::TopArguments;
use self::board::Board;
use self::sources::{Event, Sources};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when the dataflow that was named does not run, or there is no terminal to show it.
pub(crate) fn run(arguments: &TopArguments) -> Result<Exit, CliError> {
    let is_live = !arguments.once && !arguments.json;
    if is_live {
        can_be_live()?;
    }
    let which = arguments.dataflow.as_deref();
    let found = sources::find(which)?;
    if found.is_empty() && which.is_some() {
        return Err(running::none(which)?);
    }
    let (to_us, events) = mpsc::channel();
    let (on_signal, looks_around) = (to_us.clone(), to_us.clone());
    let signals = Signals::watch(move |heard| {
        if heard == Heard::Leave {
            let _ = on_signal.send(Event::Leave);
        }
    })?;
    signals.go_to_command();
    if signals.interrupted() {
        return Err(CliError::Interrupted);
    }
    let mut board = Board::new(arguments.interval);
    let mut sources = Sources::new(arguments.interval, to_us);
    sources.found(found, &mut board)?;
    if arguments.once {
        return once::once(arguments, &mut board, &sources, &events);
    }
    sources::look_around(arguments.dataflow.clone(), looks_around)?;
    if arguments.json {
        return once::lines(arguments, &mut board, &mut sources, &events);
    }
    live(arguments, board, sources, events)
}

#[cfg(feature = "top")]
use self::live::{can_be_live, run as live};

/// Without the live table there is nothing to stay for.
#[cfg(not(feature = "top"))]
fn can_be_live() -> Result<(), CliError> {
    Err(CliError::NoLiveTable)
}

#[cfg(not(feature = "top"))]
fn live(
    _: &TopArguments,
    _: Board,
    _: Sources,
    _: mpsc::Receiver<Event>,
) -> Result<Exit, CliError> {
    Err(CliError::NoLiveTable)
}
