//! Every variable means what it means to `huggingface_hub`: the same environments are asked of both.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use dataflow_runtime::models::HubSettings;
use serde_json::{Value, json};

use crate::python::{MAJORS, run};

/// Prints what the library makes of each environment. It reads most of them once, when it is imported.
const SCRIPT: &str = "
import importlib, json, os, sys
import huggingface_hub.constants as constants
from huggingface_hub.utils._headers import get_token_to_send
answers = []
for variables in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(variables)
    importlib.reload(constants)
    try:
        token = get_token_to_send(None)
    except OSError:
        token = 'unreadable'
    answers.append({
        'cache': os.path.abspath(constants.HF_HUB_CACHE),
        'endpoint': constants.ENDPOINT,
        'offline': constants.HF_HUB_OFFLINE,
        'token': token,
    })
json.dump(answers, sys.stdout)
";

type Variables = BTreeMap<&'static str, String>;

fn ours(variables: &Variables) -> Value {
    let variables = variables.iter();
    let variables: BTreeMap<OsString, OsString> = variables
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    let mut without_token = variables.clone();
    without_token.insert("HF_HUB_DISABLE_IMPLICIT_TOKEN".into(), "1".into());
    let settings = HubSettings::from_variables(&without_token).expect("nothing is read");
    let token = match HubSettings::from_variables(&variables) {
        Ok(settings) => settings.token.map(|token| token.secret),
        Err(error) => {
            assert_eq!(error.code(), "disk", "{error}");
            Some("unreadable".to_owned())
        }
    };
    json!({
        "cache": settings.cache.to_str(),
        "endpoint": settings.endpoint,
        "offline": settings.is_offline,
        "token": token,
    })
}

fn environments(home: &str) -> Vec<Variables> {
    let mut all: Vec<Variables> = Vec::new();
    let mut add = |variables: &[(&'static str, &str)]| {
        let mut with_home: Variables = [("HOME", home.to_owned())].into();
        with_home.extend(
            variables
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        all.push(with_home);
    };
    add(&[]);
    let paths = [
        "/there",
        "/there/",
        "",
        "~",
        "~/",
        "~/there",
        "~root",
        "~root/there",
        "~nobody-has-this-name/x",
        "relative",
        "./a/b",
        "a~",
        "$HOME/x",
        "${HOME}/x",
        "$NOTHING/x",
        "${NOTHING}/x",
        "x$",
        "x${",
        "x${HOME",
        "$$HOME",
        "${}",
        "$HOME$HOME",
        "x$HOME.y",
        "a b",
        "ü",
        "~$HOME",
        "$INNER/x",
    ];
    let names = [
        "HF_HOME",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "XDG_CACHE_HOME",
        "HF_TOKEN_PATH",
        "HOME",
    ];
    for name in names {
        for path in paths {
            // With `~` in it, it is a chase for its own tail.
            if name != "HOME" || !path.contains(['~', '$']) {
                add(&[(name, path), ("INNER", "$HOME/~")]);
            }
        }
    }
    for pair in [
        ["HF_HOME", "HF_HUB_CACHE"],
        ["HF_HOME", "HUGGINGFACE_HUB_CACHE"],
        ["HF_HOME", "XDG_CACHE_HOME"],
        ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"],
        ["HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"],
    ] {
        for values in [["/one", "/two"], ["", "/two"], ["/one", ""]] {
            add(&[(pair[0], values[0]), (pair[1], values[1])]);
        }
    }
    for endpoint in [
        "https://huggingface.co",
        "http://127.0.0.1:1234/",
        "https://mirror.example/hub//",
        "HTTPS://UPPER.example",
    ] {
        add(&[("HF_ENDPOINT", endpoint)]);
    }
    for value in [
        "1", "ON", "on", "Yes", "TRUE", "true", "0", "off", "no", "", "2", " 1", "1 ", "y", "t",
        "\u{131}",
    ] {
        add(&[("HF_HUB_OFFLINE", value)]);
        add(&[("TRANSFORMERS_OFFLINE", value)]);
        add(&[("HF_HUB_OFFLINE", value), ("TRANSFORMERS_OFFLINE", "1")]);
        add(&[("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", value)]);
        add(&[
            ("HF_HUB_DISABLE_IMPLICIT_TOKEN", value),
            ("HF_TOKEN", "hf_a"),
        ]);
    }
    for value in ["hf_abc", " hf_abc\n", "\r\nhf_\nabc\t", "", " ", "\n"] {
        add(&[("HF_TOKEN", value)]);
        add(&[("HUGGING_FACE_HUB_TOKEN", value)]);
        add(&[("HF_TOKEN", value), ("HUGGING_FACE_HUB_TOKEN", "hf_old")]);
        add(&[("HF_TOKEN", value), ("HF_TOKEN_PATH", "~/other-token")]);
    }
    for path in [
        "~/other-token",
        "$HOME/empty-token",
        "/no/such/file",
        "~",
        "/dev",
    ] {
        add(&[("HF_TOKEN_PATH", path)]);
    }
    add(&[("HF_HOME", "~/elsewhere")]);
    // Nobody says where home is: the system knows.
    for name in ["HF_HOME", "XDG_CACHE_HOME"] {
        all.push([(name, "~/there".to_owned())].into());
    }
    all.push(Variables::new());
    all
}

#[test]
fn each_variable_means_what_it_means_to_the_python_library() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let home = folder.path().to_str().expect("it is UTF-8");
    for (path, token) in [
        (".cache/huggingface/token", "hf_of_home\n"),
        ("elsewhere/token", "hf_elsewhere"),
        ("other-token", "\n hf_other \r\n"),
        ("empty-token", "\n"),
    ] {
        let path = folder.path().join(path);
        let parent = path.parent().expect("it has one");
        fs::create_dir_all(parent).expect("a folder can be made");
        fs::write(path, token).expect("a file can be written");
    }
    let environments = environments(home);
    let input = serde_json::to_string(&environments).expect("it is JSON");
    for major in MAJORS {
        let answers = run(major, SCRIPT, &[], &input);
        let answers = answers.as_array().expect("an answer each");
        assert_eq!(answers.len(), environments.len());
        let wrong: Vec<String> = environments
            .iter()
            .zip(answers)
            .filter(|(variables, theirs)| ours(variables) != **theirs)
            .map(|(variables, theirs)| {
                format!("{variables:?}\n  {}\n  {theirs}\n", ours(variables))
            })
            .collect();
        assert!(
            wrong.is_empty(),
            "huggingface_hub {major}:\n{}",
            wrong.concat()
        );
    }
}
