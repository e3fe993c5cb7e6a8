//! Writing a file that a person keeps: whole or not at all, where its links lead, with the mode it had.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes `text` in place of what `file` has.
///
/// # Errors
///
/// What the system says; the file is then as it was.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let place = fs::canonicalize(file)?;
    let folder = place.parent().unwrap_or(Path::new("/"));
    let facts = fs::metadata(&place)?;
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let written = write_beside(&beside, text, &facts).and_then(|()| fs::rename(&beside, &place));
    if written.is_err() {
        // Nothing of it stays.
        let _ = fs::remove_file(&beside);
    }
    written?;
    fs::File::open(folder)?.sync_all()
}

fn write_beside(beside: &Path, text: &str, facts: &fs::Metadata) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)?;
    file.write_all(text.as_bytes())?;
    // Who is not its owner cannot give it away; what matters is who may read and write it.
    let _ = std::os::unix::fs::fchown(&file, Some(facts.uid()), Some(facts.gid()));
    file.set_permissions(fs::Permissions::from_mode(facts.mode() & 0o7777))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_where_its_link_leads_and_keeps_its_mode() {
        let place = tempfile::tempdir().unwrap();
        let (real, link) = (
            place.path().join("real.yaml"),
            place.path().join("link.yaml"),
        );
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.yaml", &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made() {
        let place = tempfile::tempdir().unwrap();
        replace(&place.path().join("none"), "text").unwrap_err();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
