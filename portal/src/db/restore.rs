//! Puts a backup in the place of the database, so that a crash at any instant leaves the old database or
//! the new one whole, never a mix.
//!
//! The database is two files: `portal.db` and its log `portal.db-wal`. They cannot be exchanged at once,
//! and SQLite would play a log that is left behind into whatever file stands beside it. So the commit
//! point is one rename: the copy of the backup, whole and synced, takes the name
//! `portal.db.restoring-TIME`. Before it nothing of the old database was touched. After it the restored
//! one is in force, and [`finish`], which every opening of the database calls first, moves what is left of
//! the old one away and the new one into place, however often that is interrupted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use freehold_protocol::time::Timestamp;

use super::backup::{BackupError, check, copy, io_error, open_read, sync_folder_of, with_suffix};
use crate::instance::InstanceLock;

/// What follows the database's name in that of a copy that is in force but not in place.
const PENDING: &str = ".restoring-";
/// What follows it in the name under which the old database is kept.
const KEPT: &str = ".before-restore-";
/// The parts of a database, in the order in which they are moved away: the file itself last, so that
/// what is kept is found whole beside it.
const PARTS: [&str; 3] = ["-wal", "-shm", ""];

/// Puts a backup in the place of the database. The portal must not run. The old database stays beside it;
/// its path is returned.
///
/// # Errors
/// See [`BackupError`]. When the database is not as it was, the next start finishes the restore.
pub fn restore(
    data_dir: &Path,
    database: &Path,
    from: &Path,
    now: Timestamp,
) -> Result<Option<PathBuf>, BackupError> {
    let _lock = InstanceLock::take(data_dir).map_err(BackupError::InUse)?;
    finish(database)?;
    let findings = check(from)?;
    if !findings.is_empty() {
        return Err(BackupError::Damaged { path: from.to_owned(), findings });
    }
    let pending = prepare(database, from, now)?;
    fs::rename(&pending.copy, &pending.named).map_err(io_error("committing", &pending.named))?;
    sync_folder_of(database)?;
    finish(database)
}

/// A copy that is whole and on the disk, and the name that puts it in force.
#[derive(Debug)]
struct Prepared {
    copy: PathBuf,
    named: PathBuf,
}

fn prepare(database: &Path, from: &Path, now: Timestamp) -> Result<Prepared, BackupError> {
    let copied = with_suffix(database, ".restored");
    // One that a crash has left may be anything.
    match fs::remove_file(&copied) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(io_error("removing", &copied)(error));
        }
        _ => {}
    }
    copy(&open_read(from)?.0, &copied)?;
    crate::instance::give_to_owner_of_folder(&copied).map_err(io_error("giving away", &copied))?;
    Ok(Prepared { copy: copied, named: with_suffix(database, &format!("{PENDING}{now}")) })
}

