//! `dataflow up`: runs a dataflow, here, in the background, or on the agent of this machine.

mod background;
mod build;
mod downloads;
mod hosted;
mod show;
mod speaker;
mod started;

use std::path::PathBuf;
use std::sync::mpsc;

use dataflow_descriptor::Dataflow;
use dataflow_runtime::registry;
use dataflow_runtime::{Interruption, RunError, RunEvent, RunOptions, prepare};
use dataflow_wire::status::Report;

use crate::arguments::{MB, UpArguments};
use crate::error::{CliError, Exit};
use crate::signals::{Heard, Signals};
use crate::{load, report, running, say};

use self::show::Show;
use self::speaker::{Said, Speaker};
use self::started::Started;

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when the run could not begin or broke off. A node's failure is an [`Exit`].
pub(crate) fn run(arguments: &UpArguments) -> Result<Exit, CliError> {
    if arguments.background {
        background::leave_the_terminal()?;
    }
    running::text_of(&arguments.file)?;
    let show = Show::of(arguments);
    let ground = Ground {
        terminal: show.terminal(),
        has_lines: show.has_lines(),
    };
    let speaker = Speaker::start(show)?;
    let signals = Signals::watch({
        let speaker = speaker.clone();
        move |heard| match heard {
            Heard::Stop => speaker.say(Said::Stopping),
            Heard::Force => {
                speaker.say(Said::Forced);
                speaker.hurry();
            }
            Heard::Leave => speaker.hurry(),
        }
    })?;
    let result = run_with(arguments, ground, &speaker, &signals);
    speaker.finish();
    result
}

/// What is known of whoever reads.
struct Ground {
    /// The terminal that nodes may draw on.
    terminal: Option<PathBuf>,
    /// Whether the nodes' lines are said here.
    has_lines: bool,
}

fn run_with(
    arguments: &UpArguments,
    ground: Ground,
    speaker: &Speaker,
    signals: &Signals,
) -> Result<Exit, CliError> {
    if arguments.build {
        build::all(&load::load_before_build(&arguments.file)?, signals)?;
    }
    let dataflow = load::load(&arguments.file)?;
    let may_host = !arguments.no_agent && !arguments.background;
    if may_host && let Some(agent) = registry::agent()? {
        return hosted::run(&agent, &dataflow, arguments, ground, speaker, signals);
    }
    if arguments.detach {
        return background::start(arguments, speaker, signals);
    }
    match run_here(&dataflow, arguments, ground, speaker, signals) {
        // How it ended is said all the same, since it will stand nowhere else.
        Err(CliError::Run(RunError::ReportNotWritten { source, report })) => {
            match finish(*report, speaker) {
                Exit::Done => Err(CliError::ReportNotWritten { source }),
                exit => {
                    say(&CliError::ReportNotWritten { source }.to_string(), None);
                    Ok(exit)
                }
            }
        }
        report => Ok(finish(report?, speaker)),
    }
}

/// Runs the dataflow in this process until it has ended.
fn run_here(
    dataflow: &Dataflow,
    arguments: &UpArguments,
    ground: Ground,
    speaker: &Speaker,
    signals: &Signals,
) -> Result<Report, CliError> {
    let interruption = Interruption::default();
    signals.go_to_preparation(interruption.clone());
    // Where downloads have their bars, no node draws.
    let terminal = ground.terminal.filter(|_| dataflow.models.is_empty());
    let draws = terminal.is_some();
    let options = RunOptions {
        force_after: arguments.force_after.force_after,
        log_bytes_max: Some(arguments.log_mb * MB),
        fetch_bytes_per_second_max: arguments.limit_rate.limit_rate,
        metrics: arguments.metrics.metrics,
        terminal,
        interruption,
        ..RunOptions::default()
    };
    let run = prepare(dataflow.clone(), options)?;
    let started = Started::now(dataflow, run.name()).with_metrics(run.metrics_address());
    speaker.say(Said::Started(started));
    signals.go_to_dataflow(run.controls());
    let (to_speaker, events) = mpsc::channel();
    // Never waits, so that what the runtime says waits in the speaker's queue, which has a limit.
    let passing_on = {
        let speaker = speaker.clone();
        std::thread::Builder::new()
            .name("dataflow-events".to_owned())
            .spawn(move || {
                for event in events {
                    if ground.has_lines || !matches!(event, RunEvent::Log { .. }) {
                        speaker.say(Said::Event(event));
                    }
                }
            })
            .map_err(CliError::system("start the thread that listens to the run"))?
    };
    let report = run.block_on(to_speaker);
    // All that was said comes before the summary. It only passes on, so it cannot have panicked.
    let _ = passing_on.join();
    signals.go_to_report();
    if draws {
        speaker.say(Said::TerminalIsFree);
    }
    Ok(report?)
}

/// Says how it ended.
fn finish(report: Report, speaker: &Speaker) -> Exit {
    let exit = report::exit(&report);
    if exit == Exit::Forced {
        speaker.hurry();
    }
    speaker.say(Said::Ended(Box::new(report)));
    exit
}
