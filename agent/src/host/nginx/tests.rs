//! Sites as rendered, and placed by a scripted nginx.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::runner::{Activity, CancelToken, Script, Stream, Watch};
use freehold_protocol::failure::{Failure, FailureClass};

const TENANT: &str = "01936f2a-0000-7000-8000-000000000001";
const OTHER: &str = "01936f2a-0000-7000-8000-000000000002";

fn settings(include_dir: &Path) -> Settings {
    Settings {
        args: vec!["-c".into(), "/t/nginx.conf".into()],
        include_dir: include_dir.to_owned(),
        listen: vec!["0.0.0.0".parse().unwrap(), "::".parse().unwrap()],
        http_port: 80,
        https_port: 443,
        reload: ReloadWith::Nginx,
        webroot: "/var/www/freehold-acme".parse().unwrap(),
    }
}

fn files() -> CertificateFiles {
    let base = "/etc/letsencrypt/live/x";
    CertificateFiles {
        chain: format!("{base}/fullchain.pem").parse().unwrap(),
        key: format!("{base}/privkey.pem").parse().unwrap(),
    }
}

fn site(stage: Stage) -> Site {
    let route = |path: &str, port: u16, websocket| Route {
        path: path.parse().unwrap(),
        port: port.try_into().unwrap(),
        websocket,
    };
    Site {
        tenant: TENANT.parse().unwrap(),
        slug: "acme".parse().unwrap(),
        domain: "acme.example.com".parse().unwrap(),
        stage,
        routes: vec![route("/api", 3001, true), route("/", 5173, false)],
        body_limit_mib: Site::BODY_LIMIT_MIB,
        answer_timeout_secs: Site::ANSWER_TIMEOUT_SECS,
    }
}