/// The copy of a restore that was interrupted after its commit point, if there is one.
///
/// # Errors
/// When the folder cannot be read.
pub fn pending(database: &Path) -> Result<Option<PathBuf>, BackupError> {
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else {
        return Ok(None);
    };
    let prefix = format!("{}{PENDING}", name.to_string_lossy());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("reading the folder", folder)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(io_error("reading the folder", folder))?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// Every rename that is left to do, in order.
fn moves(database: &Path, pending: &Path) -> Vec<(PathBuf, PathBuf)> {
    let kept = kept(database, pending);
    let mut moves: Vec<_> =
        PARTS.iter().map(|part| (with_suffix(database, part), with_suffix(&kept, part))).collect();
    moves.push((pending.to_owned(), database.to_owned()));
    moves
}

/// Where the old database goes: the name is that of the restore, so that it is the same after a crash.
fn kept(database: &Path, pending: &Path) -> PathBuf {
    let name = pending.to_string_lossy();
    let time = name.rsplit_once(PENDING).map_or("", |(_, time)| time);
    with_suffix(database, &format!("{KEPT}{time}"))
}

/// Finishes a restore that is past its commit point, if there is one. Nobody may have the database open.
/// Returns where the old database is.
///
/// # Errors
/// When a file cannot be moved; then the next call goes on.
pub fn finish(database: &Path) -> Result<Option<PathBuf>, BackupError> {
    let Some(pending) = pending(database)? else { return Ok(None) };
    for (from, to) in moves(database, &pending) {
        if from.exists() {
            fs::rename(&from, &to).map_err(io_error("moving", &from))?;
        }
    }
    sync_folder_of(database)?;
    let kept = kept(database, &pending);
    Ok(kept.exists().then_some(kept))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

    use super::*;
    use crate::{clock::SystemClock, db::Db};

    fn put(db: &Db, name: &'static str) {
        db.write(move |tx| {
            tx.sql().execute("INSERT INTO meta (name, value) VALUES (?1, 'x')", [name])?;
            Ok(())
        })
        .unwrap();
    }

    fn names(path: &Path) -> Vec<String> {
        let db = Db::open(path, Arc::new(SystemClock)).unwrap();
        let names = db.read(|read| {
            let mut statement = read.sql().prepare("SELECT name FROM meta ORDER BY name")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        });
        db.close();
        names.unwrap()
    }

    /// A data folder as a portal leaves it that was killed: the last rows stand in the log alone.
    fn killed(folder: &Path) -> (PathBuf, PathBuf) {
        let live = folder.join("live.db");
        let db = Db::open(&live, Arc::new(SystemClock)).unwrap();
        put(&db, "in the backup");
        let backup = folder.join("backup.db");
        super::super::backup::backup(&live, &backup).unwrap();
        put(&db, "later, in the log");
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        let database = data.join("portal.db");
        for part in ["", "-wal"] {
            fs::copy(with_suffix(&live, part), with_suffix(&database, part)).unwrap();
        }
        assert!(fs::metadata(with_suffix(&database, "-wal")).unwrap().len() > 0);
        (database, backup)
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_or_the_new_database_whole() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let old = ["in the backup", "later, in the log"];
        let new = ["in the backup"];
        // Killed before the commit point.
        let folder = tempfile::tempdir().unwrap();
        let (database, backup) = killed(folder.path());
        let prepared = prepare(&database, &backup, now).unwrap();
        assert!(prepared.copy.exists());
        assert_eq!(names(&database), old);
        assert!(super::restore(database.parent().unwrap(), &database, &backup, now).is_ok());
        assert_eq!(names(&database), new);
        // Killed after it, with this many renames done.
        for done in 0..=PARTS.len() + 1 {
            let folder = tempfile::tempdir().unwrap();
            let (database, backup) = killed(folder.path());
            let prepared = prepare(&database, &backup, now).unwrap();
            fs::rename(&prepared.copy, &prepared.named).unwrap();
            let all = moves(&database, &prepared.named);
            assert_eq!(all.len(), PARTS.len() + 1);
            for (from, to) in all.iter().take(done).filter(|(from, _)| from.exists()) {
                fs::rename(from, to).unwrap();
            }
            // Nobody looks at half of it meanwhile.
            let copy = folder.path().join("copy.db");
            let refused = super::super::backup::backup(&database, &copy);
            assert_eq!(refused.is_err(), done <= PARTS.len(), "{done}: {refused:?}");
            assert_eq!(names(&database), new, "{done}");
            assert_eq!(names(&kept(&database, &prepared.named)), old, "{done}");
            let mode = fs::metadata(&database).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{done}");
            assert_eq!(pending(&database).unwrap(), None);
        }
    }

    #[test]
    fn a_copy_with_a_wide_mode_that_a_crash_left_is_not_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let (database, backup) = killed(folder.path());
        let left = with_suffix(&database, ".restored");
        fs::write(&left, b"half a copy").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        let now = Timestamp::from_millis(1_790_000_000_000);
        super::restore(database.parent().unwrap(), &database, &backup, now).unwrap();
        assert_eq!(fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_database_is_replaced_too() {
        let folder = tempfile::tempdir().unwrap();
        let (database, backup) = killed(folder.path());
        fs::write(&database, b"not a database any more, and long enough to be looked at").unwrap();
        let now = Timestamp::from_millis(1_790_000_000_000);
        super::restore(database.parent().unwrap(), &database, &backup, now).unwrap();
        assert_eq!(names(&database), ["in the backup"]);
    }
}
