//! Layers, rules, and the commented example.

use std::{fs, path::Path};

use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.toml");
    fs::write(&path, text).unwrap();
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::load(Some(&path), environment).map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_is_the_defaults_and_the_environment_wins() {
    assert_eq!(load("", &[]).unwrap(), Config::default());
    let config = load(
        "poll_wait_secs = 10\nlisten = \"127.0.0.1:1\"",
        &[
            ("FREEHOLD_PORTAL_POLL_WAIT_SECS", "20"),
            ("PATH", "/bin"),
            ("FREEHOLD_PORTAL_CONFIG", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.poll_wait_secs, 20);
    assert_eq!(config.public_url(), "http://127.0.0.1:1");
    assert_eq!(config.authority(), "127.0.0.1:1");
    assert_eq!(config.keys_dir(), Path::new("/var/lib/freehold-portal/keys"));
}

#[test]
fn mistakes_name_the_key_and_the_remedy() {
    for (text, environment, needle) in [
        ("polwait = 1", vec![], "polwait"),
        ("listen = 1", vec![], "listen"),
        ("listen = \"0.0.0.0:443\"", vec![], "tls_certificate"),
        ("tls_key = \"/x\"", vec![], "give both or none"),
        ("data_dir = \"x\"", vec![], "absolute"),
        ("public_url = \"http://portal.example.com\"", vec![], "https://"),
        ("public_url = \"https://portal.example.com/x\"", vec![], "host and port only"),
        ("public_url = \"https://portal.example.com\"", vec![], "behind_proxy = true"),
        ("poll_wait_secs = 600", vec![], "1 to 55"),
        ("max_attempts = 0", vec![], "1 to 20"),
        ("cors_origins = [\"*\"]", vec![], "cors_origins: \"*\" must start with https://"),
        ("cors_origins = [\"https://a.example.com/\"]", vec![], "without the slash"),
        ("", vec![("FREEHOLD_PORTAL_CORS_ORIGINS", "https://a.example.com, evil")], "\"evil\""),
        ("failures_per_minute = 0", vec![], "1 to 100000"),
        ("", vec![("FREEHOLD_PORTAL_POL", "1")], "FREEHOLD_PORTAL_POL"),
        ("", vec![("FREEHOLD_PORTAL_LEASE_SECS", "x")], "whole number"),
    ] {
        let error = load(text, &environment).unwrap_err();
        assert!(error.contains(needle), "{text} {environment:?}: {error}");
    }
}

#[test]
fn the_commented_example_holds_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/config/portal.toml");
    let text = fs::read_to_string(path).unwrap();
    let uncommented: String = text
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '#'])).unwrap_or(line)
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(load(&uncommented, &[]).unwrap(), Config::default());
    assert_eq!(uncommented.matches(" = ").count(), 34, "every setting is shown once");
}
