//! Whether the nodes' programs can be run at all: looked at once, before anything is started.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{fs, io, thread};

use dataflow_descriptor::{Dataflow, Node, Program};

use crate::error::UpError;

/// Checks that every program is there and may be run, and that every Python has our module.
pub(crate) fn check(dataflow: &Dataflow) -> Result<(), UpError> {
    for node in &dataflow.nodes {
        check_file(node)?;
    }
    check_pythons(dataflow)
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
fn check_pythons(dataflow: &Dataflow) -> Result<(), UpError> {
    let mut pythons: BTreeMap<&Path, &Node> = BTreeMap::new();
    for node in &dataflow.nodes {
        if let (Program::Python, Some(python)) = (node.program, &node.python) {
            pythons.entry(python).or_insert(node);
        }
    }
    thread::scope(|scope| {
        let asked: Vec<_> = pythons
            .into_iter()
            .map(|(python, node)| (python, node, scope.spawn(|| import(dataflow, node, python))))
            .collect();
        for (python, node, answer) in asked {
            let output = answer
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("asking it panicked")));
            judge(python, node, output)?;
        }
        Ok(())
    })
}

fn import(dataflow: &Dataflow, node: &Node, python: &Path) -> io::Result<Output> {
    Command::new(python)
        .args(["-c", "import dataflow"])
        .current_dir(&dataflow.folder)
        .envs(&dataflow.env)
        .envs(&node.env)
        .stdin(Stdio::null())
        .output()
}

fn judge(python: &Path, node: &Node, output: io::Result<Output>) -> Result<(), UpError> {
    let (node, python) = (node.id.clone(), python.to_path_buf());
    match output {
        Err(source) => Err(UpError::PythonUnusable {
            node,
            python,
            source,
        }),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().rfind(|line| !line.trim().is_empty());
            Err(UpError::PythonWithoutModule {
                node,
                python,
                said: last.unwrap_or("it said nothing").trim().to_owned(),
            })
        }
    }
}
