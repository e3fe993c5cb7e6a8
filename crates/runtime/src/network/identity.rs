//! The key of an agent: made once, kept in a file that nobody else reads, and known to others by its fingerprint.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dataflow_ids::Fingerprint;
use ring::rand::SecureRandom;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::verify::fingerprint_of_key;

/// The longest file that is read as a key, in bytes. One has about 120.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// What a certificate of ours says about its holder: nothing, since keys are pinned and not names.
const SUBJECT: &str = "dataflow agent";

/// An agent's ed25519 key, and the certificate in which it is shown.
#[derive(Clone)]
pub struct Identity {
    key: Vec<u8>,
    certificate: CertificateDer<'static>,
    fingerprint: Fingerprint,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No folder is known where it should be.
    #[error(
        "it is not known where the key of this agent is: neither $HOME nor $XDG_CONFIG_HOME is set. Say it with \
         --identity FILE, or $DATAFLOW_IDENTITY"
    )]
    NoPlace,
    /// The file cannot be read.
    #[error("cannot read the key {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("cannot make the key {}: {source}", file.display())]
    Make {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is none.
    #[error("the key {} is no ordinary file", file.display())]
    NotAFile {
        /// The file.
        file: PathBuf,
    },
    /// The file is another user's.
    #[error(
        "the key {} belongs to the user {owner}, and this is {user}: whoever owns a key can give this agent another \
         one. Use a file of your own",
        file.display()
    )]
    OtherOwner {
        /// The file.
        file: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Others can read or write it.
    #[error(
        "the key {} can be read or written by others (mode {mode:04o}): whoever reads it is this agent. \
         Run `chmod 600 {}`, and make a new key if somebody may have read it",
        file.display(), file.display()
    )]
    Open {
        /// The file.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file has no key.
    #[error(
        "{} has no ed25519 key (PKCS#8, PEM): {why}. Move it away, and a new key is made; its fingerprint is another one",
        file.display()
    )]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No key can be made.
    #[error("cannot make a key: {0}")]
    Crypto(String),
}

impl Identity {
    /// Where the key of an agent is when nothing else is said: `$DATAFLOW_IDENTITY`, else
    /// `$XDG_CONFIG_HOME/dataflow/identity.pem`, else `~/.config/dataflow/identity.pem`.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NoPlace`] when none of these variables is set.
    pub fn default_file() -> Result<PathBuf, IdentityError> {
        let variable = |name: &str| {
            let value = std::env::var_os(name)?;
            (!value.is_empty()).then(|| PathBuf::from(value))
        };
        if let Some(file) = variable("DATAFLOW_IDENTITY") {
            return Ok(file);
        }
        // A relative one counts as none: the base directory specification.
        let config = variable("XDG_CONFIG_HOME")
            .filter(|folder| folder.is_absolute())
            .or_else(|| Some(variable("HOME")?.join(".config")))
            .ok_or(IdentityError::NoPlace)?;
        Ok(config.join("dataflow/identity.pem"))
    }

    /// Reads the key of this file; makes one when there is no file. Of several that make it at once, all use the one
    /// that was first.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when it cannot be read or made, is another user's, can be read by others, or is no ed25519 key.
    pub fn load_or_make(file: &Path) -> Result<Identity, IdentityError> {
        match File::options()
            .read(true)
            // A pipe of that name would be waited for.
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open(file)
        {
            Ok(opened) => read(file, opened),
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(file),
            Err(source) => Err(IdentityError::Read {
                file: file.to_owned(),
                source,
            }),
        }
    }

    /// A key that is in no file.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Crypto`] when the system gives no randomness.
    pub fn generate() -> Result<Identity, IdentityError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(crypto)?;
        Identity::of(&key)
    }

    /// The fingerprint by which others pin this key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The certificate in which the key is shown.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// The key itself, for TLS.
    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }

    /// A secret that follows from the key and from `purpose`, the same at every start.
    pub(super) fn derive(&self, purpose: &str) -> [u8; 32] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.key);
        let tag = ring::hmac::sign(&key, purpose.as_bytes());
        let mut secret = [0; 32];
        secret.copy_from_slice(tag.as_ref());
        secret
    }

    fn of(key: &rcgen::KeyPair) -> Result<Identity, IdentityError> {
        use rcgen::PublicKeyData as _;
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, SUBJECT);
        let certificate = parameters.self_signed(key).map_err(crypto)?;
        Ok(Identity {
            key: key.serialize_der(),
            certificate: certificate.der().clone(),
            fingerprint: fingerprint_of_key(&key.subject_public_key_info()),
        })
    }
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint).finish()
    }
}

fn crypto(error: impl fmt::Display) -> IdentityError {
    IdentityError::Crypto(error.to_string())
}

fn read(file: &Path, opened: File) -> Result<Identity, IdentityError> {
    let failed = |source| IdentityError::Read {
        file: file.to_owned(),
        source,
    };
    // Of what is open, not of the path: that may lead elsewhere a moment later.
    let metadata = opened.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(IdentityError::NotAFile {
            file: file.to_owned(),
        });
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(IdentityError::OtherOwner {
            file: file.to_owned(),
            owner: metadata.uid(),
            user,
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Open {
            file: file.to_owned(),
            mode,
        });
    }
    let no_key = |why: String| IdentityError::NoKey {
        file: file.to_owned(),
        why,
    };
    let mut text = String::new();
    match opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > FILE_BYTES_MAX => {
            return Err(no_key(format!("it is longer than {FILE_BYTES_MAX} bytes")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(no_key("it is no text".to_owned()));
        }
        Err(error) => return Err(failed(error)),
    }
    let key = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&text, &rcgen::PKCS_ED25519)
        .map_err(|error| no_key(error.to_string()))?;
    Identity::of(&key)
}

fn make(file: &Path) -> Result<Identity, IdentityError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(crypto)?;
    let mut random = [0; 8];
    ring::rand::SystemRandom::new()
        .fill(&mut random)
        .map_err(crypto)?;
    let failed = |source| IdentityError::Make {
        file: file.to_owned(),
        source,
    };
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed)?;
    let beside = folder.join(format!(".identity-{:016x}.pem", u64::from_ne_bytes(random)));
    let put = write_beside(&beside, &key.serialize_pem())
        .and_then(|()| put_in_place(&beside, file))
        .and_then(|()| File::open(folder)?.sync_all());
    // Linked, renamed, or of no use: in each case the name beside is not needed.
    let _ = fs::remove_file(&beside);
    match put {
        Ok(()) => Identity::of(&key),
        // Another start was first: its key is the one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let opened = File::open(file).map_err(|source| IdentityError::Read {
                file: file.to_owned(),
                source,
            })?;
            read(file, opened)
        }
        Err(error) => Err(failed(error)),
    }
}

fn write_beside(beside: &Path, pem: &str) -> io::Result<()> {
    let mut written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)?;
    written.write_all(pem.as_bytes())?;
    written.sync_all()
}

/// Gives it its name, if nothing has it yet.
fn put_in_place(beside: &Path, file: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match fs::hard_link(beside, file) {
        // A file system without links.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(renameat_with(
                CWD,
                beside,
                CWD,
                file,
                RenameFlags::NOREPLACE,
            )?)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
