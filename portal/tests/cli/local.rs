//! Commands that work on the portal's own machine.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

pub(crate) fn serve(data: &Path, stdout: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_freehold"))
        .arg("serve")
        .env_clear()
        .env("FREEHOLD_PORTAL_LISTEN", "127.0.0.1:0")
        .env("FREEHOLD_PORTAL_DATA_DIR", data)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The lines that a portal prints once it listens: two, and more at the first start.
pub(crate) fn announced(child: &mut Child, lines: usize) -> Vec<String> {
    BufReader::new(child.stdout.take().unwrap()).lines().take(lines).map(Result::unwrap).collect()
}

fn owner_token(data: &Path, args: &[&str]) -> (i32, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_freehold"))
        .args(["db", "owner-token"])
        .args(args)
        .env_clear()
        .env("FREEHOLD_PORTAL_DATA_DIR", data)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

pub(crate) fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_first_start_that_cannot_show_its_token_fails_and_the_next_one_shows_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ran = serve(&data, full.into()).wait_with_output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("could not be printed, so it was taken back"), "{said}");
    let mut portal = serve(&data, Stdio::piped());
    assert!(announced(&mut portal, 3)[2].starts_with("owner token: fhk_"));
    end(portal);
    // Later starts have nothing to lose.
    let mut portal = serve(&data, Stdio::piped());
    assert!(announced(&mut portal, 1)[0].starts_with("listening on"));
    end(portal);
}

#[test]
fn a_lost_owner_token_has_a_way_back_on_the_portals_machine() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (code, _, said) = owner_token(&data, &[]);
    assert_eq!((code, said.contains("freehold serve")), (1, true), "{said}");
    assert!(!data.exists(), "nothing is made half");
    let mut portal = serve(&data, Stdio::piped());
    announced(&mut portal, 3);
    let (code, _, said) = owner_token(&data, &[]);
    assert_eq!((code, said.contains("in use")), (1, true), "{said}");
    end(portal);
    let (code, out, said) = owner_token(&data, &["--days", "1"]);
    assert_eq!(code, 0, "{said}");
    let token = out.lines().find_map(|line| line.strip_prefix("owner token: ")).unwrap().to_owned();
    let (code, _, said) = owner_token(&data, &[]);
    assert_eq!((code, said.contains("recovered-owner")), (1, true), "{said}");
    let mut portal = serve(&data, Stdio::piped());
    let url = announced(&mut portal, 1)[0].replace("listening on ", "http://");
    let listed = Command::new(env!("CARGO_BIN_EXE_freehold"))
        .args(["audit", "list"])
        .env_clear()
        .env("FREEHOLD_URL", &url)
        .env("FREEHOLD_TOKEN", &token)
        .output()
        .unwrap();
    end(portal);
    let log = String::from_utf8(listed.stdout).unwrap();
    assert!(log.contains("local") && log.contains("token.create"), "{log}");
}
