//! Users and their sessions by command, against a real portal.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Child, sync::Arc};

use freehold_portal::{
    clock::{Clock as _, ManualClock, SystemClock},
    config::Config,
    context::Portal,
};
use serde_json::Value;

use super::fake::{Ran, ended, program, tell};
use super::running::Running;

const ANNA: &str = "anna@b.example";
const PASSWORD: &str = "correct horse battery";

/// A portal in this process, whose clock the test moves, and a home for the program.
struct World {
    clock: ManualClock,
    owner: String,
    url: String,
    _running: Running,
    home: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            data_dir: home.path().join("portal"),
            shutdown_grace_secs: 1,
            ..Config::default()
        };
        let clock = ManualClock::at(SystemClock.now());
        let (portal, owner) = Portal::open(config, Arc::new(clock.clone())).unwrap();
        let portal = Arc::new(portal);
        let running = Running::start(&portal, portal.config.server(), |handler, _| handler);
        let url = format!("http://{}", running.address);
        let owner = owner.unwrap().expose().to_owned();
        Self { clock, owner, url, _running: running, home }
    }

    fn start(&self, token: Option<&str>, args: &[&str], stdin: &str) -> Child {
        let mut command = program(self.home.path(), args);
        if let Some(token) = token {
            command.env("FREEHOLD_URL", &self.url).env("FREEHOLD_TOKEN", token);
        }
        let mut child = command.spawn().unwrap();
        tell(&mut child, stdin);
        child
    }

    /// As an owner, with a token.
    #[must_use = "look at how it ended"]
    fn owner(&self, args: &[&str]) -> Ran {
        ended(self.start(Some(&self.owner), args, ""))
    }

    /// As whoever has logged in.
    #[must_use = "look at how it ended"]
    fn run(&self, args: &[&str], stdin: &str) -> Ran {
        ended(self.start(None, args, stdin))
    }

    fn login(&self, password: &str) -> Ran {
        self.run(&["login", &self.url, "--user", ANNA], &format!("{password}\n"))
    }

    fn stored(&self) -> PathBuf {
        self.home.path().join(".config/freehold/remote.toml")
    }

    /// Anna, who has logged in.
    fn with_anna(role: &str) -> Self {
        let world = Self::new();
        let file = world.home.path().join("first.txt");
        fs::write(&file, format!("{PASSWORD}\n")).unwrap();
        let file = file.to_str().unwrap();
        let add = ["user", "add", ANNA, "--role", role, "--password-file", file, "--keep-password"];
        let ran = world.owner(&add);
        assert_eq!((ran.code, ran.out.contains("may log in")), (0, true), "{ran:?}");
        let ran = world.login(PASSWORD);
        assert_eq!((ran.code, ran.out.contains("user:anna@b.example")), (0, true), "{ran:?}");
        world
    }
}

