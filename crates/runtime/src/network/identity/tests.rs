//! Key files: made once, and refused when they are not what they should be.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Barrier;

use super::*;

/// As OpenSSL makes it, without the public key: `openssl genpkey -algorithm ed25519`.
const BY_OPENSSL: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn put(file: &Path, text: &str, mode: u32) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_is_made_once_for_nobody_else() {
    let folder = folder();
    let file = folder.path().join("new/folders/identity.pem");
    let made = Identity::load_or_make(&file).unwrap();
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o600);
    let parent = file.parent().unwrap();
    assert_eq!(fs::metadata(parent).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(parent).unwrap().count(), 1, "nothing beside");
    let read = Identity::load_or_make(&file).unwrap();
    assert_eq!(read.fingerprint(), made.fingerprint());
    assert_eq!(read.derive("x"), made.derive("x"));
    assert_ne!(read.derive("x"), made.derive("y"));
    let shown = format!("{made:?}");
    assert_eq!(shown, format!("Identity({})", made.fingerprint()));
}

#[test]
fn of_many_that_make_it_at_once_all_have_the_same() {
    let folder = folder();
    let file = folder.path().join("identity.pem");
    let together = Barrier::new(8);
    let fingerprints: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    together.wait();
                    Identity::load_or_make(&file).unwrap().fingerprint()
                })
            })
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    assert!(
        fingerprints.iter().all(|one| *one == fingerprints[0]),
        "{fingerprints:?}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = folder();
    let file = folder.path().join("identity.pem");
    for mode in [0o640, 0o604, 0o620, 0o644, 0o666] {
        put(&file, BY_OPENSSL, mode);
        let error = Identity::load_or_make(&file).unwrap_err();
        assert!(matches!(error, IdentityError::Open { .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    for mode in [0o600, 0o400] {
        put(&file, BY_OPENSSL, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        Identity::load_or_make(&file).unwrap();
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn another_users_key_is_refused() {
    let folder = folder();
    let file = folder.path().join("identity.pem");
    put(&file, BY_OPENSSL, 0o600);
    if std::os::unix::fs::chown(&file, Some(12345), None).is_err() {
        eprintln!("SKIPPED: only root gives a file to another user");
        return;
    }
    let error = Identity::load_or_make(&file).unwrap_err();
    assert!(
        matches!(error, IdentityError::OtherOwner { owner: 12345, .. }),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_key_is_refused_and_left_as_it_is() {
    let folder = folder();
    let file = folder.path().join("identity.pem");
    let ecdsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    for text in [
        "",
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        &BY_OPENSSL[..60],
        &ecdsa.serialize_pem(),
        &"x".repeat(20_000),
    ] {
        put(&file, text, 0o600);
        let error = Identity::load_or_make(&file).unwrap_err();
        assert!(matches!(error, IdentityError::NoKey { .. }), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    fs::write(&file, [0xff, 0xfe]).unwrap();
    let error = Identity::load_or_make(&file).unwrap_err();
    assert!(matches!(error, IdentityError::NoKey { .. }), "{error}");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = Identity::load_or_make(&file).unwrap_err();
    assert!(matches!(error, IdentityError::NotAFile { .. }), "{error}");
    fs::remove_dir(&file).unwrap();
    // A pipe without a writer: it is not waited for.
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let error = Identity::load_or_make(&file).unwrap_err();
    assert!(matches!(error, IdentityError::NotAFile { .. }), "{error}");
}

#[test]
fn a_key_may_be_a_link_and_made_by_others() {
    let folder = folder();
    let (file, link) = (folder.path().join("key"), folder.path().join("link"));
    put(&file, BY_OPENSSL, 0o600);
    symlink(&file, &link).unwrap();
    let identity = Identity::load_or_make(&link).unwrap();
    // `openssl pkey -pubout -outform DER | sha256sum`
    assert_eq!(
        identity.fingerprint().to_string(),
        "sha256:a1e9156054e04fac899ae9f275132cdc07a5dbc4ea2c2ad3a1ffc6e0d253681f"
    );
    // One that leads nowhere is not made somewhere else.
    fs::remove_file(&file).unwrap();
    let error = Identity::load_or_make(&link).unwrap_err();
    assert!(matches!(error, IdentityError::Read { .. }), "{error}");
    assert!(!file.exists());
}
