//! Real certbot against a real ACME server (Pebble) on loopback ports.
//!
//! Fails, with the remedy, where certbot or pebble are not installed. Pebble refuses good nonces now
//! and then on purpose, so the retries are at work here too.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use freehold_agent::host::certbot::{
    AccountBinding, CertbotMutex, Request, Settings, Which, delete, ensure, find, folder, list,
    renew, version,
};
use freehold_agent::runner::{Activity, CancelToken, Commands, Programs, Stream, System, Watch};
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::{Domain, TenantId};
use freehold_protocol::secret::Secret;
use freehold_protocol::time::Timestamp;

const TENANT: &str = "01936f2a-0000-7000-8000-000000000001";
/// Thirty-two bytes in base64url, as authorities give them out.
const BINDING_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG";

struct Acme {
    children: Vec<Child>,
    base: tempfile::TempDir,
    settings: Settings,
}

impl Drop for Acme {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16) {
    let end = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "nothing listens on {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Serves the files below a folder, as a tenant's site serves challenges.
fn serve_files(root: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let root = root.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0u8; 4096];
            let n = stream.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..n]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
            let answer = match std::fs::read_to_string(root.join(path)) {
                Ok(body) => format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                ),
                Err(_) => "HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
            };
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    port
}

impl Acme {
    fn start() -> Self {
        for program in ["/usr/bin/certbot", "/usr/bin/pebble", "/usr/bin/pebble-challtestsrv"] {
            assert!(
                Path::new(program).exists(),
                "{program} is not installed: run  script/bootstrap --test"
            );
        }
        let base = tempfile::tempdir().unwrap();
        let at = base.path();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(at.join("pebble.pem"), made.cert.pem()).unwrap();
        std::fs::write(at.join("pebble.key"), made.signing_key.serialize_pem()).unwrap();
        let webroot = at.join("www");
        std::fs::create_dir(&webroot).unwrap();
        let (http, dns, control, acme, management) =
            (serve_files(&webroot), free_port(), free_port(), free_port(), free_port());
        let config = format!(
            r#"{{"pebble":{{"listenAddress":"127.0.0.1:{acme}","managementListenAddress":"127.0.0.1:{management}",
            "certificate":"{at}/pebble.pem","privateKey":"{at}/pebble.key","httpPort":{http},"tlsPort":1,
            "ocspResponderURL":"","externalAccountBindingRequired":true,"externalAccountMACKeys":{{"kid-1":"{BINDING_KEY}"}}}}}}"#,
            at = at.display()
        );
        std::fs::write(at.join("pebble.json"), config).unwrap();
        let spawn = |command: &mut Command| {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let children = vec![
            spawn(Command::new("/usr/bin/pebble-challtestsrv").args([
                "-defaultIPv4=127.0.0.1",
                "-defaultIPv6=",
                "-http01=",
                "-https01=",
                "-tlsalpn01=",
                &format!("-dns01=127.0.0.1:{dns}"),
                &format!("-management=127.0.0.1:{control}"),
            ])),
            spawn(
                Command::new("/usr/bin/pebble")
                    .args([
                        format!("-config={}/pebble.json", at.display()),
                        format!("-dnsserver=127.0.0.1:{dns}"),
                    ])
                    .env("PEBBLE_VA_NOSLEEP", "1"),
            ),
        ];
        wait_for(control);
        wait_for(acme);
        let settings = Settings {
            server: Some(format!("https://127.0.0.1:{acme}/dir")),
            email: None,
            eab: Some(AccountBinding {
                kid: "kid-1".into(),
                hmac_key: Secret::new(BINDING_KEY.into()),
            }),
            config_dir: at.join("etc"),
            work_dir: at.join("work"),
            logs_dir: at.join("logs"),
            ca_file: Some(at.join("pebble.pem")),
            webroot,
        };
        Self { children, base, settings }
    }
}

