//! What memory a node takes: in a process of its own, with so many nodes and as many edges.

use std::error::Error;
use std::hint::black_box;
use std::process::{Command, Stdio};

use dataflow_benches::processes::resident_bytes;

use crate::Effort;
use crate::filled::{Filled, make};

/// Prints it for each number of nodes.
pub(crate) fn print(effort: Effort) -> Result<(), Box<dyn Error>> {
    println!(
        "\nresident memory a node (goal: ≤ 450 bytes), all of them changed since the last snapshot but one"
    );
    for &size in effort.sizes {
        // Of fewer, nothing is to be seen in the pages of a process.
        if size < 10_000 {
            continue;
        }
        let output = Command::new(std::env::current_exe()?)
            .args(["role=memory", &format!("nodes={size}")])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("it ended with {}", output.status).into());
        }
        println!("{}", String::from_utf8(output.stdout)?.trim_end());
    }
    Ok(())
}

/// Makes so many, and prints what each takes.
pub(crate) fn run(size: usize) -> Result<(), Box<dyn Error>> {
    let resident = || resident_bytes(std::process::id());
    let before = resident()?;
    let mut filled = Filled::new(size);
    let alone = resident()? - before;
    let published = filled.book.publish(filled.now());
    let transitions = filled.transitions(size * 2);
    let before_copies = resident()?;
    make(&mut filled.book, &transitions);
    let copies = resident()? - before_copies;
    black_box(published.revision());
    let each = |bytes: u64| bytes as f64 / size as f64;
    // The bench keeps eight bytes of a node, and makes its walk of transitions before they are looked at.
    println!(
        "  {size:>9} nodes: {:>5.0} bytes, and {:>5.0} more while a snapshot from before has all of them",
        each(alone) - 8.0,
        each(copies)
    );
    Ok(())
}
