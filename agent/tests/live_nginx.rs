//! A tenant's site in a real nginx of its own, on free ports.
//!
//! Fails, with the remedy, where nginx is not installed.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use freehold_agent::host::nginx::{
    CertificateFiles, NginxError, NginxMutex, ReloadWith, Route, Settings, Site, Stage,
    ensure_site, read_site, remove_site, undo_site, version,
};
use freehold_agent::host::probe::{self, ProbeError, Roots};
use freehold_agent::runner::{Activity, CancelToken, Commands, Programs, Stream, System, Watch};
use freehold_protocol::{ids::Domain, time::Timestamp};

const TIMEOUT: Duration = Duration::from_secs(5);

/// An nginx with a folder of its own that ends with the test.
struct Nginx {
    child: Child,
    base: tempfile::TempDir,
    settings: Settings,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // QUIT lets the master end its workers; the wait makes sure before the folder goes.
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
        self.child.wait().unwrap();
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16) {
    let end = Instant::now() + TIMEOUT;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "nothing listens on {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Nginx {
    fn start() -> Self {
        assert!(
            Path::new("/usr/sbin/nginx").exists(),
            "nginx is not installed: run  script/bootstrap --test"
        );
        let base = tempfile::tempdir().unwrap();
        // The workers are another user when the test is root's.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(base.path(), mode).unwrap();
        for folder in ["sites", "www", "tmp"] {
            std::fs::create_dir(base.path().join(folder)).unwrap();
        }
        let at = base.path().display();
        let own = free_port();
        let config = base.path().join("nginx.conf");
        std::fs::write(
            &config,
            format!(
                "daemon off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\nworker_processes 1;\nevents {{}}\nhttp {{\n  access_log off;\n  client_body_temp_path {at}/tmp/a;\n  proxy_temp_path {at}/tmp/b;\n  fastcgi_temp_path {at}/tmp/c;\n  uwsgi_temp_path {at}/tmp/d;\n  scgi_temp_path {at}/tmp/e;\n  server {{ listen 127.0.0.1:{own}; server_name theirs.example.com; return 204; }}\n  include {at}/sites/*.conf;\n}}\n"
            ),
        )
        .unwrap();
        let child = Command::new("/usr/sbin/nginx")
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(own);
        let settings = Settings {
            args: vec!["-c".into(), config.display().to_string()],
            include_dir: base.path().join("sites"),
            listen: vec!["127.0.0.1".parse().unwrap()],
            http_port: free_port(),
            https_port: free_port(),
            reload: ReloadWith::Nginx,
            webroot: base.path().join("www").to_str().unwrap().parse().unwrap(),
        };
        Self { child, base, settings }
    }

    /// A certificate for a domain, and the authority to trust for it.
    fn certificate(&self, domain: &str) -> (CertificateFiles, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec![domain.to_owned()]).unwrap();
        let write = |name: &str, text: String| {
            let path = self.base.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let chain = write(&format!("{domain}.chain.pem"), made.cert.pem());
        let key = write(&format!("{domain}.key.pem"), made.signing_key.serialize_pem());
        let files = CertificateFiles {
            chain: chain.to_str().unwrap().parse().unwrap(),
            key: key.to_str().unwrap().parse().unwrap(),
        };
        (files, chain)
    }
}

fn with_commands<T>(work: impl FnOnce(&Commands<'_>) -> T) -> T {
    let system = System::new(Programs::default(), "/root".into(), "/etc/freehold/docker".into());
    let (cancel, activity) = (CancelToken::new(), Activity::new());
    let on_line = |_: Stream, _: &str| {};
    let watch = Watch { cancel: &cancel, activity: &activity, on_line: &on_line, secrets: &[] };
    work(&Commands::new(&system, watch))
}

/// An app that answers every request with its own name and the request's head.
fn app(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0u8; 8192];
            let n = stream.read(&mut head).unwrap_or(0);
            let body = format!("{name}\n{}", String::from_utf8_lossy(&head[..n]));
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            // A probe that went away is no matter for the app.
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    port
}

