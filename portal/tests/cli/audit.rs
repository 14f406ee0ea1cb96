//! What the audit log proves, to somebody who kept an export or a hash of it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use freehold_portal::domain::audit::Hashed;
use freehold_protocol::{ids::Sha256Digest, time::Timestamp};
use rusqlite::{Connection, params};

use crate::local::{announced, end, serve};

struct World {
    folder: tempfile::TempDir,
    url: String,
    token: String,
    portal: Option<std::process::Child>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self { folder, url: String::new(), token: String::new(), portal: None };
        let lines = world.start(3);
        lines[2].strip_prefix("owner token: ").unwrap().clone_into(&mut world.token);
        world
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn start(&mut self, lines: usize) -> Vec<String> {
        let mut portal = serve(&self.data(), Stdio::piped());
        let lines = announced(&mut portal, lines);
        self.url = lines[0].replace("listening on ", "http://");
        self.portal = Some(portal);
        lines
    }

    /// What somebody with root on the portal's machine can do.
    fn meanwhile(&mut self, act: impl FnOnce(&Connection)) {
        end(self.portal.take().unwrap());
        act(&Connection::open(self.data().join("portal.db")).unwrap());
        self.start(1);
    }

    fn freehold(&self, args: &[&str]) -> (i32, String, String) {
        let ran = Command::new(env!("CARGO_BIN_EXE_freehold"))
            .args(args)
            .env_clear()
            .env("FREEHOLD_URL", &self.url)
            .env("FREEHOLD_TOKEN", &self.token)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
    }

    fn works(&self, args: &[&str]) -> String {
        let (code, out, said) = self.freehold(args);
        assert_eq!(code, 0, "{args:?}: {said}");
        out
    }

    fn refused(&self, args: &[&str], why: &str) {
        let (code, _, said) = self.freehold(args);
        assert_eq!(code, 1, "{args:?}: {said}");
        assert!(said.contains(why), "{args:?}: {said}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(portal) = self.portal.take() {
            end(portal);
        }
    }
}

/// The last entry, as `NUMBER:HASH`.
fn last(said: &str) -> String {
    said.lines().find_map(|line| line.strip_prefix("The last is ")).unwrap().to_owned()
}

/// Makes all hashes fit again, as somebody would who knows how.
fn hash_anew(database: &Connection) {
    let rows: Vec<(u64, i64, [String; 5])> = database
        .prepare(
            "SELECT n, at, actor, action, object_kind, object_id, detail FROM audit ORDER BY n",
        )
        .unwrap()
        .query_map([], |row| {
            let texts = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
            Ok((row.get(0)?, row.get(1)?, texts))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut prev_hash = Sha256Digest::ZERO;
    for (n, at, [actor, action, object_kind, object_id, detail]) in &rows {
        let hash = Hashed {
            n: *n,
            at: Timestamp::from_millis(*at),
            actor,
            action,
            object_kind,
            object_id,
            detail,
            prev_hash,
        }
        .hash();
        database
            .execute(
                "UPDATE audit SET prev_hash = ?2, hash = ?3 WHERE n = ?1",
                params![n, prev_hash.to_string(), hash.to_string()],
            )
            .unwrap();
        prev_hash = hash;
    }
}

#[test]
fn a_history_that_was_rewritten_does_not_pass_for_the_one_that_was_known() {
    let mut world = World::new();
    for n in 0..120 {
        // More than one page, and details of every shape.
        world.works(&["host", "add", &format!("vps-{n}"), "--label", "z=1", "--label", "a=ü\"{"]);
    }
    let head = last(&world.works(&["audit", "verify"]));
    world.works(&["audit", "export", "--output", "log.ndjson"]);
    let log = std::fs::read_to_string(world.folder.path().join("log.ndjson")).unwrap();
    assert!(log.lines().count() > 120 && mode(&world.folder.path().join("log.ndjson")) == 0o600);
    assert_eq!(world.works(&["audit", "export"]), log);
    let (code, _, said) = world.freehold(&["audit", "export", "--output", "log.ndjson"]);
    assert_eq!((code, said.contains("never overwritten")), (1, true), "{said}");

    // It may grow.
    world.works(&["host", "add", "one-more"]);
    world.works(&["audit", "verify", "--export", "log.ndjson", "--expect", &head]);

    // A careless change is seen at once.
    world.meanwhile(|database| {
        database.execute("UPDATE audit SET actor = 'token:nobody' WHERE n = 7", []).unwrap();
    });
    world.refused(&["audit", "verify"], "audit entry 7 was changed");

    // A careful one, by what was kept elsewhere.
    world.meanwhile(hash_anew);
    let other = last(&world.works(&["audit", "verify"]));
    assert_ne!(other, head);
    world.refused(&["audit", "verify", "--export", "log.ndjson"], "audit entry 7 was changed");
    let number = head.split_once(':').unwrap().0;
    world.refused(
        &["audit", "verify", "--expect", &head],
        &format!("audit entry {number} was changed"),
    );

    // So is one that ends earlier.
    world.meanwhile(|database| {
        database.execute("DELETE FROM audit WHERE n > 50", []).unwrap();
    });
    world.works(&["audit", "verify"]);
    world.refused(&["audit", "verify", "--expect", &head], "shorter");
}

#[test]
fn a_damaged_export_is_not_believed() {
    let world = World::new();
    world.works(&["host", "add", "vps-1"]);
    let file = |text: &str| std::fs::write(world.folder.path().join("log.ndjson"), text).unwrap();
    let log = world.works(&["audit", "export"]);
    file(&log.replace("vps-1", "vps-2"));
    world.refused(&["audit", "verify", "--export", "log.ndjson"], "the export is damaged");
    let first = log.lines().next().unwrap();
    file(&format!("{first}\n{first}\n"));
    world.refused(&["audit", "verify", "--export", "log.ndjson"], "the export is damaged");
    for (text, why) in [("{}\n", "line 1"), ("hello\n", "line 1"), ("[[[[", "line 1")] {
        file(text);
        let (code, _, said) = world.freehold(&["audit", "verify", "--export", "log.ndjson"]);
        assert_eq!((code, said.contains(why)), (2, true), "{said}");
    }
    let (code, _, said) = world.freehold(&["audit", "verify", "--expect", "0:abc"]);
    assert_eq!((code, said.contains("1 or higher")), (2, true), "{said}");
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
