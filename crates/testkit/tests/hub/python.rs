//! Python's `huggingface_hub`, the versions that people have, gets from the fake what it would get from the Hub.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use dataflow_testkit::hub::{
    Encryption, Ending, FakeHub, Fault, Place, Repository, RetryAfter, Settings, Stage,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A process of Python that has the library, and a cache of its own.
struct Python {
    process: Child,
    tell: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Python {
    /// With a major version of the library. `authority` is what it shall trust, as PEM.
    fn start(major: u32, authority: Option<&str>) -> Python {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let made = Command::new(package.join("../../scripts/huggingface-hub-environment"))
            .arg(major.to_string())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(made.status.success());
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(String::from_utf8(made.stdout).unwrap().trim());
        command
            .arg(package.join("tests/hub/client.py"))
            // What people have in their environment is not ours.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .env("HF_HUB_DISABLE_XET", "1")
            .env("HF_HUB_DISABLE_TELEMETRY", "1")
            .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(authority) = authority {
            let file = folder.path().join("authority.pem");
            fs::write(&file, authority).unwrap();
            command.env("SSL_CERT_FILE", file);
        }
        let mut process = command.spawn().unwrap();
        Python {
            tell: process.stdin.take(),
            hear: BufReader::new(process.stdout.take().unwrap()),
            process,
            folder,
        }
    }

    /// What the library answers, or the names of its error's classes.
    fn call(&mut self, call: &str, hub: &FakeHub, mut asked: Value) -> Result<Value, Vec<String>> {
        asked["call"] = json!(call);
        asked["endpoint"] = json!(hub.endpoint());
        writeln!(self.tell.as_mut().unwrap(), "{asked}").unwrap();
        let mut line = String::new();
        self.hear.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => {
                eprintln!("{}", answer["says"].as_str().unwrap_or_default());
                Err(serde_json::from_value(answer["errors"].take()).unwrap())
            }
        }
    }

    /// An empty cache.
    fn cache(&self) -> PathBuf {
        tempfile::tempdir_in(self.folder.path()).unwrap().keep()
    }

    /// Downloads a file into a new cache: its content.
    fn file(&mut self, hub: &FakeHub, mut asked: Value) -> Result<Vec<u8>, Vec<String>> {
        asked["cache_dir"] = json!(self.cache());
        let path = self.call("file", hub, asked)?;
        Ok(fs::read(path.as_str().unwrap()).unwrap())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.tell.take());
        let _ = self.process.wait();
    }
}

/// Lets each version of the library do the same.
fn each_version(check: impl Fn(&mut Python)) {
    for major in [1, 2] {
        eprintln!("huggingface_hub {major}");
        check(&mut Python::start(major, None));
    }
}

/// Bytes that are nowhere the same.
fn weights(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn files() -> BTreeMap<&'static str, Vec<u8>> {
    BTreeMap::from([
        ("README.md", b"hello\n".to_vec()),
        ("config.json", b"{}\n".to_vec()),
        ("empty", Vec::new()),
        ("model.safetensors", weights(300_000)),
        ("onnx/fp16/model.onnx", weights(100_000)),
        ("sub folder/ünï#code?.txt", b"names\n".to_vec()),
    ])
}

/// The files above; those that a name of a model ends are large.
fn with_files(mut repository: Repository) -> Repository {
    for (path, content) in files() {
        repository = match path.contains("model.") {
            true => repository.large_file(path, content),
            false => repository.file(path, content),
        };
    }
    repository
}

