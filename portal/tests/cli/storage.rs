//! A portal whose disk is full ends, and says why: systemd starts it again once there is room.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Largest file that the portal may write, in KiB: its empty database fits, its log soon does not.
const LIMIT_KIB: u32 = 1024;
/// Writes after which the limit must have been met.
const MOST_WRITES: u32 = 2000;

#[test]
fn a_database_that_cannot_be_written_ends_the_portal() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("portal.toml");
    let data = dir.path().join("data");
    fs::write(&config, format!("listen = \"127.0.0.1:0\"\ndata_dir = \"{}\"\n", data.display()))
        .unwrap();
    // The limit stands for a full disk; its signal would kill what SQLite must be told.
    let script = format!("trap '' XFSZ; ulimit -f {LIMIT_KIB}; exec \"$0\" serve --config \"$1\"");
    let mut portal = Command::new("bash")
        .args(["-c", &script, env!("CARGO_BIN_EXE_freehold")])
        .arg(&config)
        .env("HOME", dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(portal.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut after =
        |start: &str| out.find_map(|line| line.strip_prefix(start).map(str::to_owned)).unwrap();
    let url = format!("http://{}", after("listening on "));
    let token = after("owner token: ");
    let errors = {
        let mut err = portal.stderr.take().unwrap();
        std::thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).unwrap();
            text
        })
    };
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let add = |n: u32| {
        agent
            .post(format!("{url}/api/v1/hosts"))
            .header("authorization", &format!("Bearer {token}"))
            .header("content-type", "application/json")
            .send(format!("{{\"name\":\"host-{n}\"}}"))
    };
    // Every answer is a yes that is on the disk, or a refusal; then nobody answers any more.
    let mut taken = 0;
    for n in 0..MOST_WRITES {
        match add(n) {
            Ok(answer) if answer.status().as_u16() == 201 => taken += 1,
            Ok(answer) => assert_eq!(answer.status().as_u16(), 503, "host {n}"),
            Err(_) => break,
        }
    }
    assert!(taken > 0 && taken < MOST_WRITES, "{taken} writes");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = portal.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it goes on without its database");
        std::thread::sleep(Duration::from_millis(50));
    };
    let errors = errors.join().unwrap();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("its database cannot be written"), "{errors}");

    // What was acknowledged is there once there is room.
    let check = Command::new(env!("CARGO_BIN_EXE_freehold"))
        .args(["db", "check", "--config"])
        .arg(&config)
        .env("HOME", dir.path())
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let found: u32 = rusqlite::Connection::open(data.join("portal.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM hosts", [], |row| row.get(0))
        .unwrap();
    assert!(found == taken || found == taken + 1, "{found} hosts, {taken} acknowledged");
}
