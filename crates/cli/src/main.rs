//! The binary `dataflow`: says what the other rooms do.

mod agent;
mod arguments;
mod check;
mod diagnostics;
mod down;
mod error;
mod graph;
mod json;
mod load;
mod log;
mod logs;
mod metrics;
mod models;
mod output;
mod peers;
mod process;
mod ps;
mod report;
mod running;
mod signals;
mod silence;
mod style;
mod text;
mod top;
mod up;
mod wish;

use std::io::{Write, stderr};
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::error::{CliError, Exit};
use crate::log::Log;
use crate::style::Style;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Log::to_standard_error(arguments.command.log_default()).and_then(|log| {
        let result = run(&arguments.command);
        log.finish();
        result
    });
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            if !matches!(error, CliError::Said(_)) {
                say(&error.to_string(), error.help().as_deref());
            }
            error.exit().into()
        }
    }
}

fn run(command: &Command) -> Result<Exit, CliError> {
    match command {
        Command::Up(arguments) => up::run(arguments),
        Command::Down(arguments) => down::run(arguments),
        Command::Stop(arguments) => wish::stop(arguments),
        Command::Restart(arguments) => wish::restart(arguments),
        Command::Ps(arguments) => ps::run(arguments),
        Command::Top(arguments) => top::run(arguments),
        Command::Logs(arguments) => logs::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::Agent(arguments) => agent::run(arguments),
        Command::Peers(arguments) => peers::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Graph(arguments) => graph::run(arguments),
    }
}

/// Says on standard error what is wrong, and what to do about it.
fn say(what: &str, help: Option<&str>) {
    let mut err = stderr().lock();
    let style = Style::of(&err);
    let help = help.map_or(String::new(), |help| {
        format!("{} {help}\n", style.strong("help:"))
    });
    // There is no other place to say that standard error has gone.
    let _ = err.write_all(format!("{} {what}\n{help}", style.wrong("error:")).as_bytes());
}
