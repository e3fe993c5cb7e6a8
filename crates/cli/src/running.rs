//! Which running dataflow a command means.

use std::path::{Path, PathBuf, absolute};

use dataflow_runtime::registry::{self, FoundRun};

use crate::error::CliError;

/// The runs that `which` means: all of this folder and below, or those of that name or file.
///
/// # Errors
///
/// [`CliError::Registry`] when the registry cannot be read. That nothing runs is no error.
pub(crate) fn all(which: Option<&str>) -> Result<Vec<FoundRun>, CliError> {
    let here = here()?;
    if let Some(file) = which.and_then(|which| file(&here, which)) {
        // A file may lie anywhere: its own folder is its project.
        let folder = file.parent().unwrap_or(&here);
        let found = registry::find(folder, Some(text_of(&file)?.as_str()))?;
        // A file that is no dataflow's may have the name of one.
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(registry::find(&here, which)?)
}

/// `path` as text, absolute, without symbolic links as far as it is there: as the registry names it.
///
/// # Errors
///
/// [`CliError::PathNotText`] when it is none.
pub(crate) fn text_of(path: &Path) -> Result<String, CliError> {
    let whole = std::fs::canonicalize(path)
        .or_else(|_| absolute(path))
        .unwrap_or_else(|_| path.to_owned());
    whole
        .into_os_string()
        .into_string()
        .map_err(|path| CliError::PathNotText { path: path.into() })
}

/// The one run that `which` means. Before `which` stands `option` on the command line, if one does.
///
/// # Errors
///
/// [`CliError`] when there is none, or more than one.
pub(crate) fn one(which: Option<&str>, option: Option<&'static str>) -> Result<FoundRun, CliError> {
    let mut found = all(which)?;
    match found.len() {
        0 => Err(none(which)?),
        1 => Ok(found.remove(0)),
        _ => Err(CliError::Several {
            names: told_apart(&found),
            option,
        }),
    }
}

/// Names where they differ, files where they do not.
fn told_apart(found: &[FoundRun]) -> Vec<String> {
    let unique = |run: &FoundRun| found.iter().filter(|other| other.name == run.name).count() == 1;
    found
        .iter()
        .map(|run| {
            if unique(run) {
                run.name.to_string()
            } else {
                run.file.display().to_string()
            }
        })
        .collect()
}

/// The error that says that nothing runs, and where it was looked for.
pub(crate) fn none(which: Option<&str>) -> Result<CliError, CliError> {
    let here = here()?;
    Ok(match which {
        None => CliError::NothingRuns { folder: here },
        Some(which) => CliError::DoesNotRun {
            which: which.to_owned(),
            folder: match file(&here, which) {
                Some(file) => file.parent().unwrap_or(&here).to_owned(),
                None => here,
            },
        },
    })
}

/// The folder this command was called in.
pub(crate) fn here() -> Result<PathBuf, CliError> {
    std::env::current_dir().map_err(CliError::system("find out the folder of this command"))
}

/// `which` as a file, absolute, when there is one.
pub(crate) fn file(here: &Path, which: &str) -> Option<PathBuf> {
    let path = here.join(which);
    path.is_file()
        .then(|| std::fs::canonicalize(&path).unwrap_or(path))
}
