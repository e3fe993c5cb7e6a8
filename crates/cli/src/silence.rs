//! A runtime that says nothing: who waits for it is told, and waits on.

use std::io::{Write, stdout};

use dataflow_runtime::client::{OnSilence, Silence};
use dataflow_runtime::registry::FoundRun;
use serde_json::json;

/// What is to be done about a process that is stopped.
pub(crate) fn remedy(silence: &Silence) -> Option<String> {
    let pid = silence.pid;
    silence
        .is_stopped()
        .then(|| format!("it is stopped, and goes on with `kill -CONT {pid}`"))
}

/// Says on standard output that the runtime of `found` does not answer: once, and again when it does something else.
pub(crate) fn said(found: &FoundRun, is_json: bool) -> OnSilence {
    let name = found.name.to_string();
    let mut said = None;
    Box::new(move |silence| {
        if said.replace(silence.state) == Some(silence.state) {
            return;
        }
        let text = match is_json {
            true => {
                let state = silence.state;
                json!({"event": "silent", "pid": silence.pid, "state": state}).to_string()
            }
            false => line(&name, silence),
        };
        // A reader that has gone does not keep anybody from waiting.
        let _ = writeln!(stdout(), "{text}");
    })
}

fn line(name: &str, silence: &Silence) -> String {
    let state = silence
        .state
        .map_or(String::new(), |state| format!(", state {state}"));
    let why = remedy(silence).map_or(String::new(), |remedy| format!(": {remedy}"));
    format!(
        "waiting for the runtime of {name} (pid {}{state}): it does not answer{why}",
        silence.pid
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_is_stopped_is_told_apart_from_one_that_is_slow() {
        let silence = |state| Silence { pid: 4711, state };
        assert_eq!(
            line("vision", &silence(Some('T'))),
            "waiting for the runtime of vision (pid 4711, state T): it does not answer: it is stopped, and goes on \
             with `kill -CONT 4711`"
        );
        assert_eq!(
            line("vision", &silence(Some('D'))),
            "waiting for the runtime of vision (pid 4711, state D): it does not answer"
        );
    }
}
