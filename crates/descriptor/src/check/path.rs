//! A node's program, and the Python that runs it: are they there, and can they be run?

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::{Checker, Report};
use crate::diagnostic::Place;
use crate::yaml::Value;
use crate::{Code, Program};

/// What stands at a path.
enum Found {
    Executable,
    File,
    Directory,
    Other,
    Missing(std::io::Error),
}

fn look(path: &Path) -> Found {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Found::Directory,
        Ok(metadata) if !metadata.is_file() => Found::Other,
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => Found::File,
        Ok(_) => Found::Executable,
        Err(error) => Found::Missing(error),
    }
}

impl Checker<'_> {
    /// A node's `path`: absolute, and how it is run. `build` is the node's build command, which may still have
    /// to make the program.
    pub(crate) fn program(
        &mut self,
        value: &Value,
        owner: &str,
        build: Option<&str>,
    ) -> Option<(PathBuf, Program)> {
        let what = format!("`path` of {owner}");
        let text = self.text(value, &what)?;
        let written = Path::new(text);
        let path = self.folder.join(written);
        let shown = tidy(&path);
        let shown = shown.display();
        let program = if written.extension() == Some(OsStr::new("py")) {
            Program::Python
        } else {
            Program::Executable
        };
        match look(&path) {
            Found::Executable => {}
            Found::File if program == Program::Python => {}
            Found::File => self.report(
                Report::error(
                    Code::NotExecutable,
                    value.place,
                    format!("{what} may not be executed: `{shown}`"),
                )
                .help(format!("make it executable: chmod +x {shown}")),
            ),
            Found::Directory => self.report(
                Report::error(
                    Code::PathNotFile,
                    value.place,
                    format!("{what} is a directory: `{shown}`"),
                )
                .help("name the program in it"),
            ),
            Found::Other => self.report(
                Report::error(
                    Code::PathNotFile,
                    value.place,
                    format!("{what} is no regular file: `{shown}`"),
                )
                .help("name a program or a `.py` file"),
            ),
            Found::Missing(error) => self.missing_program(value.place, text, &path, &error, build),
        }
        Some((absolute(&path), program))
    }

    fn missing_program(
        &mut self,
        place: Place,
        text: &str,
        path: &Path,
        error: &std::io::Error,
        build: Option<&str>,
    ) {
        let shown = tidy(path);
        let shown = shown.display();
        if error.kind() != std::io::ErrorKind::NotFound {
            self.report(
                Report::error(
                    Code::PathNotFound,
                    place,
                    format!("`{shown}` cannot be reached: {error}"),
                )
                .help("a part of the path is no directory, or may not be entered"),
            );
            return;
        }
        if let Some(build) = build {
            self.report(
                Report::warning(
                    Code::NotBuiltYet,
                    place,
                    format!("there is no file `{shown}` yet"),
                )
                .help(format!(
                    "`dataflow up --build` makes it: {}",
                    crate::yaml::shortened(build)
                )),
            );
            return;
        }
        let help = if text.starts_with('~') {
            "`~` is not expanded: write the whole path".to_owned()
        } else if let Some(found) = (!text.contains('/'))
            .then(|| self.on_search_path(text))
            .flatten()
        {
            format!(
                "a path begins at the YAML file; for the program on your PATH write `{}`",
                found.display()
            )
        } else {
            "a relative path begins at the folder of the YAML file; if a command makes the program, name it \
             with `build:`"
                .to_owned()
        };
        self.report(
            Report::error(
                Code::PathNotFound,
                place,
                format!("there is no file `{shown}`"),
            )
            .help(help),
        );
    }

    /// The interpreter of a Python node: its `python` key, else `.venv` beside the YAML, else `$VIRTUAL_ENV`,
    /// else `python3`. `place` is the node's `path`.
    pub(crate) fn python(
        &mut self,
        key: Option<&Value>,
        place: Place,
        owner: &str,
    ) -> Option<PathBuf> {
        if let Some(value) = key {
            return self.named_python(value, owner);
        }
        let environments = [
            ("`.venv`", Some(self.folder.join(".venv"))),
            ("`$VIRTUAL_ENV`", self.environment.virtual_env.clone()),
        ];
        for (name, environment) in environments {
            let Some(environment) = environment.filter(|path| path.is_dir()) else {
                continue;
            };
            let python = environment.join("bin/python");
            if matches!(look(&python), Found::Executable) {
                return Some(absolute(&python));
            }
            self.report(
                Report::error(
                    Code::PythonNotFound,
                    place,
                    format!(
                        "{name} has no Python that runs: `{}`",
                        tidy(&python).display()
                    ),
                )
                .help(format!(
                    "make it anew: python3 -m venv --clear {}",
                    tidy(&environment).display()
                )),
            );
            return None;
        }
        let python = self.on_search_path("python3");
        if python.is_none() {
            self.report(
                Report::error(
                    Code::PythonNotFound,
                    place,
                    format!("there is no Python for {owner}: no `.venv`, no `$VIRTUAL_ENV`, no `python3` on the PATH"),
                )
                .help("install Python 3.11 or later, or name one with `python:`"),
            );
        }
        python
    }

    fn named_python(&mut self, value: &Value, owner: &str) -> Option<PathBuf> {
        let what = format!("`python` of {owner}");
        let text = self.text(value, &what)?;
        let error = |message: String| Report::error(Code::PythonNotFound, value.place, message);
        if !text.contains('/') {
            let found = self.on_search_path(text);
            if found.is_none() {
                self.report(
                    error(format!("there is no `{text}` on the PATH"))
                        .help(format!("install it, or write a path: `python: ./{text}`")),
                );
            }
            return found;
        }
        let path = self.folder.join(text);
        let shown = tidy(&path);
        let shown = shown.display();
        let report = match look(&path) {
            Found::Executable => return Some(absolute(&path)),
            Found::File | Found::Other => {
                error(format!("{what} may not be executed: `{shown}`")).help("name a Python interpreter")
            }
            Found::Directory => error(format!("{what} is a directory: `{shown}`"))
                .help(format!("name the interpreter in it: `{text}/bin/python`").replace("//", "/")),
            Found::Missing(_) => error(format!("there is no Python at `{shown}`")).help(
                "a relative path begins at the folder of the YAML file; `python3 -m venv .venv` makes a Python \
                 that is found without this key",
            ),
        };
        self.report(report);
        None
    }

    fn on_search_path(&self, program: &str) -> Option<PathBuf> {
        let search_path = self.environment.search_path.as_deref()?;
        std::env::split_paths(search_path)
            .filter(|folder| !folder.as_os_str().is_empty())
            .map(|folder| folder.join(program))
            .find(|path| matches!(look(path), Found::Executable))
            .map(|path| absolute(&path))
    }
}

