//! `dataflow up`: runs a dataflow, here or in the background.

mod background;
mod build;
mod show;

use std::sync::mpsc;

use dataflow_descriptor::Dataflow;
use dataflow_runtime::{RunOptions, prepare};
use dataflow_wire::status::Report;

use crate::arguments::UpArguments;
use crate::error::{CliError, Exit};
use crate::signals::Signals;
use crate::{load, report, say};

use self::show::{Show, Started};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when the run could not begin or broke off. A node's failure is an [`Exit`].
pub(crate) fn run(arguments: &UpArguments) -> Result<Exit, CliError> {
    if arguments.background {
        background::leave_the_terminal()?;
    }
    let show = Show::of(arguments);
    let signals = Signals::watch({
        let show = show.clone();
        move |count| show.signal(count)
    })?;
    if arguments.build {
        build::all(&load::load_before_build(&arguments.file)?, &signals)?;
    }
    let dataflow = load::load(&arguments.file)?;
    if arguments.detach {
        return background::start(arguments, &show, &signals);
    }
    let report = run_here(&dataflow, arguments, &show, &signals)?;
    Ok(finish(&report, &show))
}

/// Runs the dataflow in this process until it has ended.
fn run_here(
    dataflow: &Dataflow,
    arguments: &UpArguments,
    show: &Show,
    signals: &Signals,
) -> Result<Report, CliError> {
    let options = RunOptions {
        force_after: arguments.force_after.force_after,
        terminal: show.terminal(),
        ..RunOptions::default()
    };
    show.align(dataflow);
    let run = prepare(dataflow.clone(), options)?;
    let started = Started::now(dataflow, run.name());
    show.started(&started);
    signals.go_to_dataflow(run.controls());
    let (to_show, events) = mpsc::channel();
    let shower = {
        let show = show.clone();
        std::thread::Builder::new()
            .name("dataflow-show".to_owned())
            .spawn(move || {
                for event in events {
                    show.event(&event, &started);
                }
            })
            .map_err(CliError::system("start the thread that writes"))?
    };
    let report = run.block_on(to_show);
    // All that was said comes before the summary. It only writes, so it cannot have panicked.
    let _ = shower.join();
    show.give_the_terminal_back();
    Ok(report?)
}

/// Says how it ended.
fn finish(report: &Report, show: &Show) -> Exit {
    show.ended(report);
    if show.is_for_people_or_programs() {
        for (what, help) in report::failures(report) {
            say(&what, Some(&help));
        }
    }
    report::exit(report)
}
