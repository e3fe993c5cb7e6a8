//! Before a dataflow runs: what is checked, what can be interrupted, and what the runtime keeps open.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process_group};

use crate::ground::{Ground, Running, line_of, said};

/// A project with one Python node, whose interpreter is this script.
fn with_python(script: &str) -> Ground {
    let ground = Ground::new();
    let python = ground.project().join("python");
    fs::write(&python, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(ground.project().join("node.py"), "").unwrap();
    ground.write("name: flow\nnodes:\n  - id: node\n    path: node.py\n    python: ./python\n");
    ground
}

#[test]
fn an_interrupt_during_the_check_of_a_python_says_that_nothing_was_started() {
    let ground = with_python("echo asked > asked\nsleep 1000\nexit 0");
    let asked = ground.fifo("asked");
    let mut up = Running::start(
        ground
            .dataflow(["up", "flow.yml"])
            .stderr(Stdio::piped())
            .process_group(0),
    );
    line_of(&asked);
    // As a terminal does it: to everybody in the foreground.
    kill_process_group(up.pid(), Signal::INT).unwrap();
    let errors = up.errors();
    assert_eq!(up.wait(), Some(1));
    assert!(
        errors.contains("interrupted: nothing was started"),
        "{errors}"
    );
    assert!(!errors.contains("import"), "{errors}");
    assert!(!ground.project().join(".dataflow").exists());
}

#[test]
fn a_folder_with_the_name_of_our_module_does_not_pass_for_it() {
    // Without `site` there is no module of ours, wherever this runs.
    let ground = with_python("exec python3 -S \"$@\"");
    for name in ["dataflow", "dataflow/inner"] {
        fs::create_dir(ground.project().join(name)).unwrap();
    }
    fs::write(ground.project().join("dataflow/inner/x.py"), "").unwrap();
    let output = ground.dataflow(["up", "flow.yml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("cannot `import dataflow`"),
        "{}",
        said(&output)
    );
    // A module is not looked for where the interpreter runs either.
    fs::write(ground.project().join("dataflow/__init__.py"), "Node = 1").unwrap();
    let output = ground.dataflow(["up", "flow.yml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn a_program_that_is_not_built_yet_is_refused_with_its_remedy_before_anything_starts() {
    let ground = Ground::new();
    ground.write(
        "name: flow
nodes:
  - { id: there, path: /bin/sh, args: [-c, touch started] }
  - { id: missing, path: ./made, build: ./make-it }
",
    );
    for arguments in [vec!["up", "flow.yml"], vec!["up", "-d", "flow.yml"]] {
        let output = ground.dataflow([]).args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(
            said(&output).contains("`dataflow up --build`"),
            "{}",
            said(&output)
        );
    }
    assert!(!ground.project().join("started").exists());
    assert!(!ground.project().join(".dataflow").exists());
}

#[test]
fn a_runtime_in_the_background_keeps_nothing_open_that_its_starter_had() {
    let ground = Ground::with_shell("sleep 1000");
    // A pipe as descriptor 3, beside the standard streams. Its end is the end of what this command says.
    let up = ground.dataflow(["up", "-d", "flow.yml"]);
    let output = Command::new("/bin/sh")
        .args(["-c", "exec \"$@\" 3>&1 >/dev/null 2>/dev/null", "sh"])
        .arg(up.get_program())
        .args(up.get_args())
        .envs(
            up.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(ground.project())
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(ground.ps().len(), 1, "it still runs");
    let down = ground.dataflow(["down"]).output().unwrap();
    assert!(down.status.success(), "{}", said(&down));
}

/// What the threads of a process are called.
fn threads(pid: u64) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let names = tasks.flatten().map(|task| task.path().join("comm"));
    let names = names.filter_map(|name| fs::read_to_string(name).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn settings_of_the_hub_that_are_wrong_stop_an_up_that_needs_models_before_it_begins_and_no_other() {
    let ground = Ground::new();
    let nodes = "nodes:\n  - { id: sh, path: /bin/sh, args: [-c, sleep 1000]";
    ground.write(&format!(
        "name: flow\nmodels: {{ m: {{ repo: a/b }} }}\n{nodes}, models: [m] }}\n"
    ));
    let up = |arguments: [&str; 2]| {
        let mut command = ground.dataflow([]);
        command
            .args(arguments)
            .arg("flow.yml")
            .env("HF_TOKEN", "no token");
        command.output().unwrap()
    };
    for arguments in [["up", "--json"], ["up", "-d"]] {
        let output = up(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("HF_TOKEN"), "{}", said(&output));
        assert!(!ground.project().join(".dataflow").exists());
    }
    // Who needs no model is not asked for a token, and pays no thread.
    ground.write(&format!("name: flow\n{nodes} }}\n"));
    let output = up(["up", "-d"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let pid = ground.ps()[0]["pid"].as_u64().unwrap();
    let threads = threads(pid);
    let of_models = threads
        .iter()
        .any(|name| name.starts_with("dataflow-models"));
    assert!(!threads.is_empty() && !of_models, "{threads:?}");
    let output = ground.dataflow(["down"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
