//! What the Hub speaks when nothing goes wrong.

use std::time::Duration;

use dataflow_testkit::hub::{FakeHub, Listener, Repository, Settings, Stage};

use super::client::{ask, get};

/// SHA-256 of `weights`.
const WEIGHTS: &str = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c";

fn tiny() -> Repository {
    Repository::model("acme/tiny")
        .file("config.json", b"{}\n")
        .file("sub/a b.txt", b"hello\n")
        .large_file("model.safetensors", b"weights")
}

#[test]
fn a_repository_lists_its_files_with_the_hashes_that_they_have() {
    let repository = tiny();
    let commit = repository.commit();
    let hub = FakeHub::start([repository]).unwrap();
    for revision in ["main", commit.as_str()] {
        let url = format!(
            "{}/api/models/acme/tiny/revision/{revision}?blobs=true",
            hub.endpoint()
        );
        let information = get(&url).json();
        assert_eq!(information["sha"], commit);
        let siblings = information["siblings"].as_array().unwrap();
        assert_eq!(siblings.len(), 3);
        assert_eq!(siblings[1]["rfilename"], "model.safetensors");
        assert_eq!(siblings[1]["lfs"]["sha256"], WEIGHTS);
        assert_eq!(siblings[1]["size"], 7);
        assert_eq!(siblings[2]["rfilename"], "sub/a b.txt");
        let hello = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(siblings[2]["blobId"], hello);
        assert!(siblings[2].get("lfs").is_none());
    }
}

