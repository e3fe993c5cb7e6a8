//! Ranks the sentences by their similarity to the question, and prints the nearest as a table when all have come.

use std::error::Error;
use std::process::ExitCode;

use dataflow_examples::Ranking;
use dataflow_node::{Event, Input, Node, Value};

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
    let count = shown(std::env::args().skip(1))?;
    let mut ranking = Ranking::default();
    let mut node = Node::connect()?;
    while let Some(event) = node.recv()? {
        if let Event::Input(input) = event {
            take(&mut ranking, &input)?;
        }
    }
    for line in ranking.lines(count) {
        println!("{line}");
    }
    Ok(())
}

fn take(ranking: &mut Ranking, input: &Input) -> Result<(), Box<dyn Error>> {
    let of = |key| input.metadata().get(key).and_then(Value::as_str);
    let text = of("text").ok_or("an embedding came without its text")?;
    match of("kind") {
        Some("question") => ranking.ask(text, input.payload())?,
        Some("sentence") => ranking.add(text, input.payload())?,
        other => {
            return Err(format!("`{text}` is neither question nor sentence: {other:?}").into());
        }
    }
    Ok(())
}

/// How many sentences are shown: the number after `--show`, else 5.
fn shown(mut arguments: impl Iterator<Item = String>) -> Result<usize, String> {
    match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => Ok(5),
        (Some("--show"), Some(count)) => count
            .parse()
            .map_err(|error| format!("`--show {count}`: {error}")),
        (Some("--show"), None) => Err("`--show` needs a number".to_owned()),
        (Some(other), _) => Err(format!("unknown argument `{other}`; there is `--show N`")),
    }
}