#[test]
fn a_new_user_changes_the_first_password_and_is_let_in() {
    let world = World::new();
    let ran =
        world.owner(&["user", "add", "Anna@B.example", "--name", "Anna", "--role", "operator"]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{ran:?}");
    let first = ran.out.trim().to_owned();
    assert!(!ran.err.contains(&first), "the password is output alone: {}", ran.err);
    let ran = world.login("not the password");
    assert_eq!((ran.code, ran.err.contains("wrong")), (4, true), "{ran:?}");
    assert!(!world.stored().exists());
    let ran = world.login(&first);
    assert_eq!((ran.code, ran.err.contains("freehold password")), (0, true), "{ran:?}");
    let ran = world.run(&["host", "list"], "");
    assert_eq!((ran.code, ran.err.contains("freehold password")), (4, true), "{ran:?}");
    let ran = world.run(&["password"], &format!("{first}\nshort\n"));
    assert_eq!((ran.code, ran.err.contains("12 to 128")), (7, true), "{ran:?}");
    let ran = world.run(&["password"], &format!("{first}\n{PASSWORD}\n"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(world.run(&["host", "list"], "").code, 0);
    let ran = world.run(&["whoami"], "");
    for text in ["user:anna@b.example", "operator", "Anna (anna@b.example)", "session"] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
    let stored = fs::read_to_string(world.stored()).unwrap();
    assert!(!stored.contains(&first) && !stored.contains(PASSWORD));
    assert_eq!(fs::metadata(world.stored()).unwrap().permissions().mode() & 0o777, 0o600);
    // The role is what the portal says, whatever command asks.
    let ran = world.run(&["user", "list"], "");
    assert_eq!((ran.code, ran.err.contains("owner")), (4, true), "{ran:?}");
}

#[test]
fn users_change_their_own_name_and_settings() {
    let world = World::with_anna("viewer");
    let ran = world.run(&["user", "rename", "Anna B."], "");
    assert_eq!((ran.code, ran.out.contains("Anna B.")), (0, true), "{ran:?}");
    let ran = world.run(&["whoami"], "");
    assert!(ran.out.contains(&format!("Anna B. ({ANNA})")), "{ran:?}");
    let ran = world.run(&["user", "rename", ""], "");
    assert_eq!((ran.code, ran.err.contains("name")), (7, true), "{ran:?}");

    let kept = |args: &[&str]| -> Value {
        let mut all = vec!["user", "settings", "--json"];
        all.extend(args);
        let ran = world.run(&all, "");
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    };
    let ran = world.run(&["user", "settings"], "");
    assert_eq!((ran.code, ran.err.contains("nothing is kept")), (0, true), "{ran:?}");
    let changed = kept(&["--set", "theme=dark", "--set", "pageSize=25", "--set", "a={\"b\":1}"]);
    let expected = serde_json::json!({ "theme": "dark", "pageSize": 25, "a": { "b": 1 } });
    assert_eq!((&changed, &kept(&[])), (&expected, &expected));
    // Merged, not replaced.
    let changed = kept(&["--set", "a={\"c\":2}", "--unset", "pageSize"]);
    assert_eq!(changed, serde_json::json!({ "theme": "dark", "a": { "b": 1, "c": 2 } }));
    let ran = world.run(&["user", "settings"], "");
    assert!(ran.out.contains("theme") && ran.out.contains("dark"), "{ran:?}");
    let large = format!("large={}", "x".repeat(9000));
    let ran = world.run(&["user", "settings", "--set", &large], "");
    assert_eq!((ran.code, ran.err.contains("bytes")), (7, true), "{ran:?}");
    let ran = world.run(&["user", "settings", "--set", "a=1", "--unset", "a"], "");
    assert_eq!(ran.code, 2, "{ran:?}");

    // A token is nobody.
    for args in [&["user", "rename", "Owner"][..], &["user", "settings", "--set", "a=1"]] {
        let ran = world.owner(args);
        assert_eq!((ran.code, ran.err.contains("--user")), (4, true), "{ran:?}");
    }
}

#[test]
fn users_are_listed_changed_and_kept_out_by_command() {
    let world = World::with_anna("viewer");
    let ran = world.owner(&["user", "set", ANNA, "--role", "approver", "--name", "Anna B."]);
    assert_eq!((ran.code, ran.out.contains("approver")), (0, true), "{ran:?}");
    let ran = world.owner(&["user", "list", "--json"]);
    let users: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (users[0]["login"].as_str(), users[0]["role"].as_str()),
        (Some(ANNA), Some("approver"))
    );
    let ran = world.owner(&["user", "list"]);
    assert!(ran.out.starts_with("LOGIN") && ran.out.contains("Anna B."), "{}", ran.out);
    let ran = world.owner(&["user", "show", "bob@b.example"]);
    assert_eq!((ran.code, ran.err.contains("freehold user list")), (5, true), "{ran:?}");
    assert_eq!(world.owner(&["user", "disable", ANNA]).code, 0);
    let ran = world.run(&["whoami"], "");
    assert_eq!((ran.code, ran.err.contains("log in again")), (4, true), "{ran:?}");
    assert_eq!(world.login(PASSWORD).code, 4);
    assert_eq!(world.owner(&["user", "enable", ANNA]).code, 0);
    assert_eq!(world.login(PASSWORD).code, 0);
    let ran = world.owner(&["user", "reset-password", ANNA, "--json"]);
    let reset: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(world.login(PASSWORD).code, 4);
    assert_eq!(world.login(reset["password"].as_str().unwrap()).code, 0);
    let ran = world.owner(&["user", "remove", ANNA]);
    assert_eq!((ran.code, ran.out.contains("Removed")), (0, true), "{ran:?}");
    assert_eq!(world.run(&["whoami"], "").code, 4);
}

#[test]
fn a_command_renews_its_session_by_itself() {
    let world = World::with_anna("viewer");
    let before = fs::read_to_string(world.stored()).unwrap();
    // The portal takes the token no longer, whatever this machine's clock says.
    world.clock.advance_secs(16 * 60);
    assert_eq!(world.run(&["whoami"], "").code, 0);
    let after = fs::read_to_string(world.stored()).unwrap();
    assert_ne!(before, after);
    assert_eq!(fs::metadata(world.stored()).unwrap().permissions().mode() & 0o777, 0o600);
    // A copy of the old file has a spent refresh token: the session ends for both.
    fs::write(world.stored(), &before).unwrap();
    let ran = world.run(&["whoami"], "");
    assert_eq!((ran.code, ran.err.contains("used before")), (4, true), "{ran:?}");
    fs::write(world.stored(), &after).unwrap();
    assert_eq!(world.run(&["whoami"], "").code, 4);
}

#[test]
fn many_commands_at_once_do_not_burn_the_session() {
    let world = World::with_anna("viewer");
    for round in 0..2 {
        if round == 0 {
            // Each finds its access token too old by its own clock.
            let stored = fs::read_to_string(world.stored()).unwrap();
            let lines = stored.lines().map(|line| {
                if line.starts_with("access_until") { "access_until = 0" } else { line }
            });
            let old: Vec<&str> = lines.collect();
            fs::write(world.stored(), old.join("\n")).unwrap();
        } else {
            // Each is told so by the portal.
            world.clock.advance_secs(16 * 60);
        }
        let children: Vec<Child> = (0..4).map(|_| world.start(None, &["whoami"], "")).collect();
        for child in children {
            let ran = ended(child);
            assert_eq!(ran.code, 0, "round {round}: {ran:?}");
        }
    }
    assert_eq!(world.run(&["whoami"], "").code, 0);
}

#[test]
fn logging_in_again_ends_the_session_before() {
    let world = World::with_anna("viewer");
    let before = fs::read_to_string(world.stored()).unwrap();
    assert_eq!(world.login(PASSWORD).code, 0);
    let after = fs::read_to_string(world.stored()).unwrap();
    fs::write(world.stored(), &before).unwrap();
    assert_eq!(world.run(&["whoami"], "").code, 4);
    // A token takes the place of the session, too.
    fs::write(world.stored(), &after).unwrap();
    assert_eq!(world.run(&["whoami"], "").code, 0);
    let ran = world.run(&["login", &world.url], &format!("{}\n", world.owner));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    fs::write(world.stored(), &after).unwrap();
    assert_eq!(world.run(&["whoami"], "").code, 4);
}

#[test]
fn sessions_are_listed_and_ended_by_command() {
    let world = World::with_anna("viewer");
    let here = fs::read_to_string(world.stored()).unwrap();
    fs::remove_file(world.stored()).unwrap();
    world.clock.advance_secs(60);
    assert_eq!(world.login(PASSWORD).code, 0);
    let ran = world.run(&["user", "sessions", "--json"], "");
    let sessions: Value = serde_json::from_str(&ran.out).unwrap();
    let id = |n: usize| sessions[n]["id"].as_str().unwrap();
    assert_eq!(sessions.as_array().unwrap().len(), 2, "{ran:?}");
    assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&true.into(), &false.into()));
    let ran = world.run(&["user", "sessions"], "");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("ID") && lines[0].ends_with("CURRENT"), "{}", ran.out);
    assert!(lines[1].starts_with(id(0)) && lines[1].ends_with("yes"), "{}", ran.out);
    assert!(lines[2].starts_with(id(1)) && lines[2].ends_with('-'), "{}", ran.out);

    let ran = world.run(&["user", "end-session", "ffffff"], "");
    assert_eq!((ran.code, ran.err.contains("freehold user sessions")), (5, true), "{ran:?}");
    let ran = world.run(&["user", "sessions", ANNA], "");
    assert_eq!((ran.code, ran.err.contains("owner")), (4, true), "{ran:?}");
    // By the end of its identifier.
    let ran = world.run(&["user", "end-session", &id(1)[24..]], "");
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, &*format!("Ended session {}\n", id(1))),
        "{ran:?}"
    );
    assert_eq!(world.run(&["whoami"], "").code, 0);
    // An owner ends what is left.
    let ran = world.owner(&["user", "end-session", id(0), "--user", ANNA, "--json"]);
    assert_eq!((ran.code, ran.out.contains(id(0))), (0, true), "{ran:?}");
    let ran = world.owner(&["user", "sessions", ANNA]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    let ran = world.owner(&["user", "sessions"]);
    assert_eq!((ran.code, ran.err.contains("log in as a user")), (4, true), "{ran:?}");
    for stored in [fs::read_to_string(world.stored()).unwrap(), here] {
        fs::write(world.stored(), stored).unwrap();
        let ran = world.run(&["whoami"], "");
        assert_eq!((ran.code, ran.err.contains("log in again")), (4, true), "{ran:?}");
    }
}

#[test]
fn logging_out_ends_the_session_at_the_portal() {
    let world = World::with_anna("viewer");
    let stored = fs::read_to_string(world.stored()).unwrap();
    let ran = world.run(&["logout"], "");
    assert_eq!((ran.code, world.stored().exists()), (0, false), "{ran:?}");
    let put_back = |text: &str| {
        fs::write(world.stored(), text).unwrap();
        fs::set_permissions(world.stored(), fs::Permissions::from_mode(0o600)).unwrap();
    };
    // Whoever has a copy of the file has nothing.
    put_back(&stored);
    assert_eq!(world.run(&["whoami"], "").code, 4);
    // A portal that is away is no reason to say that the session has ended.
    let gone = stored.replace(&world.url, "http://127.0.0.1:9");
    put_back(&gone);
    let ran = world.run(&["logout"], "");
    assert_eq!((ran.code != 0, ran.err.contains("--local")), (true, true), "{ran:?}");
    assert!(world.stored().exists());
    let ran = world.run(&["logout", "--local"], "");
    assert_eq!((ran.code, world.stored().exists()), (0, false), "{ran:?}");
}