/// What lies below a folder, by path.
fn below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn whole_repositories_of_each_kind_are_fetched() {
    each_version(|python| {
        // Small pages, and a token that nobody but the hub may see.
        let settings = Settings {
            page_files: 2,
            ..Settings::default()
        };
        let model = with_files(Repository::model("acme/tiny"));
        let repositories = [
            model.clone().private_for("secret"),
            with_files(Repository::dataset("acme/tiny")).private_for("secret"),
            with_files(Repository::space("acme/tiny")).private_for("secret"),
        ];
        let hub = FakeHub::start_with(settings, repositories).unwrap();
        let cache = python.cache();
        for kind in ["model", "dataset", "space"] {
            let asked = json!({ "repo_id": "acme/tiny", "repo_type": kind, "cache_dir": cache, "token": "secret" });
            let folder = python.call("snapshot", &hub, asked).unwrap();
            let folder = Path::new(folder.as_str().unwrap());
            assert_eq!(
                folder.file_name().unwrap().to_str(),
                Some(model.commit().as_str())
            );
            let found = below(folder);
            let expected = files()
                .into_iter()
                .map(|(path, content)| (path.to_owned(), content));
            assert!(found == expected.collect(), "{:?}", found.keys());
            let repository = cache.join(format!("{kind}s--acme--tiny"));
            assert_eq!(
                fs::read_to_string(repository.join("refs/main")).unwrap(),
                model.commit()
            );
            // It names blobs as the hub lists them, not as the CDN calls them.
            for path in files().keys() {
                assert!(
                    repository
                        .join("blobs")
                        .join(model.hash(path).unwrap())
                        .is_file()
                );
            }
        }
        for (path, content) in files() {
            // One for each kind; what is empty needs none.
            let transfers = if content.is_empty() { 0 } else { 3 };
            assert_eq!(hub.transfers(path).len(), transfers, "{path}");
        }
        assert_eq!(hub.violations(), [""; 0]);
        assert!(
            hub.requests()
                .iter()
                .all(|request| request.stage != Stage::Other)
        );
    });
}

#[test]
fn information_and_listings_are_understood() {
    each_version(|python| {
        let repository = with_files(Repository::model("acme/tiny")).formerly("acme/old");
        let hub = FakeHub::start([repository.clone()]).unwrap();
        for name in ["acme/tiny", "acme/old"] {
            let asked = json!({ "repo_id": name, "repo_type": "model" });
            let found = python.call("information", &hub, asked.clone()).unwrap();
            let expected: Vec<Value> = files()
                .iter()
                .map(|(path, content)| json!([path, content.len(), repository.hash(path)]))
                .collect();
            assert_eq!(
                found,
                json!({ "sha": repository.commit(), "files": expected })
            );
            let paths = python.call("tree", &hub, asked).unwrap();
            assert_eq!(
                paths.as_array().unwrap().len(),
                files().len() + 3,
                "and folders"
            );
        }
    });
}

#[test]
fn revisions_are_branches_tags_and_commits() {
    each_version(|python| {
        let first = Repository::model("tiny")
            .file("config.json", b"1")
            .revision("v1");
        let second = first
            .clone()
            .next_commit()
            .file("config.json", b"2")
            .revision("refs/pr/1");
        let hub = FakeHub::start([second.clone().next_commit().file("config.json", b"3")]).unwrap();
        for (revision, content) in [
            ("main", b"3"),
            ("refs/pr/1", b"2"),
            ("v1", b"1"),
            (first.commit().as_str(), b"1"),
        ] {
            let asked =
                json!({ "repo_id": "tiny", "filename": "config.json", "revision": revision });
            assert_eq!(python.file(&hub, asked).unwrap(), content, "{revision}");
        }
    });
}

#[test]
fn a_transfer_that_was_cut_goes_on_where_it_was() {
    each_version(|python| {
        for (file, content) in files()
            .into_iter()
            .filter(|(_, content)| content.len() > 1000)
        {
            let hub = FakeHub::start([with_files(Repository::model("acme/tiny"))]).unwrap();
            let ending = Ending::Fin;
            hub.script(
                file,
                1,
                Fault::Cut {
                    after_bytes: 70_000,
                    ending,
                },
            );
            let asked = json!({ "repo_id": "acme/tiny", "filename": file });
            assert!(python.file(&hub, asked).unwrap() == content);
            let starts: Vec<u64> = hub
                .transfers(file)
                .iter()
                .map(|transfer| transfer.range_start())
                .collect();
            assert_eq!(starts, [0, 70_000]);
            assert_eq!(hub.sent_bytes(file), content.len() as u64);
        }
        // And begins anew where the server does not know ranges.
        let hub = FakeHub::start([with_files(Repository::model("acme/tiny"))]).unwrap();
        let file = "model.safetensors";
        let ending = Ending::Fin;
        hub.script(
            file,
            1,
            Fault::Cut {
                after_bytes: 70_000,
                ending,
            },
        );
        hub.script(file, 2, Fault::IgnoredRange);
        let asked = json!({ "repo_id": "acme/tiny", "filename": file });
        assert!(python.file(&hub, asked).unwrap() == files()[file]);
    });
}

