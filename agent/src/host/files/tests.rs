//! Folders and files, with links planted in their way.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn folders_and_files_are_private_and_replaced_as_a_whole() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("tenant");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let folder = Folder::ensure_private(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    folder.write(".env", b"A=1", Access::Private).unwrap();
    folder.write(".env", b"A=2", Access::Private).unwrap();
    folder.write("site.conf", b"", Access::Public).unwrap();
    assert_eq!((mode(&path.join(".env")), mode(&path.join("site.conf"))), (0o600, 0o644));
    assert_eq!(folder.read(".env").unwrap().unwrap(), b"A=2");
    assert_eq!(folder.read("none").unwrap(), None);
    assert_eq!(folder.files().unwrap(), [".env", "site.conf"]);
    assert!(folder.remove(".env").unwrap() && !folder.remove(".env").unwrap());
    remove_folder(&path).unwrap();
    remove_folder(&path).unwrap();
    assert!(Folder::open_if_there(&path).unwrap().is_none());
}

#[test]
fn links_and_paths_are_refused() {
    let base = tempfile::tempdir().unwrap();
    let folder = Folder::ensure_private(&base.path().join("a")).unwrap();
    let outside = base.path().join("outside");
    std::fs::write(&outside, "kept").unwrap();
    symlink(&outside, folder.path().join("file")).unwrap();
    symlink(base.path(), base.path().join("link")).unwrap();
    assert!(matches!(folder.read("file"), Err(FilesError::Foreign { .. })));
    assert!(matches!(folder.write("file", b"x", Access::Private), Err(FilesError::Foreign { .. })));
    for name in ["../outside", "", ".", "..", "a/b"] {
        assert!(matches!(folder.read(name), Err(FilesError::Foreign { .. })), "{name}");
    }
    let link = base.path().join("link");
    assert!(matches!(Folder::ensure_private(&link), Err(FilesError::Foreign { .. })));
    assert!(matches!(remove_folder(&link), Err(FilesError::Foreign { .. })));
    // A link planted where the temporary file goes is replaced, not followed.
    symlink(&outside, folder.path().join(".b.new")).unwrap();
    folder.write("b", b"new", Access::Private).unwrap();
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "kept");
}

#[test]
fn a_kept_copy_comes_back() {
    let base = tempfile::tempdir().unwrap();
    let folder = Folder::ensure_private(&base.path().join("a")).unwrap();
    // There was none: restoring removes.
    assert!(!folder.keep("f", "job").unwrap());
    folder.write("f", b"1", Access::Private).unwrap();
    folder.restore("f", "job").unwrap();
    assert_eq!(folder.read("f").unwrap(), None);
    // There was one; a second keep (after a crash) does not replace the older copy.
    folder.write("f", b"1", Access::Private).unwrap();
    assert!(folder.keep("f", "job").unwrap());
    folder.write("f", b"2", Access::Private).unwrap();
    assert!(folder.keep("f", "job").unwrap());
    folder.restore("f", "job").unwrap();
    assert_eq!(folder.read("f").unwrap().unwrap(), b"1");
    assert_eq!(folder.files().unwrap(), ["f"]);
    // Nothing changed in between: both names are one file, and only the copy goes.
    assert!(folder.keep("f", "job").unwrap());
    folder.restore("f", "job").unwrap();
    assert_eq!(folder.files().unwrap(), ["f"]);
    folder.keep("f", "job").unwrap();
    folder.forget("f", "job").unwrap();
    assert_eq!(folder.files().unwrap(), ["f"]);
}

#[test]
fn a_full_disk_is_a_failure_of_the_host_with_advice() {
    let error = FilesError::Io {
        doing: "write",
        path: "/var/lib/freehold/x".into(),
        source: Errno::NOSPC.into(),
    };
    let failure = Failure::from(&error);
    assert_eq!(failure.class, FailureClass::Host);
    assert!(failure.advice.contains("free space"), "{failure:?}");
}
