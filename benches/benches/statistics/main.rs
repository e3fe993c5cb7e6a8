//! `make bench`: what statistics cost, for 10 nodes and for a million, beside a naive recount and beside what dask's
//! scheduler keeps. With `cases=quick` there is less of each; `parts=cost,memory` are those parts alone.

mod at_rest;
mod cost;
mod cycles;
mod filled;
mod memory;
mod naive;
mod others;
mod page;
mod subscribers;
mod wire;

use std::error::Error;
use std::path::PathBuf;

use dataflow_benches::arguments::Arguments;

/// How many nodes there are.
const SIZES: [usize; 4] = [10, 1_000, 100_000, 1_000_000];

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Whether only the kind of each figure is of interest.
    is_quick: bool,
    /// How often each figure is taken; what is printed is the median.
    rounds: usize,
    /// How many nodes there are, from few to many.
    sizes: &'static [usize],
}

/// A part of the bench: its name, and what takes and prints its figures.
type Part = (&'static str, fn(Effort) -> Result<(), Box<dyn Error>>);

const PARTS: [Part; 8] = [
    ("cost", cost::print),
    ("memory", memory::print),
    ("others", others::print),
    ("subscribers", subscribers::print),
    ("wire", wire::print),
    ("page", page::print),
    ("cycles", cycles::print),
    ("at-rest", at_rest::print),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    match arguments.get::<String>("role").as_deref() {
        Ok("cycles") => return cycles::run(arguments.get("cycles")?),
        Ok("memory") => return memory::run(arguments.get("nodes")?),
        Ok("read") => {
            let socket: PathBuf = arguments.get("socket")?;
            return subscribers::read(&socket, arguments.get("subscribers")?);
        }
        _ => {}
    }
    let effort = match arguments.get::<String>("cases").as_deref() {
        Ok("quick") => Effort {
            is_quick: true,
            rounds: 3,
            sizes: &SIZES[..3],
        },
        _ => Effort {
            is_quick: false,
            rounds: 9,
            sizes: &SIZES,
        },
    };
    let wanted = arguments.get::<String>("parts").ok();
    let is_wanted = |name| match &wanted {
        Some(wanted) => wanted.split(',').any(|part| part == name),
        None => true,
    };
    for (name, print) in PARTS {
        if is_wanted(name) {
            print(effort)?;
        }
    }
    Ok(())
}