#[test]
fn refusals_are_the_errors_that_the_library_has_for_them() {
    each_version(|python| {
        let gated = with_files(Repository::model("acme/gated")).gated_for("good");
        let private = with_files(Repository::model("acme/private")).private_for("good");
        let public = with_files(Repository::model("acme/tiny"));
        let settings = Settings {
            tokens: vec!["other".to_owned()],
            ..Settings::default()
        };
        let hub = FakeHub::start_with(settings, [gated, private, public]).unwrap();
        for (name, revision, file, token, error) in [
            (
                "acme/none",
                "main",
                "config.json",
                None,
                Some("RepositoryNotFoundError"),
            ),
            (
                "acme/none",
                "main",
                "config.json",
                Some("good"),
                Some("RepositoryNotFoundError"),
            ),
            (
                "acme/private",
                "main",
                "config.json",
                None,
                Some("RepositoryNotFoundError"),
            ),
            (
                "acme/private",
                "main",
                "config.json",
                Some("other"),
                Some("RepositoryNotFoundError"),
            ),
            ("acme/private", "main", "config.json", Some("good"), None),
            (
                "acme/private",
                "main",
                "config.json",
                Some("bad"),
                Some("HfHubHTTPError"),
            ),
            (
                "acme/tiny",
                "none",
                "config.json",
                None,
                Some("RevisionNotFoundError"),
            ),
            (
                "acme/tiny",
                "main",
                "none",
                None,
                Some("EntryNotFoundError"),
            ),
            (
                "acme/gated",
                "main",
                "config.json",
                None,
                Some("GatedRepoError"),
            ),
            (
                "acme/gated",
                "main",
                "config.json",
                Some("other"),
                Some("GatedRepoError"),
            ),
            (
                "acme/gated",
                "main",
                "model.safetensors",
                Some("good"),
                None,
            ),
        ] {
            let asked = json!({
                "repo_id": name, "revision": revision, "filename": file,
                "token": token.map_or(json!(false), |token| json!(token)),
            });
            match (python.file(&hub, asked), error) {
                (Ok(content), None) => assert!(content == files()[file]),
                (Err(errors), Some(error)) => {
                    assert!(errors.iter().any(|each| each == error), "{name} {errors:?}");
                }
                (other, error) => panic!("{name}: {error:?} was expected, not {other:?}"),
            }
        }
        let asked = json!({ "repo_id": "acme/none", "cache_dir": python.cache(), "token": false });
        let errors = python.call("snapshot", &hub, asked).unwrap_err();
        assert!(
            errors.contains(&"RepositoryNotFoundError".to_owned()),
            "{errors:?}"
        );
        assert_eq!(hub.violations(), [""; 0]);
    });
}

#[test]
fn who_is_limited_comes_back_when_the_hub_says() {
    each_version(|python| {
        let hub = FakeHub::start([with_files(Repository::model("acme/tiny"))]).unwrap();
        let (status, retry_after) = (429, RetryAfter::RateLimit(0));
        let limited = Fault::Status {
            status,
            retry_after,
        };
        hub.script("model.safetensors", 1, limited.clone());
        let resolve = |path: &str| Place::File(Stage::Resolve, path.to_owned());
        hub.script(resolve("config.json"), 1..=2, limited);
        for file in ["model.safetensors", "config.json"] {
            let asked = json!({ "repo_id": "acme/tiny", "filename": file });
            assert!(python.file(&hub, asked).unwrap() == files()[file]);
        }
        assert_eq!(hub.transfers("model.safetensors").len(), 2);
    });
}

#[test]
fn encrypted_it_serves_who_trusts_its_authority() {
    let settings = Settings {
        encryption: Encryption::Tls,
        ..Settings::default()
    };
    let hub = FakeHub::start_with(settings, [with_files(Repository::model("acme/tiny"))]).unwrap();
    assert!(hub.endpoint().starts_with("https://"));
    let asked = json!({ "repo_id": "acme/tiny", "filename": "model.safetensors" });
    let mut trusting = Python::start(2, hub.authority());
    assert!(trusting.file(&hub, asked).unwrap() == files()["model.safetensors"]);
    let asked = json!({ "repo_id": "acme/tiny", "repo_type": "model" });
    trusting.call("information", &hub, asked.clone()).unwrap();
    Python::start(2, None)
        .call("information", &hub, asked)
        .unwrap_err();
    assert_eq!(hub.violations(), [""; 0]);
}
