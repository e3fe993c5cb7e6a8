//! What the runtimes answer that are asked how they stand, all at once.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use dataflow_ids::span;
use dataflow_runtime::client::{Client, ClientError, Silence};
use dataflow_runtime::registry::{self, FoundRun};
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::status::DataflowStatus;
use serde_json::{Value, json};

use crate::error::CliError;
use crate::{json, silence};

/// How long runtimes are waited for, all together.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a runtime that has broken off the conversation is left alone: most often it ends at this moment.
const ASK_AGAIN_PAUSE: Duration = Duration::from_millis(50);

/// What became of the question to one runtime.
#[derive(Debug)]
pub(super) enum Answer {
    Status(Box<DataflowStatus>),
    /// It runs, and does not answer as it should.
    Silent {
        run: FoundRun,
        why: String,
    },
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        match self {
            Answer::Status(status) => json::plain(status),
            Answer::Silent { run, why } => json!({
                "name": run.name,
                "run": run.run,
                "file": run.file,
                "pid": run.pid,
                "error": why,
            }),
        }
    }
}

/// Asks all at once, so that nobody waits for one that stands still. Those that end meanwhile have no answer.
pub(super) fn ask(found: Vec<FoundRun>) -> Result<Vec<Answer>, CliError> {
    let deadline = Instant::now() + ANSWER_WAIT_MAX;
    let (to_us, asked) = mpsc::channel();
    for (place, run) in found.iter().cloned().enumerate() {
        let to_us = to_us.clone();
        // One that is never answered ends with this process.
        std::thread::Builder::new()
            .name("dataflow-ask".to_owned())
            .spawn(move || {
                let answer = ask_one(&run, deadline);
                let _ = to_us.send((place, answer));
            })
            .map_err(CliError::system("start a thread that asks a runtime"))?;
    }
    drop(to_us);
    let silent = |run: &FoundRun| Answer::Silent {
        run: run.clone(),
        why: {
            let nothing = format!("it said nothing for {}", span::plain(ANSWER_WAIT_MAX));
            match silence::remedy(&Silence::of(run.pid)) {
                Some(remedy) => format!("{nothing}: {remedy}"),
                None => nothing,
            }
        },
    };
    // Nothing yet, or the answer, which those that have ended meanwhile do not have.
    let mut answers: Vec<Option<Option<Answer>>> = found.iter().map(|_| None).collect();
    let left = || deadline.saturating_duration_since(Instant::now());
    while let Ok((place, answer)) = asked.recv_timeout(left()) {
        answers[place] = Some(answer);
    }
    let answers = answers.into_iter().zip(&found);
    Ok(answers
        .filter_map(|(answer, run)| answer.unwrap_or_else(|| Some(silent(run))))
        .collect())
}

/// `None` when it has ended.
fn ask_one(run: &FoundRun, deadline: Instant) -> Option<Answer> {
    loop {
        let why = match status(run) {
            Ok(status) => return Some(Answer::Status(status)),
            Err(ClientError::Refused { reason }) => reason,
            Err(error) => {
                let runs = registry::find(&run.folder, Some(run.name.as_str()));
                if runs.is_ok_and(|runs| !runs.contains(run)) {
                    return None;
                }
                if Instant::now() + ASK_AGAIN_PAUSE < deadline {
                    std::thread::sleep(ASK_AGAIN_PAUSE);
                    continue;
                }
                error.to_string()
            }
        };
        let run = run.clone();
        return Some(Answer::Silent { run, why });
    }
}

fn status(found: &FoundRun) -> Result<Box<DataflowStatus>, ClientError> {
    match Client::connect(found)?.request(&ClientRequest::Status)? {
        ClientReply::Status(status) => Ok(status),
        _ => Err(ClientError::Unexpected),
    }
}
