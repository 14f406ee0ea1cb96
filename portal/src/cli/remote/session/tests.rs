//! Tests of the stored login and of what overrides it.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn session(url: &str) -> Session {
    Session {
        address: url.parse().unwrap(),
        ca_file: Some("/etc/my \"ca\".pem".into()),
        token: Some(Secret::new("fhk_abc".into())),
        user: None,
        insecure_http: false,
    }
}

fn url_args(url: &str) -> ConnectArgs {
    ConnectArgs { url: Some(url.into()), ..ConnectArgs::default() }
}

#[test]
fn what_is_stored_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/remote.toml");
    assert!(Session::load(&file).unwrap().is_none());
    session("https://p.example").store(&file).unwrap();
    session("https://q.example").store(&file).unwrap();
    let read = Session::load(&file).unwrap().unwrap();
    assert_eq!(read.address.to_string(), "https://q.example");
    assert_eq!(read.token.unwrap().expose(), "fhk_abc");
    assert_eq!(read.ca_file.unwrap().to_str().unwrap(), "/etc/my \"ca\".pem");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_users_session_is_stored_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("remote.toml");
    let mut stored = session("https://p.example");
    stored.token = None;
    stored.insecure_http = true;
    stored.user = Some(UserTokens {
        login: "anna@example.com".into(),
        access: Secret::new("fha_1".into()),
        access_until: Timestamp::from_millis(17),
        refresh: Secret::new("fhr_1".into()),
    });
    stored.store(&file).unwrap();
    let read = Session::load(&file).unwrap().unwrap();
    let user = read.user.unwrap();
    assert_eq!((user.access.expose(), user.refresh.expose()), ("fha_1", "fhr_1"));
    assert_eq!((user.login.as_str(), user.access_until.as_millis()), ("anna@example.com", 17));
    assert!(read.token.is_none() && read.insecure_http);
    for damaged in
        ["url = \"https://p.example\"\n", "url = \"https://p.example\"\ntoken = \"a\"\n[user]\n"]
    {
        fs::write(&file, damaged).unwrap();
        assert!(matches!(Session::load(&file), Err(StoreError::Malformed { .. })), "{damaged}");
    }
    // A token in the environment stands for itself.
    let args = ConnectArgs::default();
    let mut other = session("https://p.example");
    (other.token, other.user) = (None, stored.user);
    let merged = merge(&args, Some(Secret::new("fhk_env".into())), Some(other)).unwrap();
    assert!(merged.user.is_none());
}

#[test]
fn a_login_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("remote.toml");
    session("https://p.example").store(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Session::load(&file), Err(StoreError::Exposed(_))));
}

#[test]
fn a_damaged_login_is_refused_without_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("remote.toml");
    session("https://p.example").store(&file).unwrap();
    fs::write(&file, "url = \"https://p.example\"\ntoken = \"fhk_secret\" x\n").unwrap();
    let shown: CliError = Session::load(&file).unwrap_err().into();
    assert!(!shown.message.contains("fhk_secret"), "{}", shown.message);
}

#[test]
fn a_stored_token_goes_to_its_own_portal_only() {
    let stored = || Some(session("https://p.example"));
    let own = merge(&url_args("https://p.example/"), None, stored()).unwrap();
    assert!(own.token.is_some());
    let other = merge(&url_args("https://q.example"), None, stored()).unwrap();
    assert!(other.token.is_none());
    let given = Some(Secret::new("fhk_env".into()));
    let env = merge(&url_args("https://q.example"), given, stored()).unwrap();
    assert_eq!(env.token.unwrap().expose(), "fhk_env");
}

#[test]
fn plain_http_needs_a_word() {
    assert!(merge(&url_args("http://127.0.0.1:8080"), None, None).is_ok());
    let error = merge(&url_args("http://10.0.0.7"), None, None).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    let args = ConnectArgs { insecure_http: true, ..url_args("http://10.0.0.7") };
    assert!(merge(&args, None, None).is_ok());
}

#[test]
fn without_a_portal_the_hint_names_the_command() {
    let error = merge(&ConnectArgs::default(), None, None).unwrap_err();
    assert_eq!(error.exit, Exit::Denied);
    assert!(error.hints[0].contains("freehold login"));
}
