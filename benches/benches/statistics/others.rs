//! What others keep: the states of the tasks of one name in dask's scheduler, which counted them at each query in
//! 2024.1.0 and keeps the counts today.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Effort;

/// The versions that `scripts/dask-environment` knows.
const VERSIONS: [&str; 2] = ["newest", "2024.1.0"];

/// Prints what a change and a query cost there. Without a registry to install from it says so, and is done.
pub(crate) fn print(effort: Effort) -> Result<(), Box<dyn Error>> {
    println!(
        "\ndask `distributed`, 10 tasks in a group, 10 names (`TaskPrefix.states`; medians of 9 batches)\n  \
         version        tasks     change       a name        all names    memory a task"
    );
    for version in VERSIONS {
        match figures(version, effort.sizes) {
            Ok(printed) => print!("{printed}"),
            Err(why) => println!("  {version}: not measured: {why}"),
        }
    }
    Ok(())
}

/// A line for each number of tasks.
fn figures(version: &str, sizes: &[usize]) -> Result<String, Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = printed(Command::new(here.join("../scripts/dask-environment")).arg(version))?;
    let printed = printed(
        Command::new(PathBuf::from(python.trim()))
            .arg(here.join("python/task_prefixes.py"))
            .args(sizes.iter().map(usize::to_string))
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )?;
    let mut lines = String::new();
    for line in printed.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [version, tasks, figures @ ..] = words.as_slice() else {
            return Err(format!("it printed {line:?}").into());
        };
        let figures = figures.iter().map(|figure| figure.parse());
        let [change, one, all, bytes] = figures.collect::<Result<Vec<f64>, _>>()?[..] else {
            return Err(format!("it printed {line:?}").into());
        };
        lines += &format!(
            "  {version:<10} {tasks:>9}  {change:>6.0} ns  {one:>10.0} ns  {all:>12.0} ns    {bytes:>6.0} bytes\n"
        );
    }
    Ok(lines)
}

/// What a program prints that ends well.
fn printed(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