/// An absolute path without `..` where the file system allows it. The last part stays as it is: a Python of a
/// virtual environment is a link, and knows its environment by the link's place.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return absolute;
    };
    match folder.canonicalize() {
        Ok(folder) => folder.join(name),
        Err(_) => absolute,
    }
}

/// A path for people: `a/../b` is `b`, and `./a` is `a`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(tidied.components().next_back(), Some(Component::Normal(_))) =>
            {
                tidied.pop();
            }
            other => tidied.push(other),
        }
    }
    if tidied.as_os_str().is_empty() {
        tidied.push(".");
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_detours() {
        for (path, tidied) in [
            ("dataflows/../target/x", "target/x"),
            ("./camera.py", "camera.py"),
            ("../x", "../x"),
            ("../../x", "../../x"),
            ("/a/./b/..", "/a"),
            ("a/..", "."),
        ] {
            assert_eq!(tidy(Path::new(path)), Path::new(tidied));
        }
    }

    #[test]
    fn an_absolute_path_keeps_its_last_link() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir(folder.join("real")).unwrap();
        std::fs::write(folder.join("real/tool"), "").unwrap();
        std::os::unix::fs::symlink(folder.join("real"), folder.join("by")).unwrap();
        std::os::unix::fs::symlink("tool", folder.join("real/link")).unwrap();
        assert_eq!(
            absolute(&folder.join("real/../by/link")),
            folder.join("real/link")
        );
    }
}
