//! Whether the nodes' programs can be run at all: looked at once, before anything is started.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::{fs, io, thread};

use dataflow_descriptor::{Dataflow, Node, Program};

use crate::error::UpError;
use crate::interruption::{Ended, Interruption};
use crate::options::GivenEnvironment;

/// Asks for a name of the module, since any folder `dataflow` passes for a module without names. The folder in which
/// the interpreter runs is no place for modules: a program does not look there either.
const IMPORT: &str = "\
import sys
sys.path = [place for place in sys.path if place]
from dataflow import Node
";

/// Checks that every program is there and may be run, and that every Python has our module.
/// `given` is the environment of the nodes, when it is not this process's.
pub(crate) fn check(
    dataflow: &Dataflow,
    given: Option<&GivenEnvironment>,
    interruption: &Interruption,
) -> Result<(), UpError> {
    for node in &dataflow.nodes {
        check_file(node)?;
    }
    check_pythons(dataflow, given, interruption)?;
    // A signal that came too late for a question still ends this.
    match interruption.came() {
        true => Err(UpError::Interrupted),
        false => Ok(()),
    }
}

fn check_file(node: &Node) -> Result<(), UpError> {
    let path = &node.path;
    // A name without a folder is looked for in PATH by the start itself.
    let Ok(facts) = fs::metadata(path) else {
        let remedy = match &node.build {
            Some(_) => ": build it first, with `dataflow up --build`",
            None => ": check its `path`, which begins at the folder of the YAML",
        };
        return Err(UpError::ProgramMissing {
            node: node.id.clone(),
            path: path.clone(),
            remedy: remedy.to_owned(),
        });
    };
    let may_run = match node.program {
        Program::Python => facts.is_file(),
        Program::Executable => facts.is_file() && facts.permissions().mode() & 0o111 != 0,
    };
    if !may_run {
        return Err(UpError::ProgramNotExecutable {
            node: node.id.clone(),
            path: path.clone(),
        });
    }
    Ok(())
}

/// Each interpreter is asked once, all of them at the same time.
fn check_pythons(
    dataflow: &Dataflow,
    given: Option<&GivenEnvironment>,
    interruption: &Interruption,
) -> Result<(), UpError> {
    let mut pythons: BTreeMap<&Path, &Node> = BTreeMap::new();
    for node in &dataflow.nodes {
        if let (Program::Python, Some(python)) = (node.program, &node.python) {
            pythons.entry(python).or_insert(node);
        }
    }
    thread::scope(|scope| {
        let asked: Vec<_> = pythons
            .into_iter()
            .map(|(python, node)| {
                let answer = scope.spawn(|| import(dataflow, node, given, python, interruption));
                (python, node, answer)
            })
            .collect();
        for (python, node, answer) in asked {
            let ended = answer
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("asking it panicked")));
            judge(python, node, ended)?;
        }
        Ok(())
    })
}

fn import(
    dataflow: &Dataflow,
    node: &Node,
    given: Option<&GivenEnvironment>,
    python: &Path,
    interruption: &Interruption,
) -> io::Result<Ended> {
    let mut command = Command::new(python);
    if let Some(given) = given {
        command.env_clear().envs(&*given.variables);
    }
    command
        .args(["-c", IMPORT])
        .current_dir(&dataflow.folder)
        .envs(&dataflow.env)
        .envs(&node.env);
    interruption.run(&mut command)
}

fn judge(python: &Path, node: &Node, ended: io::Result<Ended>) -> Result<(), UpError> {
    let (node, python) = (node.id.clone(), python.to_path_buf());
    match ended {
        Err(source) => Err(UpError::PythonUnusable {
            node,
            python,
            source,
        }),
        Ok(Ended::Interrupted) => Err(UpError::Interrupted),
        Ok(Ended::Done(status, _)) if status.success() => Ok(()),
        Ok(Ended::Done(_, errors)) => {
            let text = String::from_utf8_lossy(&errors);
            let last = text.lines().rfind(|line| !line.trim().is_empty());
            Err(UpError::PythonWithoutModule {
                node,
                python,
                said: last.unwrap_or("it said nothing").trim().to_owned(),
            })
        }
    }
}
