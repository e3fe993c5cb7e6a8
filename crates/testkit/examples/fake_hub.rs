//! Serves folders as a Hub on loopback until it is killed, and prints what `HF_ENDPOINT` must be.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dataflow_ids::RepoKind;
use dataflow_testkit::hub::{Encryption, FakeHub, Repository, Settings};

const USAGE: &str = "\
usage: fake_hub --repo OWNER/NAME=FOLDER [--dataset OWNER/NAME=FOLDER] [--space OWNER/NAME=FOLDER]
                [--lfs-from BYTES]            files from this size on come from the CDN (default 1 MiB)
                [--port PORT]                 default: any that is free
                [--bytes-per-second BYTES]    of each answer
                [--page-files COUNT]          of each page of a listing
                [--token TOKEN]               one that is somebody's
                [--authority FILE]            speak https, and write the authority's certificate there";

/// From which size on files come from the CDN.
const LARGE_FROM_BYTES: u64 = 1024 * 1024;

/// What the command line says.
#[derive(Default)]
struct Arguments {
    folders: Vec<(RepoKind, String, PathBuf)>,
    large_from_bytes: Option<u64>,
    authority: Option<PathBuf>,
    settings: Settings,
}

fn arguments() -> Option<Arguments> {
    let mut read = Arguments::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next()?;
        match argument.as_str() {
            "--repo" => read.folders.push(folder(RepoKind::Model, &value)?),
            "--dataset" => read.folders.push(folder(RepoKind::Dataset, &value)?),
            "--space" => read.folders.push(folder(RepoKind::Space, &value)?),
            "--lfs-from" => read.large_from_bytes = Some(value.parse().ok()?),
            "--port" => read.settings.port = value.parse().ok()?,
            "--bytes-per-second" => read.settings.bytes_per_second = Some(value.parse().ok()?),
            "--page-files" => read.settings.page_files = value.parse().ok()?,
            "--token" => read.settings.tokens.push(value),
            "--authority" => {
                read.settings.encryption = Encryption::Tls;
                read.authority = Some(value.into());
            }
            _ => return None,
        }
    }
    (!read.folders.is_empty()).then_some(read)
}

fn folder(kind: RepoKind, text: &str) -> Option<(RepoKind, String, PathBuf)> {
    let (name, folder) = text.split_once('=')?;
    Some((kind, name.to_owned(), folder.into()))
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match serve(arguments) {
        Err(why) => {
            eprintln!("fake_hub: {why}");
            ExitCode::FAILURE
        }
        Ok(never) => match never {},
    }
}

fn serve(arguments: Arguments) -> Result<std::convert::Infallible, Box<dyn std::error::Error>> {
    let large_from_bytes = arguments.large_from_bytes.unwrap_or(LARGE_FROM_BYTES);
    let mut repositories = Vec::new();
    for (kind, name, folder) in arguments.folders {
        let repository = Repository::new(kind, &name)
            .folder(Path::new(&folder), large_from_bytes)
            .map_err(|why| format!("cannot read {}: {why}", folder.display()))?;
        repositories.push(repository);
    }
    let hub = FakeHub::start_with(arguments.settings, repositories)?;
    if let (Some(file), Some(authority)) = (arguments.authority, hub.authority()) {
        std::fs::write(&file, authority)
            .map_err(|why| format!("cannot write {}: {why}", file.display()))?;
    }
    // Whoever started this reads the line and goes on.
    println!("HF_ENDPOINT={}", hub.endpoint());
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}