fn site(stage: Stage, backend: u16, frontend: u16) -> Site {
    let route = |path: &str, port: u16, websocket| Route {
        path: path.parse().unwrap(),
        port: port.try_into().unwrap(),
        websocket,
    };
    Site {
        tenant: "01936f2a-0000-7000-8000-000000000001".parse().unwrap(),
        slug: "acme".parse().unwrap(),
        domain: "acme.example.com".parse().unwrap(),
        stage,
        routes: vec![route("/api", backend, true), route("/", frontend, false)],
        body_limit_mib: Site::BODY_LIMIT_MIB,
        answer_timeout_secs: Site::ANSWER_TIMEOUT_SECS,
    }
}

/// A reload takes effect a moment after it was ordered.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    // Workers of before and after take connections side by side for a moment.
    let (mut in_a_row, end) = (0, Instant::now() + TIMEOUT);
    while in_a_row < 10 {
        assert!(Instant::now() < end, "{what}");
        in_a_row = if holds() { in_a_row + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn raw(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_site_from_http_to_https_and_away() {
    let nginx = Nginx::start();
    let settings = &nginx.settings;
    let (backend, frontend) = (app("backend"), app("frontend"));
    let (files, authority) = nginx.certificate("acme.example.com");
    let roots = Roots::read(&[&authority]).unwrap();
    let domain: Domain = "acme.example.com".parse().unwrap();
    let plain = probe::at_loopback(settings.http_port);
    let tls = probe::at_loopback(settings.https_port);
    let mutex = NginxMutex::default();
    let get =
        |path: &str| probe::public(&domain, &path.parse().unwrap(), tls, &roots, now(), TIMEOUT);
    let get_plain =
        |path: &str| probe::public_plain(&domain, &path.parse().unwrap(), plain, TIMEOUT);

    with_commands(|commands| {
        assert!(version(commands).unwrap().starts_with("1."));
        let lock = mutex.lock(&CancelToken::new()).unwrap();
        // Over plain HTTP: the challenge is served, everything else must wait.
        ensure_site(commands, &lock, settings, &site(Stage::Http, backend, frontend)).unwrap();
        wait_for(settings.http_port);
        let challenges = nginx.base.path().join("www/.well-known/acme-challenge");
        std::fs::create_dir_all(&challenges).unwrap();
        std::fs::write(challenges.join("token"), "proof").unwrap();
        let answer = get_plain("/.well-known/acme-challenge/token").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "proof"));
        assert_eq!(get_plain("/.well-known/acme-challenge/none").unwrap().status, 404);
        assert_eq!(get_plain("/").unwrap().status, 503);
        // Another name gets nothing of the tenant's.
        let other: Domain = "other.example.com".parse().unwrap();
        let path = "/.well-known/acme-challenge/token".parse().unwrap();
        assert_eq!(probe::public_plain(&other, &path, plain, TIMEOUT).unwrap().status, 421);

        // Over HTTPS: each route to its port, the slug is ours, the client's is dropped.
        let https = site(Stage::Https(files.clone()), backend, frontend);
        ensure_site(commands, &lock, settings, &https).unwrap();
        wait_for(settings.https_port);
        eventually("the redirect", || get_plain("/x").unwrap().status == 301);
        let redirect = get_plain("/x").unwrap().location;
        assert_eq!(redirect, format!("https://acme.example.com:{}/x", settings.https_port));
        assert_eq!(get_plain("/.well-known/acme-challenge/token").unwrap().body, "proof");
        for (path, name) in [
            ("/api", "backend"),
            ("/api/v1/x", "backend"),
            ("/apix", "frontend"),
            ("/", "frontend"),
            ("/a/b", "frontend"),
        ] {
            let body = get(path).unwrap().body;
            let head = body.to_ascii_lowercase();
            assert!(body.starts_with(name), "{path}: {body}");
            assert!(head.contains(&format!("get {path} http/1.1\r\n")), "{body}");
            assert!(head.contains("x-organization-slug: acme\r\n"), "{body}");
            assert!(head.contains("host: acme.example.com\r\n"), "{body}");
            assert!(head.contains("x-forwarded-proto: https\r\n"), "{body}");
            assert!(head.contains("x-forwarded-for: 127.0.0.1\r\n"), "{body}");
        }
        let expires = probe::certificate_expiry(&domain, tls, &roots, now(), TIMEOUT).unwrap();
        assert!(expires.as_millis() > 0);

        // Suspended: the app is not reached any more.
        let suspended = site(Stage::Suspended(files.clone()), backend, frontend);
        let before = read_site(settings, https.tenant).unwrap();
        ensure_site(commands, &lock, settings, &suspended).unwrap();
        eventually("the suspended page", || get("/api").unwrap().status == 503);
        undo_site(commands, &lock, settings, https.tenant, before.as_deref()).unwrap();
        eventually("the app again", || get("/api").unwrap().status == 200);

        remove_site(commands, &lock, settings, https.tenant).unwrap();
        eventually("silence", || get("/").is_err());
        assert_eq!(read_site(settings, https.tenant).unwrap(), None);
    });
}

/// Two tenants: the name of the handshake chooses the certificate, that of the request the site, and
/// only when both are one is there an answer.
#[test]
fn a_connection_for_one_tenant_does_not_lead_to_another() {
    let nginx = Nginx::start();
    let settings = &nginx.settings;
    let names: [Domain; 2] =
        ["acme.example.com", "bolt.example.com"].map(|name| name.parse().unwrap());
    let certificates = names.each_ref().map(|name| nginx.certificate(name.as_str()));
    let acme = site(Stage::Https(certificates[0].0.clone()), app("acme"), app("acme"));
    let bolt = Site {
        tenant: "01936f2a-0000-7000-8000-000000000002".parse().unwrap(),
        slug: "bolt".parse().unwrap(),
        domain: names[1].clone(),
        ..site(Stage::Https(certificates[1].0.clone()), app("bolt"), app("bolt"))
    };
    let (mutex, path) = (NginxMutex::default(), "/".parse().unwrap());
    with_commands(|commands| {
        let lock = mutex.lock(&CancelToken::new()).unwrap();
        for site in [&acme, &bolt] {
            ensure_site(commands, &lock, settings, site).unwrap();
        }
    });
    wait_for(settings.https_port);
    let tls = probe::at_loopback(settings.https_port);
    let roots = Roots::read(&[&certificates[0].1, &certificates[1].1]).unwrap();
    let ask = |connection: usize, host: usize| {
        let names = (&names[connection], &names[host]);
        probe::crossed(names, &path, tls, &roots, now(), TIMEOUT).map(|answer| answer.status).ok()
    };
    eventually("each by its own name", || (ask(0, 0), ask(1, 1)) == (Some(200), Some(200)));
    assert_eq!((ask(0, 1), ask(1, 0)), (Some(421), Some(421)));

    // nginx alone would not see to it.
    let file = settings.include_dir.join(format!("freehold-{}.conf", bolt.tenant));
    let text = std::fs::read_to_string(&file).unwrap();
    let start = text.find("    if ($ssl_server_name").unwrap();
    let end = start + text[start..].find("}\n").unwrap() + 2;
    std::fs::write(&file, format!("{}{}", &text[..start], &text[end..])).unwrap();
    with_commands(|commands| {
        let lock = mutex.lock(&CancelToken::new()).unwrap();
        freehold_agent::host::nginx::reload(commands, &lock, settings).unwrap();
    });
    eventually("the other's site without the rule", || ask(0, 1) == Some(200));
}

#[test]
fn websockets_are_upgraded_and_forged_slugs_replaced() {
    let nginx = Nginx::start();
    let settings = &nginx.settings;
    let (backend, frontend) = (app("backend"), app("frontend"));
    let (files, _) = nginx.certificate("acme.example.com");
    with_commands(|commands| {
        let mutex = NginxMutex::default();
        ensure_site(
            commands,
            &mutex.lock(&CancelToken::new()).unwrap(),
            settings,
            &site(Stage::Https(files), backend, frontend),
        )
        .unwrap();
    });
    wait_for(settings.https_port);
    // The head that the app sees is in its answer; TLS is spoken by nginx itself through a second
    // plain server, so that the request can be written by hand.
    let relay = free_port();
    let text = std::fs::read_to_string(
        settings.include_dir.join("freehold-01936f2a-0000-7000-8000-000000000001.conf"),
    )
    .unwrap();
    let (_, tls) = text.split_once("\n\nserver {").map(|(_, rest)| ("", rest)).unwrap();
    let tls = tls.split_once("\nserver {").unwrap().1;
    let plain = format!("server {{{tls}")
        .lines()
        .filter(|line| !line.trim_start().starts_with("ssl_"))
        .map(|line| {
            if line.contains("ssl http2") {
                format!("listen 127.0.0.1:{relay};\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect::<String>();
    std::fs::write(settings.include_dir.join("relay.conf"), plain).unwrap();
    with_commands(|commands| {
        let mutex = NginxMutex::default();
        freehold_agent::host::nginx::test(commands, settings).unwrap();
        freehold_agent::host::nginx::reload(
            commands,
            &mutex.lock(&CancelToken::new()).unwrap(),
            settings,
        )
        .unwrap();
    });
    wait_for(relay);
    let head = |path: &str, more: &str| {
        raw(
            relay,
            &format!(
                "GET {path} HTTP/1.1\r\nHost: acme.example.com\r\n{more}Connection: close\r\n\r\n"
            ),
        )
        .to_ascii_lowercase()
    };
    let upgrade = "Upgrade: websocket\r\nX-Organization-Slug: evil\r\nX-Forwarded-For: 6.6.6.6\r\n";
    let seen = head("/api/socket", upgrade);
    assert!(seen.contains("\r\nupgrade: websocket\r\n"), "{seen}");
    assert!(seen.contains("\r\nconnection: upgrade\r\n"), "{seen}");
    assert!(!seen.contains("evil") && !seen.contains("6.6.6.6"), "{seen}");
    // A route without WebSocket does not pass the wish on.
    let seen = head("/", upgrade);
    assert!(!seen.contains("websocket"), "{seen}");
}

#[test]
fn what_nginx_refuses_changes_nothing() {
    let nginx = Nginx::start();
    let settings = &nginx.settings;
    let (files, authority) = nginx.certificate("acme.example.com");
    let https = site(Stage::Https(files), app("backend"), app("frontend"));
    let domain = https.domain.clone();
    let tls: SocketAddr = probe::at_loopback(settings.https_port);
    let mutex = NginxMutex::default();
    with_commands(|commands| {
        let lock = mutex.lock(&CancelToken::new()).unwrap();
        let ensure = |site: &Site| ensure_site(commands, &lock, settings, site);
        ensure(&https).unwrap();
        wait_for(settings.https_port);
        let before = read_site(settings, https.tenant).unwrap();

        // A certificate that is not there.
        let missing = CertificateFiles {
            chain: "/nonexistent/chain.pem".parse().unwrap(),
            key: "/nonexistent/key.pem".parse().unwrap(),
        };
        let bad = Site { stage: Stage::Https(missing), ..https.clone() };
        assert!(matches!(ensure(&bad), Err(NginxError::Refused { .. })));
        assert_eq!(read_site(settings, https.tenant).unwrap(), before);
        let roots = Roots::read(&[&authority]).unwrap();
        let path = "/".parse().unwrap();
        assert_eq!(probe::public(&domain, &path, tls, &roots, now(), TIMEOUT).unwrap().status, 200);

        // A name that somebody else's file serves: on a port of its own it may.
        let clash = Site { domain: "theirs.example.com".parse().unwrap(), ..https.clone() };
        let port = settings.http_port;
        let theirs = format!(
            "server {{ listen 127.0.0.1:{port}; server_name theirs.example.com; return 204; }}"
        );
        std::fs::write(settings.include_dir.join("theirs.conf"), theirs).unwrap();
        let error = ensure(&clash).unwrap_err();
        assert!(matches!(error, NginxError::NameTaken { .. }), "{error}");

        // A certificate that nobody trusts is told apart from silence.
        let other = rcgen::generate_simple_self_signed(vec!["x.example.com".into()]).unwrap();
        let file = nginx.base.path().join("other.pem");
        std::fs::write(&file, other.cert.pem()).unwrap();
        let strangers = Roots::read(&[&file]).unwrap();
        let error = probe::public(&domain, &path, tls, &strangers, now(), TIMEOUT).unwrap_err();
        assert!(matches!(error, ProbeError::Certificate { .. }), "{error}");
        let error =
            probe::certificate_expiry(&domain, tls, &strangers, now(), TIMEOUT).unwrap_err();
        assert!(matches!(error, ProbeError::Certificate { .. }), "{error}");

        // Somebody breaks nginx's configuration: we say so, and change nothing.
        std::fs::write(settings.include_dir.join("theirs.conf"), "nonsense;").unwrap();
        let error = ensure(&Site { stage: Stage::Http, ..https.clone() }).unwrap_err();
        assert!(matches!(error, NginxError::BrokenBefore { .. }), "{error}");
        assert_eq!(read_site(settings, https.tenant).unwrap(), before);
    });
}
