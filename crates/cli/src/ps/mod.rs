//! `dataflow ps`: how the nodes and edges of what runs stand.

mod ask;
mod lines;

use std::io::stdout;

use serde_json::Value;

use crate::arguments::PsArguments;
use crate::error::{CliError, Exit};
use crate::style::Style;
use crate::{output, running};

use self::ask::{Answer, ask};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when the dataflow that was named does not run. A runtime that does not answer as it should hides no
/// other: it has a line, and the exit code is [`Exit::Failed`].
pub(crate) fn run(arguments: &PsArguments) -> Result<Exit, CliError> {
    let which = arguments.dataflow.as_deref();
    let answers = ask(running::all(which)?)?;
    if answers.is_empty() && which.is_some() {
        return Err(running::none(which)?);
    }
    let here = running::here()?;
    output::write(&if arguments.json {
        let values: Vec<Value> = answers.iter().map(Answer::json).collect();
        format!("{:#}\n", Value::from(values))
    } else if answers.is_empty() {
        format!("no dataflow runs in {} or below\n", here.display())
    } else {
        let style = Style::of(&stdout());
        let text = |answer: &Answer| answer.lines(&here, style).join("\n");
        let texts: Vec<String> = answers.iter().map(text).collect();
        texts.join("\n\n") + "\n"
    })?;
    let all_answered = (answers.iter()).all(|answer| matches!(answer, Answer::Status(_)));
    Ok(if all_answered {
        Exit::Done
    } else {
        Exit::Failed
    })
}
