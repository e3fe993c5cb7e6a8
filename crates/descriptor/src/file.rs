//! The file on disk: is it there, is it text, is it small enough?

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::check::{self, Checker, Report};
use crate::limits::FILE_BYTES_MAX;
use crate::source::Source;
use crate::subject::{self, Subject};
use crate::{Checked, CheckedPeers, Code, Environment, Peers, ThisMachine};

/// Reads and checks a description. Relative paths in it begin at its folder.
pub(crate) fn check_file(file: &Path, environment: &Environment, peers: Option<&Peers>) -> Checked {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match read(file, &subject::DATAFLOW) {
        Ok(text) => check::check(&text, file, folder, environment, peers),
        Err(report) => {
            let source = Source::new(file, "");
            let mut checker = Checker::new(&source, folder, environment);
            checker.report(report);
            checker.finish(None)
        }
    }
}

/// Reads and checks a file of peers.
pub(crate) fn check_peers_file(file: &Path, machine: Option<&ThisMachine<'_>>) -> CheckedPeers {
    match read(file, &subject::PEERS) {
        Ok(text) => check::check_peers(&text, file, machine),
        Err(report) => check::no_peers(file, report),
    }
}

fn read(file: &Path, subject: &Subject) -> Result<String, Report> {
    let error = |code, message: String| Report::error(code, None, message);
    // A pipe or a device would be opened first and block: look before.
    let metadata = std::fs::metadata(file).map_err(|cause| {
        if cause.kind() == std::io::ErrorKind::NotFound {
            let help = match neighbours(file) {
                Some(neighbours) => format!("in that folder there is {neighbours}"),
                None => subject.name_one.to_owned(),
            };
            error(Code::FileNotReadable, "there is no such file".to_owned()).help(help)
        } else {
            not_readable(&cause)
        }
    })?;
    if metadata.is_dir() {
        let help = match yaml_files(file) {
            Some(files) => format!("name a file in it: {files}"),
            None => subject.name_one.to_owned(),
        };
        return Err(error(Code::FileNotRegular, "this is a directory".to_owned()).help(help));
    }
    if !metadata.is_file() {
        return Err(
            error(Code::FileNotRegular, "this is no regular file".to_owned())
                .help(subject.name_one),
        );
    }
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|cause| not_readable(&cause))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(error(
            Code::FileTooLarge,
            format!("the file has more than {FILE_BYTES_MAX} bytes"),
        )
        .help(subject.too_large));
    }
    let not_text = |offset: usize| {
        error(
            Code::FileNotText,
            format!("the file is not text: byte {offset} is not UTF-8"),
        )
        .help("save it as UTF-8, or name a YAML file")
    };
    let text =
        String::from_utf8(bytes).map_err(|cause| not_text(cause.utf8_error().valid_up_to()))?;
    match text.find('\0') {
        Some(offset) => Err(error(
            Code::FileNotText,
            format!("the file is not text: byte {offset} is NUL"),
        )
        .help("name a YAML file")),
        None => Ok(text),
    }
}

fn not_readable(cause: &std::io::Error) -> Report {
    Report::error(
        Code::FileNotReadable,
        None,
        format!("the file cannot be read: {cause}"),
    )
    .help("look at its permissions and those of its folders")
}

/// YAML files beside a file that is not there.
fn neighbours(file: &Path) -> Option<String> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => yaml_files(folder),
        _ => yaml_files(Path::new(".")),
    }
}

/// A few YAML files of a folder, by name.
fn yaml_files(folder: &Path) -> Option<String> {
    const SHOWN_MAX: usize = 5;
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".yml") || name.ends_with(".yaml"))
        .collect();
    if names.is_empty() {
        return None;
    }
    names.sort();
    let more = names.len().saturating_sub(SHOWN_MAX);
    names.truncate(SHOWN_MAX);
    let shown = names.join(", ");
    Some(if more > 0 {
        format!("{shown} and {more} more")
    } else {
        shown
    })
}