fn with_script<T>(script: &Script, work: impl FnOnce(&Commands<'_>) -> T) -> T {
    let (cancel, activity) = (CancelToken::new(), Activity::new());
    let on_line = |_: Stream, _: &str| {};
    let watch = Watch { cancel: &cancel, activity: &activity, on_line: &on_line, secrets: &[] };
    work(&Commands::new(script, watch))
}

#[test]
fn while_a_tenant_moves_its_former_site_goes_on() {
    let former = Site { domain: "old.example.com".parse().unwrap(), ..site(Stage::Https(files())) };
    let settings = settings(Path::new("/x"));
    let text = render_site(&settings, &site(Stage::Moving(Box::new(former.clone()))));
    // One file with one mark: the plain server of the new name, then the whole of the former site.
    assert_eq!(text.matches(MARK).count(), 1);
    let plain = render_site(&settings, &site(Stage::Http));
    let whole = render_site(&settings, &former);
    let servers = |text: &str| text[text.find("server {").unwrap()..].to_owned();
    assert_eq!(servers(&text), format!("{}\n{}", servers(&plain), servers(&whole)));
}

#[test]
fn the_https_site_reads_as_documented() {
    let text = render_site(&settings(Path::new("/x")), &site(Stage::Https(files())));
    assert!(text.starts_with(MARK));
    for line in [
        "    listen 0.0.0.0:80;",
        "    listen [::]:443 ssl http2;",
        "    server_name acme.example.com;",
        "    if ($ssl_server_name !~* \"^(acme\\.example\\.com)?$\") {",
        "        return 301 https://acme.example.com$request_uri;",
        "    location ^~ /.well-known/acme-challenge/ {",
        "    location = /api {",
        "    location ^~ /api/ {",
        "    location / {",
        "        proxy_pass http://127.0.0.1:3001;",
        "        proxy_pass http://127.0.0.1:5173;",
        "        proxy_set_header X-Organization-Slug acme;",
        "        proxy_set_header Connection $freehold_connection;",
        "    client_max_body_size 64m;",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let text = render_site(&settings(Path::new("/x")), &site(Stage::Http));
    assert!(!text.contains("ssl") && !text.contains("proxy_pass") && text.contains("return 503"));
    let text = render_site(&settings(Path::new("/x")), &site(Stage::Suspended(files())));
    assert!(!text.contains("proxy_pass") && text.contains("suspended"));
    let other_port = Settings { https_port: 8443, ..settings(Path::new("/x")) };
    let text = render_site(&other_port, &site(Stage::Https(files())));
    assert!(text.contains("https://acme.example.com:8443$request_uri"));
}

proptest! {
    /// No value that parses can add, remove or change a word of the template.
    #[test]
    fn the_token_stream_is_the_templates(
        slug in "[a-z][a-z0-9]{1,20}(-[a-z0-9]{1,8})?",
        domain in "([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\\.){1,4}[a-z]{2,8}",
        path in "(/[A-Za-z0-9._~-]{1,12}){1,4}/?",
        port in 1024u16..,
        websocket: bool,
        body_limit_mib: u16,
    ) {
        // What does not parse never reaches the template.
        let (Ok(slug), Ok(domain), Ok(path)) =
            (slug.parse::<TenantSlug>(), domain.parse::<Domain>(), path.parse::<UrlPath>())
        else { return Ok(()) };
        let port: Port = port.try_into().unwrap();
        let settings = settings(Path::new("/x"));
        let given = Site {
            slug: slug.clone(),
            domain: domain.clone(),
            routes: vec![Route { path: path.clone(), port, websocket }],
            body_limit_mib,
            ..site(Stage::Https(files()))
        };
        let template = Site {
            slug: "slug".parse().unwrap(),
            domain: "domain.test".parse().unwrap(),
            routes: vec![Route {
                path: "/path".parse().unwrap(), port: 1024.try_into().unwrap(), websocket,
            }],
            body_limit_mib: 1,
            ..site(Stage::Https(files()))
        };
        let below = path.as_str().trim_end_matches('/');
        let expected: Vec<String> = tokens(&render_site(&settings, &template))
            .into_iter()
            .map(|token| match token.as_str() {
                "slug" => slug.to_string(),
                "/path" => below.to_owned(),
                "/path/" => format!("{below}/"),
                "http://127.0.0.1:1024" => format!("http://127.0.0.1:{port}"),
                "1m" => format!("{body_limit_mib}m"),
                // `if ($host != NAME)` ends the name with its parenthesis.
                token => token
                    .replace("domain.test", domain.as_str())
                    .replace("domain\\.test", &domain.as_str().replace('.', "\\.")),
            })
            .collect();
        prop_assert_eq!(tokens(&render_site(&settings, &given)), expected);
    }
}

#[test]
fn tokens_follow_nginx() {
    assert_eq!(
        tokens("a \"b c\";# x {\nd{e ${f}g 'h\\'i';}"),
        ["a", "b c", ";", "d", "{", "e", "${f}g", "h'i", ";", "}"]
    );
}

#[test]
fn server_names_are_found_with_their_files() {
    let dump = "# configuration file /etc/nginx/nginx.conf:\nhttp { include x; }\n\n# configuration file /etc/nginx/sites-enabled/a:\nserver {\n  # server_name comment.example.com;\n  server_name Acme.Example.com\n    www.example.com;\n  return 301 server_name;\n}\n";
    let found: Vec<_> = parse_dump(dump).into_iter().map(|s| (s.file, s.name)).collect();
    let file = "/etc/nginx/sites-enabled/a".to_owned();
    assert_eq!(
        found,
        [(file.clone(), "acme.example.com".to_owned()), (file, "www.example.com".to_owned())]
    );
}

#[test]
fn only_a_server_on_our_ports_takes_a_name() {
    let ports = |text: &str| {
        let dump = format!("# configuration file /etc/nginx/a:\n{text}\n");
        let found = parse_dump(&dump).into_iter().find(|server| server.name == "a.example.com");
        found.map(|server| server.ports.into_iter().collect::<Vec<_>>())
    };
    let inside = |text: &str| ports(&format!("http {{ server {{ {text} }} }}"));
    assert_eq!(inside("server_name a.example.com;"), Some(vec![80]));
    assert_eq!(
        inside(
            "listen 127.0.0.1:8080; listen [::]:443 ssl; location / { return 200; } server_name a.example.com;"
        ),
        Some(vec![443, 8080])
    );
    assert_eq!(
        inside("listen *:81 default_server; server_name b.test a.example.com;"),
        Some(vec![81])
    );
    assert_eq!(
        inside("listen unix:/run/x.sock; listen [::1]; server_name a.example.com;"),
        Some(vec![80])
    );
    // What stands in another file is not known: any port may be meant.
    assert_eq!(inside("include listen.conf; server_name a.example.com;"), Some(vec![]));
    assert_eq!(ports("server_name a.example.com;"), Some(vec![]));
    assert_eq!(ports("map $host $x { a.example.com 1; }"), None);

    let settings = settings(Path::new("/x"));
    let domain: Domain = "a.example.com".parse().unwrap();
    let clash = |listen: &str| {
        let dump = format!(
            "# configuration file /etc/nginx/a:\nserver {{ listen {listen}; server_name a.example.com; }}\n"
        );
        refuse_name_clash(&dump, &settings, TENANT.parse().unwrap(), &domain).is_err()
    };
    assert!(clash(&settings.http_port.to_string()) && clash(&settings.https_port.to_string()));
    assert!(!clash("8099"));
}

const DUMP: &str = "nginx -c /t/nginx.conf -v -T -q";
const TEST: &str = "nginx -c /t/nginx.conf -t -q";
const RELOAD: &str = "nginx -c /t/nginx.conf -s reload";

#[test]
fn a_good_site_is_placed_and_loaded_also_twice() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let mutex = NginxMutex::default();
    for _ in 0..2 {
        let script = Script::new().prints(DUMP, "").prints(RELOAD, "");
        with_script(&script, |commands| {
            ensure_site(
                commands,
                &mutex.lock(&CancelToken::new()).unwrap(),
                &settings,
                &site(Stage::Http),
            )
            .unwrap();
        });
    }
    let text = read_site(&settings, TENANT.parse().unwrap()).unwrap().unwrap();
    assert_eq!(text, render_site(&settings, &site(Stage::Http)));
    let script = Script::new().prints(TEST, "").prints(RELOAD, "");
    with_script(&script, |commands| {
        let lock = mutex.lock(&CancelToken::new()).unwrap();
        remove_site(commands, &lock, &settings, TENANT.parse().unwrap()).unwrap();
        // Gone already: not even a reload.
        remove_site(commands, &lock, &settings, TENANT.parse().unwrap()).unwrap();
    });
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_refused_site_gives_way_to_the_previous_one() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let previous = format!("{MARK}: before\n");
    std::fs::write(dir.path().join(file_name(TENANT.parse().unwrap())), &previous).unwrap();
    let mutex = NginxMutex::default();
    let ensure = |script: &Script| {
        with_script(script, |commands| {
            ensure_site(
                commands,
                &mutex.lock(&CancelToken::new()).unwrap(),
                &settings,
                &site(Stage::Https(files())),
            )
            .unwrap_err()
        })
    };
    let now = || read_site(&settings, TENANT.parse().unwrap()).unwrap().unwrap();

    let error = ensure(&Script::new().fails(DUMP, 1, "no such certificate").prints(TEST, ""));
    assert!(matches!(error, NginxError::Refused { .. }), "{error}");
    assert_eq!(now(), previous);
    // Broken before: the failure blames the configuration, not us.
    let error = ensure(&Script::new().fails(DUMP, 1, "theirs").fails(TEST, 1, "theirs"));
    assert!(matches!(error, NginxError::BrokenBefore { .. }), "{error}");
    assert_eq!(now(), previous);
    // The reload fails: nginx is told again with the previous file.
    let script = Script::new().prints(DUMP, "").fails(RELOAD, 1, "no pid").prints(RELOAD, "");
    let error = ensure(&script);
    assert_eq!(Failure::from(&error).class, FailureClass::Host);
    assert!(Failure::from(&error).advice.contains("systemctl start nginx"));
    assert_eq!(now(), previous);
}

#[test]
fn a_configuration_that_is_too_long_to_look_through_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let mutex = NginxMutex::default();
    // As the runner gives an output that did not fit.
    let script = Script::new().expect(DUMP, crate::runner::Reply::PrintsTooMuch);
    let error = with_script(&script, |commands| {
        ensure_site(
            commands,
            &mutex.lock(&CancelToken::new()).unwrap(),
            &settings,
            &site(Stage::Http),
        )
        .unwrap_err()
    });
    let failure = Failure::from(error);
    assert!(failure.what.contains("32 MiB") && !failure.advice.is_empty(), "{failure:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn strangers_are_respected() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let mutex = NginxMutex::default();
    let dump = "# configuration file /etc/nginx/sites-enabled/theirs:\nserver { listen 80; server_name acme.example.com; }\n";
    let script = Script::new().prints(DUMP, dump);
    let error = with_script(&script, |commands| {
        ensure_site(
            commands,
            &mutex.lock(&CancelToken::new()).unwrap(),
            &settings,
            &site(Stage::Http),
        )
        .unwrap_err()
    });
    assert!(error.to_string().contains("/etc/nginx/sites-enabled/theirs"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    let path = dir.path().join(file_name(OTHER.parse().unwrap()));
    std::fs::write(&path, "server {}").unwrap();
    let error = with_script(&Script::new(), |commands| {
        remove_site(
            commands,
            &mutex.lock(&CancelToken::new()).unwrap(),
            &settings,
            OTHER.parse().unwrap(),
        )
        .unwrap_err()
    });
    assert!(matches!(error, NginxError::ForeignFile { .. }), "{error}");
    assert!(path.exists());
}