#[test]
fn a_listing_comes_in_pages_that_lead_to_one_another() {
    let settings = Settings {
        page_files: 2,
        ..Settings::default()
    };
    let hub = FakeHub::start_with(settings, [tiny()]).unwrap();
    let tree = format!("{}/api/models/acme/tiny/tree/main", hub.endpoint());
    let mut next = Some(format!("{tree}?recursive=true"));
    let mut pages = Vec::new();
    while let Some(url) = next {
        let page = get(&url);
        let entries = page.json();
        let paths = entries.as_array().unwrap().iter();
        pages.push(paths.map(|entry| entry["path"].clone()).collect::<Vec<_>>());
        next = page.header("link").map(|link| {
            let (url, relation) = link.split_once('>').unwrap();
            assert_eq!(relation, "; rel=\"next\"");
            url[1..].to_owned()
        });
    }
    assert_eq!(
        pages,
        [["config.json", "model.safetensors"], ["sub", "sub/a b.txt"]]
    );
    // Not recursive, and a folder alone.
    let paths = |url: &str| -> Vec<String> {
        let entries = get(url).json();
        let entries = entries.as_array().unwrap().iter();
        entries
            .map(|entry| entry["path"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(paths(&tree), ["config.json", "model.safetensors"]);
    assert_eq!(paths(&format!("{tree}/sub")), ["sub/a b.txt"]);
    assert_eq!(
        get(&format!("{tree}/none")).header("x-error-code"),
        Some("EntryNotFound")
    );
}

#[test]
fn a_small_file_comes_from_the_hub_after_a_relative_redirect() {
    let repository = tiny();
    let commit = repository.commit();
    let hub = FakeHub::start([repository]).unwrap();
    let url = format!("{}/acme/tiny/resolve/main/sub/a%20b.txt", hub.endpoint());
    let redirect = ask(&url, "HEAD", &[]);
    assert_eq!(redirect.status, 307);
    assert_eq!(redirect.header("x-repo-commit"), Some(commit.as_str()));
    assert_eq!(redirect.header("x-linked-etag"), None);
    assert_ne!(
        redirect.header("content-length"),
        Some("6"),
        "not the file's"
    );
    let location = redirect.header("location").unwrap();
    assert!(location.starts_with("/api/resolve-cache/models/acme/tiny/"));
    let file = get(&format!("{}{location}", hub.endpoint()));
    assert_eq!(file.status, 200);
    assert_eq!(file.body, b"hello\n");
    assert_eq!(
        file.header("etag"),
        Some("\"ce013625030ba8dba906f756967f9e9ca394464a\"")
    );
    assert_eq!(file.header("x-repo-commit"), Some(commit.as_str()));
    assert_eq!(hub.sent_bytes("sub/a b.txt"), 6);
    assert_eq!(hub.connections(Listener::Cdn), 0);
}

#[test]
fn a_large_file_comes_from_the_cdn_whose_etag_is_another_one() {
    let repository = tiny();
    let commit = repository.commit();
    let hub = FakeHub::start([repository]).unwrap();
    let url = format!(
        "{}/acme/tiny/resolve/main/model.safetensors",
        hub.endpoint()
    );
    let redirect = get(&url);
    assert_eq!(redirect.status, 302);
    assert_eq!(redirect.header("x-repo-commit"), Some(commit.as_str()));
    assert_eq!(redirect.header("x-linked-size"), Some("7"));
    assert_eq!(
        redirect.header("x-linked-etag"),
        Some(format!("\"{WEIGHTS}\"").as_str())
    );
    let location = redirect.header("location").unwrap();
    assert!(location.starts_with(&hub.cdn()));

    let whole = get(location);
    assert_eq!(
        (whole.status, whole.body.as_slice()),
        (200, b"weights".as_slice())
    );
    let etag = whole.header("etag").unwrap().trim_matches('"');
    assert_eq!(etag.len(), 64);
    assert_ne!(etag, WEIGHTS);
    for name in ["x-repo-commit", "x-linked-size", "x-linked-etag"] {
        assert_eq!(whole.header(name), None, "{name} is the hub's");
    }

    let part = ask(location, "GET", &[("Range", "bytes=3-")]);
    assert_eq!(
        (part.status, part.body.as_slice()),
        (206, b"ghts".as_slice())
    );
    assert_eq!(part.header("content-range"), Some("bytes 3-6/7"));
    let behind = ask(location, "GET", &[("Range", "bytes=7-")]);
    assert_eq!(behind.status, 416);
    assert_eq!(behind.header("content-range"), Some("bytes */7"));
    let of_another = [("Range", "bytes=3-"), ("If-Range", "\"another\"")];
    assert_eq!(ask(location, "GET", &of_another).status, 200);

    let transfers = hub.transfers("model.safetensors");
    let starts: Vec<u64> = transfers
        .iter()
        .map(|transfer| transfer.range_start())
        .collect();
    assert_eq!(starts, [0, 3, 7, 3]);
    assert_eq!(hub.sent_bytes("model.safetensors"), 7 + 4 + 7);
}

#[test]
fn a_link_to_the_cdn_expires() {
    let settings = Settings {
        link_lifetime: Some(Duration::ZERO),
        ..Settings::default()
    };
    let hub = FakeHub::start_with(settings, [tiny()]).unwrap();
    let url = format!(
        "{}/acme/tiny/resolve/main/model.safetensors",
        hub.endpoint()
    );
    let link = |hub: &FakeHub| {
        let url = url.replace(&url[..url.find("/acme").unwrap()], &hub.endpoint());
        get(&url).header("location").unwrap().to_owned()
    };
    assert_eq!(get(&link(&hub)).status, 403);

    let hub = FakeHub::start([tiny()]).unwrap();
    let old = link(&hub);
    assert_eq!(get(&old).status, 200);
    hub.expire_links();
    let expired = get(&old);
    assert_eq!(expired.status, 403);
    assert!(
        String::from_utf8(expired.body)
            .unwrap()
            .contains("AccessDenied")
    );
    assert_eq!(get(&link(&hub)).status, 200);
    assert_eq!(get(&format!("{}/nothing", hub.cdn())).status, 403);
}

#[test]
fn what_is_not_there_is_refused_with_the_codes_of_the_hub() {
    let hub = FakeHub::start([tiny().private_for("of somebody").formerly("acme/old")]).unwrap();
    let somebody = [("Authorization", "Bearer of somebody")];
    for (path, headers, status, code) in [
        ("/api/models/acme/none", &[][..], 401, Some("RepoNotFound")),
        (
            "/api/models/acme/none",
            &somebody,
            404,
            Some("RepoNotFound"),
        ),
        (
            "/api/datasets/acme/tiny",
            &somebody,
            404,
            Some("RepoNotFound"),
        ),
        ("/api/models/acme/tiny", &[], 401, Some("RepoNotFound")),
        (
            "/api/models/acme/tiny",
            &[("Authorization", "Bearer of nobody")],
            401,
            None,
        ),
        ("/api/models/acme/tiny", &somebody, 200, None),
        (
            "/api/models/acme/tiny/revision/none",
            &somebody,
            404,
            Some("RevisionNotFound"),
        ),
        (
            "/api/models/acme/tiny/tree/none",
            &somebody,
            404,
            Some("RevisionNotFound"),
        ),
        (
            "/acme/tiny/resolve/none/config.json",
            &somebody,
            404,
            Some("RevisionNotFound"),
        ),
        (
            "/acme/tiny/resolve/main/none",
            &somebody,
            404,
            Some("EntryNotFound"),
        ),
        ("/acme/tiny/resolve/main/config.json", &somebody, 307, None),
        ("/acme/old/resolve/main/config.json", &somebody, 307, None),
        ("/", &[], 404, None),
    ] {
        let came = ask(&format!("{}{path}", hub.endpoint()), "GET", headers);
        assert_eq!(
            (came.status, came.header("x-error-code")),
            (status, code),
            "{path}"
        );
    }
    let came = ask(
        &format!("{}/api/models/acme/tiny", hub.endpoint()),
        "POST",
        &somebody,
    );
    assert_eq!(came.status, 405);
    let moved = get(&format!("{}/api/models/acme/old", hub.endpoint()));
    assert_eq!(moved.header("location"), Some("/api/models/acme/tiny"));
}

#[test]
fn a_gated_repository_shows_what_it_has_and_gives_it_to_who_accepted_its_terms() {
    let settings = Settings {
        tokens: vec!["other".to_owned()],
        ..Settings::default()
    };
    let hub = FakeHub::start_with(settings, [tiny().gated_for("good")]).unwrap();
    let file = format!("{}/acme/tiny/resolve/main/config.json", hub.endpoint());
    let information = get(&format!("{}/api/models/acme/tiny", hub.endpoint()));
    assert_eq!(information.json()["gated"], "auto");
    for (token, status) in [(None, 401), (Some("other"), 403), (Some("good"), 307)] {
        let value = token.map(|token| format!("Bearer {token}"));
        let header = value
            .as_ref()
            .map(|value| ("Authorization", value.as_str()));
        let came = ask(&file, "GET", header.as_slice());
        assert_eq!(came.status, status);
        let code = (status != 307).then_some("GatedRepo");
        assert_eq!(came.header("x-error-code"), code);
    }
}

#[test]
fn a_token_at_the_cdn_is_a_violation() {
    let hub = FakeHub::start([tiny().gated_for("good")]).unwrap();
    let good = [("Authorization", "Bearer good")];
    let url = format!(
        "{}/acme/tiny/resolve/main/model.safetensors",
        hub.endpoint()
    );
    let link = ask(&url, "GET", &good)
        .header("location")
        .unwrap()
        .to_owned();
    get(&link);
    assert!(hub.violations().is_empty());
    ask(&link, "GET", &good);
    assert_eq!(hub.violations().len(), 1, "{:?}", hub.violations());
}

#[test]
fn main_is_the_last_commit_and_older_ones_stay() {
    let first = tiny();
    let second = first
        .clone()
        .next_commit()
        .file("config.json", b"{\"a\": 1}")
        .without("sub/a b.txt");
    let hub = FakeHub::start([first.clone()]).unwrap();
    hub.put(second.clone().revision("v2"));
    assert_ne!(first.commit(), second.commit());
    let sha = |revision: &str| {
        let url = format!(
            "{}/api/models/acme/tiny/revision/{revision}",
            hub.endpoint()
        );
        get(&url).json()["sha"].as_str().map(str::to_owned)
    };
    assert_eq!(sha("main"), Some(second.commit()));
    assert_eq!(sha("v2"), Some(second.commit()));
    assert_eq!(sha(&first.commit()), Some(first.commit()));
    let file = |commit: String, path| {
        get(&format!(
            "{}/acme/tiny/resolve/{commit}/{path}",
            hub.endpoint()
        ))
        .status
    };
    assert_eq!(file(second.commit(), "sub/a%20b.txt"), 404);
    assert_eq!(file(first.commit(), "sub/a%20b.txt"), 307);
}

#[test]
fn a_folder_is_served_from_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("sub/a b.txt"), b"hello\n").unwrap();
    std::fs::write(folder.path().join("config.json"), b"{}\n").unwrap();
    std::fs::write(folder.path().join("model.safetensors"), b"weights").unwrap();
    let repository = Repository::model("acme/tiny")
        .folder(folder.path(), 7)
        .unwrap();
    assert_eq!(repository.commit(), tiny().commit());
    let hub = FakeHub::start([repository]).unwrap();
    let url = format!(
        "{}/acme/tiny/resolve/main/model.safetensors",
        hub.endpoint()
    );
    let link = get(&url).header("location").unwrap().to_owned();
    assert_eq!(get(&link).body, b"weights");
}

#[test]
fn each_kind_of_repository_is_found_below_its_prefix() {
    let with = |repository: Repository| repository.file("f", b"x");
    let hub = FakeHub::start([
        with(Repository::dataset("acme/tiny")),
        with(Repository::space("acme/tiny")),
        with(Repository::model("tiny")),
    ])
    .unwrap();
    for (api, prefix) in [
        ("datasets/acme/tiny", "datasets/acme/tiny"),
        ("spaces/acme/tiny", "spaces/acme/tiny"),
        ("models/tiny", "tiny"),
    ] {
        assert_eq!(get(&format!("{}/api/{api}", hub.endpoint())).status, 200);
        let url = format!("{}/{prefix}/resolve/main/f", hub.endpoint());
        let location = get(&url).header("location").unwrap().to_owned();
        assert_eq!(
            get(&format!("{}{location}", hub.endpoint())).body,
            b"x",
            "{api}"
        );
    }
    let stages: Vec<Stage> = hub.requests().iter().map(|request| request.stage).collect();
    assert_eq!(
        stages,
        [Stage::Information, Stage::Resolve, Stage::Content].repeat(3)
    );
}
