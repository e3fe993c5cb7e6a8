//! Verifies the checksum of every frame, and says how fast they come. Ends with an error when a frame was
//! damaged or out of order, and, with `--lossless`, when one is missing.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dataflow_examples::checksum;
use dataflow_node::{Event, Input, Node, Value};

/// The pace of lines.
const LINE_EVERY: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was right.
fn run() -> Result<bool, Box<dyn Error>> {
    let mut lossless = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--lossless" => lossless = true,
            other => {
                return Err(format!("unknown argument `{other}`; there is `--lossless`").into());
            }
        }
    }
    let mut tally = Tally::default();
    let mut second = Pace::new();
    let mut whole = Pace::new();
    let mut node = Node::connect()?;
    while let Some(event) = node.recv()? {
        let Event::Input(input) = event else { continue };
        tally.take(&input);
        let bytes = input.payload().len() as u64;
        whole.take(bytes);
        second.take(bytes);
        if second
            .since
            .is_some_and(|since| since.elapsed() >= LINE_EVERY)
        {
            println!("{second}, {} frames so far, {tally}", whole.frames);
            second = Pace::new();
        }
    }
    println!("checked {} frames: {whole}; {tally}", whole.frames);
    Ok(tally.damaged == 0 && tally.out_of_order == 0 && !(lossless && tally.missing > 0))
}

/// What was wrong.
#[derive(Debug, Default)]
struct Tally {
    last: Option<i64>,
    damaged: u64,
    out_of_order: u64,
    missing: u64,
}

impl Tally {
    fn take(&mut self, input: &Input) {
        let frame = input.metadata().get("frame").and_then(Value::as_i64);
        let promised = input.metadata().get("checksum").and_then(Value::as_bytes);
        if promised != Some(checksum(input.payload()).to_le_bytes().as_slice()) {
            self.damaged += 1;
            eprintln!("{frame:?} does not have its checksum");
        }
        let Some(frame) = frame else {
            self.out_of_order += 1;
            return;
        };
        let expected = self.last.map_or(0, |last| last + 1);
        match u64::try_from(frame - expected) {
            Ok(gap) => self.missing += gap,
            Err(_) => self.out_of_order += 1,
        }
        self.last = Some(frame);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} damaged, {} out of order, {} missing",
            self.damaged, self.out_of_order, self.missing
        )
    }
}

/// How fast frames come.
#[derive(Debug)]
struct Pace {
    /// When the first came: what it took to come is not counted.
    since: Option<Instant>,
    until: Instant,
    frames: u64,
    bytes: u64,
}

impl Pace {
    fn new() -> Pace {
        Pace {
            since: None,
            until: Instant::now(),
            frames: 0,
            bytes: 0,
        }
    }

    fn take(&mut self, bytes: u64) {
        self.until = Instant::now();
        self.since.get_or_insert(self.until);
        self.frames += 1;
        self.bytes += bytes;
    }
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let took = self
            .since
            .map_or(Duration::ZERO, |since| self.until.duration_since(since))
            .as_secs_f64();
        if self.frames < 2 || took == 0.0 {
            return write!(f, "too few frames for a pace");
        }
        let intervals = (self.frames - 1) as f64;
        let bytes = self.bytes as f64 * intervals / self.frames as f64;
        write!(
            f,
            "{:.1} frames/s, {:.2} GB/s",
            intervals / took,
            bytes / took / 1e9
        )
    }
}
