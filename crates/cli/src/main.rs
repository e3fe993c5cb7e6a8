//! The binary `dataflow`: says what the other rooms do.

mod arguments;
mod check;
mod diagnostics;
mod down;
mod error;
mod graph;
mod json;
mod load;
mod logs;
mod ps;
mod report;
mod running;
mod signals;
mod style;
mod text;
mod up;

use std::io::{Write, stderr};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::arguments::{Arguments, Command};
use crate::error::CliError;
use crate::style::Style;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_standard_error();
    let result = match &arguments.command {
        Command::Up(arguments) => up::run(arguments),
        Command::Down(arguments) => down::run(arguments),
        Command::Ps(arguments) => ps::run(arguments),
        Command::Logs(arguments) => logs::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Graph(arguments) => graph::run(arguments),
    };
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

/// What the runtime itself logs, for the person on call: `DATAFLOW_LOG`, else `RUST_LOG`, else warnings.
fn log_to_standard_error() {
    let filter = ["DATAFLOW_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|variable| EnvFilter::try_from_env(variable).ok())
        .unwrap_or_else(|| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(Style::of(&stderr()) != Style::PLAIN)
        .init();
}
