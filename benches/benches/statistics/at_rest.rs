//! A real `dataflow up` that has nothing to do: what its statistics take of a processor while nobody looks, and while
//! somebody does.

use std::error::Error;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dataflow_benches::processes::{binary, processor_ns, resident_bytes};

use crate::Effort;

/// How many receivers there are, each with an edge.
const RECEIVERS: usize = 10;

/// How long the dataflow may take until it is up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends with the bench.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Prints what a dataflow at rest takes.
pub(crate) fn print(effort: Effort) -> Result<(), Box<dyn Error>> {
    let rest = Duration::from_secs(if effort.is_quick { 5 } else { 60 });
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(binary()?);
        command
            .args(arguments)
            .env("XDG_RUNTIME_DIR", folder)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok::<Command, Box<dyn Error>>(command)
    };
    fs::write(folder.join("rest.yml"), description())?;
    let up = Running(command(&["up", "rest.yml"])?.spawn()?);
    wait_until_up(&mut command(&["ps", "--json"])?)?;

    println!(
        "\na dataflow of {} nodes and {RECEIVERS} edges at rest, {} s each",
        RECEIVERS + 1,
        rest.as_secs()
    );
    let process = up.0.id();
    println!(
        "  nobody looks            {:>7.3} % of a core   (goal: < 0.1 %)",
        100.0 * share(process, rest)?
    );
    for (name, interval) in [("once a second", "1s"), ("10 times a second", "100ms")] {
        let mut top = Running(command(&["top", "--json", "--interval", interval])?.spawn()?);
        // Its first look is at everything.
        thread::sleep(Duration::from_secs(1));
        let (runtime, itself) = thread::scope(|scope| {
            let itself = scope.spawn(|| share(top.0.id(), rest).map_err(|why| why.to_string()));
            (share(process, rest), itself.join())
        });
        if let Some(status) = top.0.try_wait()? {
            return Err(format!("`dataflow top` ended with {status}").into());
        }
        let itself = itself.map_err(|_| "a thread that only reads /proc panicked")??;
        println!(
            "  top, {name:<18} {:>7.3} % of a core, and top itself {:.3} %",
            100.0 * runtime?,
            100.0 * itself
        );
    }
    println!(
        "  resident memory         {:>7.1} MB",
        resident_bytes(process)? as f64 / 1e6
    );
    Ok(())
}

/// A sender that has an hour until its next message, and its receivers.
fn description() -> String {
    let mut yaml = format!(
        "name: rest\nnodes:\n  - id: source\n    path: {}\n    args: [size=64, count=2, pace_ns=3600000000000]\n    \
         outputs: [out]\n",
        env!("CARGO_BIN_EXE_bench-source")
    );
    for receiver in 0..RECEIVERS {
        yaml += &format!(
            "  - id: sink-{receiver}\n    path: {}\n    args: [out=/dev/null, every=1]\n    inputs: {{ in: source/out }}\n",
            env!("CARGO_BIN_EXE_bench-sink")
        );
    }
    yaml
}

/// Waits until all receivers have been heard of.
fn wait_until_up(ps: &mut Command) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = ps.stdout(Stdio::piped()).output()?.stdout;
        let text = String::from_utf8_lossy(&said);
        if text.matches("\"ready\"").count() >= RECEIVERS {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("the dataflow is not up: {text}").into());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The part of a core that a process takes.
fn share(process: u32, rest: Duration) -> Result<f64, Box<dyn Error>> {
    let before_ns = processor_ns(process)?;
    let began = Instant::now();
    thread::sleep(rest);
    let used_ns = processor_ns(process)?.saturating_sub(before_ns);
    Ok(used_ns as f64 / began.elapsed().as_nanos() as f64)
}
