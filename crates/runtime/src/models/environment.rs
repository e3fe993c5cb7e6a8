//! What the environment says about the Hub, read as Python's `huggingface_hub` reads it (its `constants.py` and
//! `utils/_auth.py`).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::error::ModelError;

const ENDPOINT: &str = "https://huggingface.co";
/// A token has some forty letters.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// Where models come from and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// The cache's folder, absolute.
    pub cache: PathBuf,
    /// The Hub's URL, without a `/` at its end.
    pub endpoint: String,
    /// Who is asking, if that is to be said.
    pub token: Option<Token>,
    /// Nothing is to be asked of the network.
    pub is_offline: bool,
}

/// A token of the Hub. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What goes behind `Bearer`: visible ASCII letters.
    pub secret: String,
    /// Where it came from, for errors: the variable's name, or the file's path.
    pub from: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl HubSettings {
    /// What this process's environment says.
    ///
    /// # Errors
    /// [`ModelError::Disk`] when there is a token's file that cannot be read; [`ModelError::BadName`] for a token that
    /// is none.
    pub fn from_environment() -> Result<HubSettings, ModelError> {
        HubSettings::from_variables(&std::env::vars_os().collect())
    }

    /// What an environment says that is given.
    ///
    /// # Errors
    /// As [`HubSettings::from_environment`].
    pub fn from_variables(
        variables: &BTreeMap<OsString, OsString>,
    ) -> Result<HubSettings, ModelError> {
        HubSettings::from_variables_in(variables, Path::new(""))
    }

    /// What the environment of another process says, whose working folder is `folder`.
    ///
    /// # Errors
    /// As [`HubSettings::from_environment`].
    pub fn from_variables_in(
        variables: &BTreeMap<OsString, OsString>,
        folder: &Path,
    ) -> Result<HubSettings, ModelError> {
        let environment = Environment { variables, folder };
        let home = environment.hub_home();
        let hub = home.join("hub");
        // The first one is what it is called today.
        let cache = environment
            .get("HF_HUB_CACHE")
            .or_else(|| environment.get("HUGGINGFACE_HUB_CACHE"))
            .map_or(hub, PathBuf::from);
        let cache = environment.expand(&cache);
        Ok(HubSettings {
            cache: absolute(&folder.join(cache))?,
            endpoint: environment.endpoint(),
            token: environment.token(&home)?,
            is_offline: is_true(
                environment
                    .get_some("HF_HUB_OFFLINE")
                    .or_else(|| environment.get_some("TRANSFORMERS_OFFLINE")),
            ),
        })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, ModelError> {
    let path = or_here(path);
    let absolute = std::path::absolute(path).map_err(unreadable(path))?;
    // Without a `/` at its end.
    Ok(absolute.components().collect())
}

/// An empty path is this folder, as in Python.
fn or_here(path: &Path) -> &Path {
    match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ModelError + use<> {
    let path = path.to_path_buf();
    move |error| ModelError::Disk {
        doing: "read",
        path,
        why: error.to_string(),
        kind: error.kind(),
    }
}

fn is_true(value: Option<&OsStr>) -> bool {
    let value = value.map(|value| value.to_string_lossy().to_uppercase());
    matches!(value.as_deref(), Some("1" | "ON" | "YES" | "TRUE"))
}

struct Environment<'a> {
    variables: &'a BTreeMap<OsString, OsString>,
    /// Where relative paths begin.
    folder: &'a Path,
}

impl Environment<'_> {
    /// `os.getenv(name)`: an empty one is there.
    fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
    }

    /// `os.environ.get(name) or …`: an empty one is not there.
    fn get_some(&self, name: &str) -> Option<&OsStr> {
        self.get(name).filter(|value| !value.is_empty())
    }

    fn hub_home(&self) -> PathBuf {
        let home = match (self.get("HF_HOME"), self.get("XDG_CACHE_HOME")) {
            (Some(home), _) => PathBuf::from(home),
            (None, Some(caches)) => Path::new(caches).join("huggingface"),
            (None, None) => self
                .expand_user(OsStr::new("~"))
                .join(".cache")
                .join("huggingface"),
        };
        self.expand(&home)
    }

    fn endpoint(&self) -> String {
        // An empty one is no endpoint in Python either: there, every request fails with it.
        let endpoint = self.get_some("HF_ENDPOINT").unwrap_or(OsStr::new(ENDPOINT));
        endpoint.to_string_lossy().trim_end_matches('/').to_owned()
    }

    fn token(&self, home: &Path) -> Result<Option<Token>, ModelError> {
        if is_true(self.get("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
            return Ok(None);
        }
        let names = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
        let named = names.map(|name| Some((name, self.get_some(name)?)));
        if let Some((name, value)) = named.into_iter().flatten().next()
            && let Some(token) = token(value.as_bytes(), name)?
        {
            return Ok(Some(token));
        }
        let path = self
            .get("HF_TOKEN_PATH")
            .map_or_else(|| home.join("token"), PathBuf::from);
        let path = self.folder.join(self.expand(&path));
        let path = or_here(&path);
        let facts = match fs::metadata(path) {
            Ok(facts) => facts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(path)(error)),
        };
        if !facts.is_file() || facts.len() > TOKEN_BYTES_MAX {
            let error = io::Error::other("it is no file, or too large for a token");
            return Err(unreadable(path)(error));
        }
        match fs::read(path) {
            Ok(content) => token(&content, &path.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(path)(error)),
        }
    }

    /// `os.path.expandvars(os.path.expanduser(path))`.
    fn expand(&self, path: &Path) -> PathBuf {
        let path = self.expand_user(path.as_os_str());
        let mut rest = path.as_os_str().as_bytes();
        let mut expanded = Vec::new();
        while let Some(at) = rest.iter().position(|&letter| letter == b'$') {
            let (before, from) = rest.split_at(at);
            expanded.extend_from_slice(before);
            let (name, length) = variable(&from[1..]);
            match self.variables.get(OsStr::from_bytes(name)) {
                Some(value) if !name.is_empty() => expanded.extend_from_slice(value.as_bytes()),
                // What is not there stays as it was written.
                _ => expanded.extend_from_slice(&from[..=length]),
            }
            rest = &from[1 + length..];
        }
        expanded.extend_from_slice(rest);
        PathBuf::from(OsString::from_vec(expanded))
    }

    /// `os.path.expanduser(path)`.
    fn expand_user(&self, path: &OsStr) -> PathBuf {
        let Some(rest) = path.as_bytes().strip_prefix(b"~") else {
            return PathBuf::from(path);
        };
        let end = rest.iter().position(|&letter| letter == b'/');
        let (user, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let home = match (user.is_empty(), self.get("HOME")) {
            (true, Some(home)) => Some(home.as_bytes().to_vec()),
            (true, None) => {
                let user = rustix::process::getuid().as_raw().to_string();
                home_of(2, user.as_bytes())
            }
            (false, _) => home_of(0, user),
        };
        let Some(mut home) = home else {
            return PathBuf::from(path);
        };
        while home.last() == Some(&b'/') {
            home.pop();
        }
        home.extend_from_slice(rest);
        if home.is_empty() {
            home.push(b'/');
        }
        PathBuf::from(OsString::from_vec(home))
    }
}

/// The name of a variable behind a `$`, and how many bytes it takes there with its braces.
fn variable(text: &[u8]) -> (&[u8], usize) {
    if let Some(inner) = text.strip_prefix(b"{") {
        return match inner.iter().position(|&letter| letter == b'}') {
            Some(end) => (&inner[..end], end + 2),
            None => (b"", 0),
        };
    }
    let is_word = |letter: &u8| letter.is_ascii_alphanumeric() || *letter == b'_';
    let end = text.iter().position(|letter| !is_word(letter));
    let name = &text[..end.unwrap_or(text.len())];
    (name, name.len())
}

/// The home of the user whose field of this number in the system's list is `value`.
fn home_of(field: usize, value: &[u8]) -> Option<Vec<u8>> {
    let users = fs::read("/etc/passwd").ok()?;
    users.split(|&letter| letter == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|&letter| letter == b':').collect();
        let is_he = fields.get(field) == Some(&value);
        is_he.then(|| fields.get(5).map(|home| home.to_vec()))?
    })
}

/// A token without line ends and spaces around it; `None` when nothing is left.
fn token(content: &[u8], from: &str) -> Result<Option<Token>, ModelError> {
    let text = String::from_utf8_lossy(content).replace(['\r', '\n'], "");
    let secret = text.trim();
    if secret.is_empty() {
        return Ok(None);
    }
    if !secret.bytes().all(|letter| letter.is_ascii_graphic()) {
        return Err(ModelError::BadName {
            what: "token",
            text: from.to_owned(),
            why: "it has letters that no token has".to_owned(),
        });
    }
    Ok(Some(Token {
        secret: secret.to_owned(),
        from: from.to_owned(),
    }))
}
