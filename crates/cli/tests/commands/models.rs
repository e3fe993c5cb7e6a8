//! What `models` says without a Hub: names that are none, and a cache that somebody else has filled.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::ground::{Ground, said};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The hash that git gives the content `hello\n`.
const HELLO: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

/// A project, with a cache of its own and no Hub.
struct Cached {
    ground: Ground,
}

impl Cached {
    fn new() -> Cached {
        Cached {
            ground: Ground::new(),
        }
    }

    fn cache(&self) -> PathBuf {
        self.ground.project().join("cache")
    }

    fn dataflow<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = self.ground.dataflow(arguments);
        command
            .env("HF_HUB_CACHE", self.cache())
            .env("HF_HUB_OFFLINE", "1")
            .env_remove("HF_TOKEN")
            .env_remove("HF_ENDPOINT");
        command
    }

    fn run<const N: usize>(&self, arguments: [&str; N]) -> Output {
        self.dataflow(arguments).output().unwrap()
    }

    /// A repository of one file, as `huggingface_hub` leaves it.
    fn put(&self, folder: &str, content: &str) -> PathBuf {
        let repo = self.cache().join(folder);
        let snapshot = repo.join("snapshots").join(COMMIT);
        for folder in [&snapshot, &repo.join("blobs"), &repo.join("refs")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(repo.join("refs/main"), COMMIT).unwrap();
        fs::write(repo.join("blobs").join(HELLO), content).unwrap();
        symlink(format!("../../blobs/{HELLO}"), snapshot.join("hello.txt")).unwrap();
        repo
    }

    fn json<const N: usize>(&self, arguments: [&str; N]) -> (Option<i32>, Value) {
        let output = self.run(arguments);
        let value = serde_json::from_slice(&output.stdout);
        (
            output.status.code(),
            value.unwrap_or_else(|error| panic!("{error}: {}", said(&output))),
        )
    }
}

/// Every path below a folder.
fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            paths.extend(everything(&path));
        }
        paths.push(path);
    }
    paths.sort();
    paths
}