fn with_commands<T>(work: impl FnOnce(&Commands<'_>) -> T) -> T {
    let system = System::new(Programs::default(), "/root".into(), "/etc/freehold/docker".into());
    let (cancel, activity) = (CancelToken::new(), Activity::new());
    let on_line = |_: Stream, _: &str| {};
    let watch = Watch { cancel: &cancel, activity: &activity, on_line: &on_line, secrets: &[] };
    work(&Commands::new(&system, watch))
}

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

#[test]
fn a_certificate_is_issued_kept_renewed_and_deleted() {
    let acme = Acme::start();
    let settings = &acme.settings;
    let tenant: TenantId = TENANT.parse().unwrap();
    let domain: Domain = "acme.example.com".parse().unwrap();
    let mutex = CertbotMutex::default();
    with_commands(|commands| {
        let lock = mutex.lock(&CancelToken::new()).unwrap();
        assert!(version(commands).unwrap().starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(find(settings, tenant, &domain, now()).unwrap(), None);

        let issued =
            ensure(commands, &lock, settings, &Request { tenant, domain: &domain, now: now() })
                .unwrap_or_else(|error| panic!("{:#?}", Failure::from(error)));
        assert!(!issued.was_there && !issued.facts.self_signed);
        assert_eq!(issued.facts.names, ["acme.example.com"]);
        assert!(issued.facts.chain_length >= 2);
        assert!(!settings.work_dir.join("freehold-eab.ini").exists());

        // Again: what is there is kept.
        let again =
            ensure(commands, &lock, settings, &Request { tenant, domain: &domain, now: now() })
                .unwrap();
        assert!(again.was_there);
        assert_eq!(again.facts, issued.facts);
        let chain = || std::fs::read(issued.files.chain.as_str()).unwrap();
        let before = chain();
        let renewed =
            renew(commands, &lock, settings, &Request { tenant, domain: &domain, now: now() })
                .unwrap();
        assert!(renewed.was_there && chain() != before);
        assert_eq!(renewed.facts.names, issued.facts.names);
        assert_eq!(list(settings).unwrap().len(), 1);

        // The tenant moves to another domain: the former certificate stays until it is told to go.
        let moved: Domain = "new.example.com".parse().unwrap();
        let issued =
            ensure(commands, &lock, settings, &Request { tenant, domain: &moved, now: now() })
                .unwrap_or_else(|error| panic!("{:#?}", Failure::from(error)));
        assert_eq!(issued.facts.names, ["new.example.com"]);

        assert_eq!(
            find(settings, tenant, &domain, now()).unwrap().unwrap().names,
            renewed.facts.names
        );

        for _ in 0..2 {
            delete(commands, &lock, settings, tenant, Which::AllBut(&moved)).unwrap();
            assert!(!folder(settings, tenant, &domain).exists());
            assert_eq!(list(settings).unwrap().len(), 1);
        }
        for _ in 0..2 {
            delete(commands, &lock, settings, tenant, Which::All).unwrap();
            assert!(list(settings).unwrap().is_empty());
        }
    });
    // The key of the binding is in no file that certbot keeps but its account's.
    let log = std::fs::read_to_string(acme.base.path().join("logs/letsencrypt.log")).unwrap();
    assert!(!log.contains(BINDING_KEY));
}

#[test]
fn a_challenge_that_cannot_be_answered_says_what_to_check() {
    let acme = Acme::start();
    // certbot writes its answer where nobody serves it from.
    let settings =
        Settings { webroot: acme.base.path().join("elsewhere"), ..acme.settings.clone() };
    let domain: Domain = "acme.example.com".parse().unwrap();
    let mutex = CertbotMutex::default();
    let error = with_commands(|commands| {
        let tenant = TENANT.parse().unwrap();
        ensure(
            commands,
            &mutex.lock(&CancelToken::new()).unwrap(),
            &settings,
            &Request { tenant, domain: &domain, now: now() },
        )
        .unwrap_err()
    });
    let failure = Failure::from(error);
    assert_eq!(failure.class, FailureClass::Upstream, "{failure:#?}");
    assert!(failure.advice.contains("port 80"), "{failure:#?}");
    assert!(failure.detail.contains("acme.example.com"), "{failure:#?}");
}
