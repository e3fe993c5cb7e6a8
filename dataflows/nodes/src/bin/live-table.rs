//! Shows the samples and the unusual values among them: as a table at the bottom of the terminal that
//! `dataflow up` runs in, or, without one, as a plain line a second.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dataflow_examples::{Screen, Table};
use dataflow_node::{Event, Input, Node, Value};

/// The terminal of whoever started the dataflow, when there is one.
const TERMINAL_VARIABLE: &str = "DATAFLOW_TERMINAL";
/// A person reads no faster.
const REDRAW_EVERY: Duration = Duration::from_millis(200);
/// The pace of plain lines.
const LINE_EVERY: Duration = Duration::from_secs(1);

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
    let mut display = Display::open();
    let mut table = Table::default();
    let began = Instant::now();
    let mut node = Node::connect()?;
    while let Some(event) = node.recv()? {
        let Event::Input(input) = event else { continue };
        let now = began.elapsed();
        match input.id().as_str() {
            "sample" => {
                table.sample(|figure| number(&input, figure.key));
                display.sample(&table, now);
            }
            "flags" => flag(&input, &mut table, now),
            _ => {}
        }
    }
    drop(display);
    let (samples, unusual) = table.counts();
    println!(
        "showed {samples} samples, {unusual} unusual values; the last: {}",
        table.line()
    );
    Ok(())
}

fn flag(input: &Input, table: &mut Table, now: Duration) {
    let key = input.metadata().get("figure").and_then(Value::as_str);
    let of = |key| number(input, key);
    let line = key
        .zip(of("value"))
        .zip(of("median").zip(of("score")))
        .and_then(|((key, value), (median, score))| table.unusual(now, key, value, median, score));
    match line {
        Some(line) => println!("{line}"),
        None => eprintln!("a flag that is not understood: {:?}", input.metadata()),
    }
}

fn number(input: &Input, key: &str) -> Option<f64> {
    input.metadata().get(key)?.as_f64()
}

/// Where the samples are shown.
struct Display {
    screen: Option<Screen>,
    /// When the table was drawn, or a line written, for the last time.
    shown_at: Option<Duration>,
}

impl Display {
    fn open() -> Display {
        let terminal = std::env::var_os(TERMINAL_VARIABLE).filter(|path| !path.is_empty());
        let screen = terminal.and_then(|path| match Screen::open(Path::new(&path)) {
            Ok(screen) => Some(screen),
            Err(error) => {
                eprintln!("cannot draw on {}: {error}", path.display());
                None
            }
        });
        Display {
            screen,
            shown_at: None,
        }
    }

    fn sample(&mut self, table: &Table, now: Duration) {
        let pace = if self.screen.is_some() {
            REDRAW_EVERY
        } else {
            LINE_EVERY
        };
        if self
            .shown_at
            .is_some_and(|at| now.saturating_sub(at) < pace)
        {
            return;
        }
        self.shown_at = Some(now);
        let drawn = self
            .screen
            .as_mut()
            .map(|screen| screen.draw(&table.lines(now)));
        match drawn {
            Some(Ok(true)) => {}
            // Too small for the table; it may grow again.
            Some(Ok(false)) | None => println!("{}", table.line()),
            Some(Err(error)) => {
                eprintln!("the terminal has gone: {error}");
                self.screen = None;
            }
        }
    }
}