#[test]
fn a_name_that_is_none_is_one_clear_error_and_touches_nothing() {
    let cached = Cached::new();
    cached.put("models--acme--x", "hello\n");
    // What a name that was believed would reach from inside of the cache.
    fs::create_dir_all(cached.ground.project().join("snapshots")).unwrap();
    let before = everything(&cached.ground.project());
    for name in [
        "../..",
        "..",
        ".",
        "/",
        "/etc/passwd",
        "a/../b",
        "acme/x/../../y",
        "acme--x",
        "models--acme--x",
        "acme/x@",
        "acme/x@../../..",
        "acme/x@/etc",
        "acme/x@a\nb",
        "acme/\u{1b}[31mx",
        "acme/x.git",
        "",
    ] {
        for command in ["pull", "verify", "rm"] {
            let output = cached.run(["models", command, name]);
            let text = said(&output);
            assert_eq!(output.status.code(), Some(2), "{command} {name:?}: {text}");
            assert!(text.starts_with("error: "), "{command} {name:?}: {text}");
            assert_eq!(text.matches("error: ").count(), 1, "{text}");
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
    }
    assert_eq!(everything(&cached.ground.project()), before);
}

#[test]
fn a_cache_that_is_not_there_is_empty() {
    let cached = Cached::new();
    for command in ["ls", "verify"] {
        let output = cached.run(["models", command]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(
            said(&output).contains("nothing is in the cache"),
            "{}",
            said(&output)
        );
        let (code, value) = cached.json(["models", command, "--json"]);
        assert_eq!(code, Some(0));
        assert_eq!(value["repositories"], Value::from(Vec::<Value>::new()));
    }
    assert!(!cached.cache().exists());
}

#[test]
fn what_another_program_has_fetched_is_listed_verified_and_removed() {
    let cached = Cached::new();
    cached.put("models--acme--x", "hello\n");
    cached.put("datasets--acme--faces", "hello\n");
    let text = said(&cached.run(["models", "ls"]));
    assert!(text.contains("acme/x"), "{text}");
    assert!(text.contains("2 repositories, 12 bytes in"), "{text}");
    assert!(
        text.contains("acme/x: 1 file fetched by another program"),
        "{text}"
    );

    let output = cached.run(["models", "verify"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("acme/x: 1 file right, 6 bytes\n"),
        "{}",
        said(&output)
    );
    assert!(!said(&cached.run(["models", "ls"])).contains("another program"));

    let (_, value) = cached.json(["models", "ls", "--json"]);
    let names: Vec<&Value> = value["repositories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|repo| &repo["repo"])
        .collect();
    assert_eq!(names, ["acme/x", "acme/faces"]);
    assert_eq!(value["repositories"][0]["commits"][0]["commit"], COMMIT);
    assert_eq!(
        value["repositories"][0]["commits"][0]["revisions"][0],
        "main"
    );

    let output = cached.run(["models", "rm", "acme/x@main"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(
        said(&output),
        "removed acme/x@main (commit 0123456789ab): 1 file, 6 bytes\n"
    );
    let (code, value) = cached.json(["models", "rm", "acme/faces", "--kind", "dataset", "--json"]);
    assert_eq!(code, Some(0));
    assert_eq!(value["removed"][0]["commits"][0], COMMIT);
    assert!(!cached.cache().join("datasets--acme--faces").exists());
}

#[test]
fn a_wrong_file_is_named_moved_out_of_the_way_and_the_exit_code_says_so() {
    let cached = Cached::new();
    let repo = cached.put("models--acme--x", "jello\n");
    let output = cached.run(["models", "verify", "acme/x"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("acme/x: 1 of 1 file wrong or missing"),
        "{text}"
    );
    assert!(
        text.contains("`hello.txt` at 0123456789ab hashes to "),
        "{text}"
    );
    assert!(text.contains(HELLO), "{text}");
    assert!(text.contains("help: "), "{text}");
    assert!(!repo.join("blobs").join(HELLO).exists());
    // Nobody uses it any more.
    let text = said(&cached.run(["models", "ls"]));
    assert!(
        text.contains("that came with wrong content and are kept aside"),
        "{text}"
    );

    let output = cached.run(["models", "rm", "acme/x"]);
    assert!(
        said(&output).starts_with("removed acme/x: 0 files, "),
        "{}",
        said(&output)
    );
    assert!(
        !said(&output).contains(" 0 bytes"),
        "what was kept aside goes too: {}",
        said(&output)
    );
    assert!(!repo.exists());

    let other = Cached::new();
    other.put("models--acme--x", "jello\n");
    let (code, value) = other.json(["models", "verify", "--json"]);
    assert_eq!(code, Some(1));
    let file = &value["repositories"][0]["files"][0];
    assert_eq!(file["verdict"], "wrong");
    assert_eq!(file["expected"], HELLO);
    assert!(Path::new(file["kept_aside"].as_str().unwrap()).exists());
}

#[test]
fn what_is_not_in_the_cache_is_wrong_input_that_names_what_is_near() {
    let cached = Cached::new();
    cached.put("models--acme--detector", "hello\n");
    for arguments in [
        ["models", "verify", "acme/detecter"],
        ["models", "rm", "acme/detecter"],
    ] {
        let output = cached.run(arguments);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("did you mean `acme/detector`?"), "{text}");
    }
    let output = cached.run(["models", "rm", "acme/detector@v9"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        cached
            .cache()
            .join("models--acme--detector/refs/main")
            .exists()
    );
}

#[test]
fn offline_a_model_that_is_missing_is_said_with_its_remedy() {
    let cached = Cached::new();
    let output = cached.run(["models", "pull", "acme/x"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("offline"), "{text}");
    assert!(text.contains("help: "), "{text}");
    assert!(text.contains("HF_HUB_OFFLINE"), "{text}");
}

#[test]
fn a_description_says_itself_what_it_wants() {
    let cached = Cached::new();
    cached.ground.write(
        "models: { m: { repo: acme/x } }\nnodes:\n  - { id: a, path: /bin/sh, models: [m] }\n",
    );
    let output = cached.run(["models", "pull", "flow.yml", "--file", "*.json"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("`--file` is for a repository"),
        "{}",
        said(&output)
    );
    cached.ground.write("nodes: [{ id: a, path: /bin/sh }]\n");
    let output = cached.run(["models", "pull", "flow.yml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("nothing to fetch"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_lock_that_is_none_is_named_with_its_line() {
    let cached = Cached::new();
    cached.ground.write(
        "models: { m: { repo: acme/x } }\nnodes:\n  - { id: a, path: /bin/sh, models: [m] }\n",
    );
    fs::write(
        cached.ground.project().join("dataflow.lock"),
        "{\n  \"version\": 1,\n  oops\n",
    )
    .unwrap();
    let output = cached.run(["models", "pull", "flow.yml"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("dataflow.lock:3"),
        "{}",
        said(&output)
    );
}
