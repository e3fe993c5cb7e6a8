//! Samples this machine at each tick, and sends its figures: as numbers in the metadata, and how busy each core
//! was as an array of `<f4` in the payload.

use std::collections::VecDeque;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dataflow_examples::{FIGURES, Figures, Reading, SECONDS_VARIABLE, seconds};
use dataflow_node::{Event, Metadata, Node, SendError, Value};

/// Rates are taken over this time: the kernel counts in steps of 10 ms, too coarse for two ticks.
const RATES_OVER: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let seconds = seconds(std::env::args(), std::env::var(SECONDS_VARIABLE).ok())?;
    let began = Instant::now();
    let proc = Path::new("/proc");
    let mut readings = VecDeque::from([Reading::take(proc, began.elapsed())?]);
    let mut samples = 0;
    let mut node = Node::connect()?;
    while let Some(event) = node.recv()? {
        if let Event::Input(_) = event {
            let reading = Reading::take(proc, began.elapsed())?;
            let earlier = earlier(&mut readings, &reading);
            let figures = Figures::between(earlier, &reading);
            match node.send("sample", cores(&figures), metadata(&figures, samples)) {
                Ok(()) => {}
                // The stop came between the tick and its sample.
                Err(SendError::Stopped { .. }) => break,
                Err(error) => return Err(error.into()),
            }
            readings.push_back(reading);
            samples += 1;
        }
        if seconds.is_some_and(|seconds| began.elapsed() >= seconds) {
            break;
        }
    }
    println!("sent {samples} samples");
    Ok(())
}

/// The reading that rates are taken from; those that are older are forgotten.
fn earlier<'a>(readings: &'a mut VecDeque<Reading>, now: &Reading) -> &'a Reading {
    while readings.len() > 1 && now.at.saturating_sub(readings[0].at) > RATES_OVER {
        readings.pop_front();
    }
    &readings[0]
}

fn cores(figures: &Figures) -> Vec<u8> {
    figures
        .core_percents
        .iter()
        .flat_map(|percent| percent.to_le_bytes())
        .collect()
}

fn metadata(figures: &Figures, sample: i64) -> Metadata {
    let cores = figures.core_percents.len() as i64;
    let mut metadata = Metadata::new()
        .with("sample", sample)
        .with("_dtype", "<f4")
        .with("_shape", vec![Value::from(cores)]);
    for (figure, value) in FIGURES.iter().zip(figures.values) {
        metadata.insert(figure.key, value);
    }
    metadata
}
