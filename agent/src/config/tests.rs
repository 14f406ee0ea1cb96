//! Layers, rules, and the commented example.

use std::fs;

use super::*;

fn load_text(text: &str, env: &[(&str, &str)], set: &[&str]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    fs::write(&path, text).unwrap();
    let env: Vec<_> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let set: Vec<_> = set.iter().map(|s| (*s).to_owned()).collect();
    load(Some(&path), env, &set).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_the_defaults() {
    let example = include_str!("../../../packaging/config/agent.toml");
    assert_eq!(load_text(example, &[], &[]).unwrap(), Config::default());
    // `#key = value` is a value that was commented out, `# text` is prose.
    let uncommented: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with([' ', '#']) => rest,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(load_text(&uncommented, &[], &[]).unwrap(), Config::default());
    // And it names every key.
    let given: toml::Table = uncommented.parse().unwrap();
    assert_eq!(given, toml::Table::try_from(Config::default()).unwrap());
}

#[test]
fn later_layers_win() {
    let file = "workers = 3\n[nginx]\nhttp_port = 8080\nhttps_port = 8443\n";
    let env = [
        ("FREEHOLD_AGENT_NGINX_HTTP_PORT", "8081"),
        ("FREEHOLD_AGENT_NGINX_ARGS", "-p /srv/nginx"),
        ("FREEHOLD_AGENT_PROGRAMS_PG_DUMP", "/opt/pg_dump"),
        ("FREEHOLD_AGENT_CONFIG", "/elsewhere"),
        ("OTHER", "x"),
    ];
    let config =
        load_text(file, &env, &["nginx.https_port=9443", "ports.backend=9000-9099"]).unwrap();
    assert_eq!((config.workers, config.nginx.http_port, config.nginx.https_port), (3, 8081, 9443));
    assert_eq!(config.nginx.args, ["-p", "/srv/nginx"]);
    assert_eq!(config.programs["pg-dump"], PathBuf::from("/opt/pg_dump"));
    assert_eq!(config.ports["backend"], "9000-9099".parse().unwrap());
}

#[test]
fn mistakes_are_named() {
    /// File, environment, flags, and what the error must say.
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
        &'static str,
    );
    let table: &[Case] = &[
        ("worker = 3", &[], &[], "unknown field `worker`"),
        ("[nginx]\nport = 3", &[], &[], "unknown field `port`"),
        ("workers = 0", &[], &[], "workers: 0 is out of range; use 1 to 8"),
        ("workers = ", &[], &[], "not valid TOML"),
        ("state_dir = \"var\"", &[], &[], "state_dir: \"var\" is not an absolute path"),
        ("", &[("FREEHOLD_AGENT_WORKRES", "3")], &[], "FREEHOLD_AGENT_WORKRES: no such setting"),
        ("", &[("FREEHOLD_AGENT_WORKERS", "two")], &[], "\"two\" is not a whole number"),
        ("", &[], &["workers"], "write it as key=value"),
        ("", &[], &["wrokers=1"], "there is no setting \"wrokers\""),
        ("[probe]\naddress = \"localhost\"", &[], &[], "is not an IP address"),
        ("[ports]\nbackend = \"9\"", &[], &[], "port range"),
        ("[certbot]\nserver = \"http://ca\"", &[], &[], "certbot.server"),
        ("[nginx]\nhttp_port = 443", &[], &[], "must differ"),
    ];
    for (file, env, set, want) in table {
        let got = load_text(file, env, set).unwrap_err();
        assert!(got.contains(want), "{file:?} {env:?} {set:?}: {got}");
    }
    let missing = load(Some(std::path::Path::new("/nonexistent.toml")), [], &[]).unwrap_err();
    assert!(missing.to_string().contains("/nonexistent.toml"));
}
