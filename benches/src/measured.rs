//! One measured dataflow: a source and a sink under the real `dataflow up`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::figures::Latencies;

/// Where the programs of a measurement lie.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The binary `dataflow`.
    pub dataflow: PathBuf,
    /// The sending node.
    pub source: PathBuf,
    /// The receiving node in Rust.
    pub sink: PathBuf,
    /// The receiving node in Python.
    pub python_sink: PathBuf,
}

/// Which language receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkLanguage {
    /// `bench-sink`.
    Rust,
    /// `bench_sink.py`.
    Python,
}

/// What is measured.
#[derive(Debug, Clone)]
pub struct Case {
    /// Payload, in bytes.
    pub size: usize,
    /// How many messages.
    pub count: u64,
    /// The time between two messages; 0: flat out.
    pub pace_ns: u64,
    /// The queue's policy, as the YAML writes it.
    pub policy: &'static str,
    /// The queue's size.
    pub queue_size: u32,
    /// Who receives.
    pub sink: SinkLanguage,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Latency of the sampled messages.
    pub latencies: Latencies,
    /// Messages that arrived.
    pub arrived: u64,
    /// From the first arrival to the last sampled one, in seconds.
    pub seconds: f64,
    /// CPU time that the runtime took while messages flowed, in seconds (resolution: 10 ms).
    pub runtime_cpu_seconds: f64,
}

impl Outcome {
    /// Messages a second, from the first arrival to the last.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 {
            (self.arrived.saturating_sub(1)) as f64 / self.seconds
        } else {
            0.0
        }
    }
}

/// Runs one case to its end in a folder of its own.
///
/// # Errors
///
/// When the dataflow does not end well; what it printed is in the error.
pub fn measure(programs: &Programs, case: &Case) -> Result<Outcome, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("latencies");
    let sink = match case.sink {
        SinkLanguage::Rust => &programs.sink,
        SinkLanguage::Python => &programs.python_sink,
    };
    // At most some 200,000 samples a case.
    let every = (case.count / 200_000).max(1);
    let yaml = format!(
        "name: bench\nnodes:\n  - id: source\n    path: {source}\n    args: [size={size}, count={count}, \
         pace_ns={pace}]\n    outputs: [out]\n  - id: sink\n    path: {sink}\n    args: [\"out={out}\", \
         every={every}]\n    inputs:\n      in: {{ source: source/out, queue_size: {queue}, queue_policy: \
         {policy} }}\n",
        source = programs.source.display(),
        size = case.size,
        count = case.count,
        pace = case.pace_ns,
        sink = sink.display(),
        out = out.display(),
        queue = case.queue_size,
        policy = case.policy,
    );
    let file = folder.path().join("dataflow.yml");
    fs::write(&file, yaml)?;
    let run = Command::new(&programs.dataflow)
        .arg("up")
        .arg(&file)
        .env("XDG_RUNTIME_DIR", folder.path())
        .stdin(Stdio::null())
        .output()?;
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        return Err(format!("{} ended with {}: {said}", file.display(), run.status).into());
    }
    read(&out)
}

fn read(file: &Path) -> Result<Outcome, Box<dyn Error>> {
    let text = fs::read_to_string(file)?;
    let mut lines = text.lines();
    let head = lines.next().ok_or("the sink wrote nothing")?;
    let mut numbers = head.split(' ').map(str::parse::<u64>);
    let mut number = || {
        numbers
            .next()
            .ok_or("the sink's first line is short")?
            .map_err(Box::<dyn Error>::from)
    };
    let (arrived, first_ns, last_ns, runtime_ticks) = (number()?, number()?, number()?, number()?);
    let samples_ns = lines.map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    Ok(Outcome {
        latencies: Latencies::new(samples_ns),
        arrived,
        seconds: last_ns.saturating_sub(first_ns) as f64 / 1e9,
        runtime_cpu_seconds: runtime_ticks as f64 / TICKS_PER_SECOND,
    })
}

/// The kernel's unit of CPU time in `/proc/PID/stat` (`USER_HZ`, 100 on every Linux of today).
const TICKS_PER_SECOND: f64 = 100.0;
