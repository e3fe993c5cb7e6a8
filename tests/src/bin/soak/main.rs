//! `dataflow-soak`: real dataflows, killed, stopped, paused and flooded for as long as it is told, with every
//! message accounted for after each cycle. `make soak MINUTES=10 [SEED=…]`.

mod arguments;
mod chaos;
mod engine;
mod kind;
mod node_kills;
mod oddities;
mod runtime_kills;
mod shape;
mod standstills;
mod stops;
mod tally;
mod volume;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    dataflow_tests::bundles_into(arguments.bundles());
    engine::run(&arguments)
}
