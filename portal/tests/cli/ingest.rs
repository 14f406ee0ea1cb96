//! A portal that is killed while an app sends: the client of docs/tenant-apps.md, word by word, loses
//! nothing and doubles nothing. And what admins then see on the command line.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Batches of lines that the app sends, each followed by one of usage.
const BATCHES: usize = 150;
/// Lines of a batch.
const LINES: usize = 20;
/// How often the portal is killed.
const KILLS: usize = 4;

const SHOP: &str = r#"services:
  web:
    image: registry.example.com/shop/web:1.2.3
x-freehold:
  product: shop
  ports:
    web: { service: web, containerPort: 8080, range: 8000-8999 }
  routes:
    - { path: /, port: web }
  health: { port: web, path: /health }
"#;

/// A portal that is started again and again at the same address.
struct Portal {
    folder: tempfile::TempDir,
    port: u16,
    token: String,
    process: Option<Child>,
}

impl Portal {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = folder.path().join("data");
        let text = format!("listen = \"127.0.0.1:{port}\"\ndata_dir = \"{}\"\n", data.display());
        fs::write(folder.path().join("portal.toml"), text).unwrap();
        let mut portal = Self { folder, port, token: String::new(), process: None };
        portal.token = portal.start().expect("the first start prints a token");
        portal
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("portal.toml")
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it and waits until it serves; the owner's token, if it prints one.
    fn start(&mut self) -> Option<String> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_freehold"))
            .args(["serve", "--config"])
            .arg(self.config())
            .env("HOME", self.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut token = None;
        // At the first start the token follows the address.
        let is_first = self.token.is_empty();
        for line in &mut out {
            if let Some(text) = line.strip_prefix("owner token: ") {
                token = Some(text.to_owned());
            }
            if (line.starts_with("listening on ") && !is_first) || token.is_some() {
                break;
            }
        }
        thread::spawn(move || out.count());
        self.process = Some(process);
        token
    }

    fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Value {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url()))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(if body.is_null() { String::new() } else { body.to_string() })
            .unwrap();
        let mut answer = agent.run(request).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A tenant `acme`, and its API key.
    fn with_tenant(&self) -> String {
        let post = |path: &str, body: Value| self.ask("POST", path, &self.token, &body);
        post("/api/v1/hosts", json!({ "name": "vps-1" }));
        post("/api/v1/blueprints", json!({ "source": SHOP }));
        post(
            "/api/v1/tenants",
            json!({ "slug": "acme", "name": "Acme", "domain": "acme.example.com", "host": "vps-1", "blueprint": "shop" }),
        );
        let key = post("/api/v1/tenants/acme/keys", Value::Null);
        key["secret"].as_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
        command
            .args(args)
            .env("HOME", self.folder.path())
            .env("FREEHOLD_URL", self.url())
            .env("FREEHOLD_TOKEN", &self.token);
        command
    }

    fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// The Python of the page.
pub fn python_of_the_page() -> String {
    code_of_the_page("python")
}

/// The code of the page in a language.
pub fn code_of_the_page(language: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tenant-apps.md");
    let text = fs::read_to_string(page).unwrap();
    let code =
        text.split(&format!("```{language}\n")).nth(1).unwrap().split("\n```").next().unwrap();
    format!("{code}\n")
}

fn batches_left(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn an_app_that_stores_and_sends_again_loses_and_doubles_nothing() {
    let mut portal = Portal::new();
    let key = portal.with_tenant();
    let spool = portal.folder.path().join("spool");
    let app = portal.folder.path().join("app.py");
    let code = format!(
        "{}
import sys
app = Freehold(sys.argv[1], os.environ['KEY'], sys.argv[2])
for batch in range({BATCHES}):
    app.log([{{'level': 'info', 'message': f'line {{batch}}-{{n}}', 'timestamp': int(time.time() * 1000)}} for n in range({LINES})])
    app.usage([{{'name': 'lines', 'value': {LINES}}}])
app.health('healthy', version='1.0')
print('kept', flush=True)
sys.exit(app.flush(120))
",
        python_of_the_page()
    );
    fs::write(&app, code).unwrap();
    let mut app = Command::new("python3")
        .arg(&app)
        .arg(portal.url())
        .arg(&spool)
        .env("KEY", &key)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(app.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    let all = 2 * BATCHES + 1;
    let mut in_the_middle = 0;
    for kill in 1..=KILLS {
        // Each time somewhere else in what is left.
        let until = all.saturating_sub(all * kill / (KILLS + 1));
        let began = Instant::now();
        while batches_left(&spool) > until && began.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(1));
        }
        in_the_middle += usize::from(batches_left(&spool) > 0);
        portal.kill();
        portal.start();
    }
    let status = app.wait().unwrap();
    assert!(status.success(), "batches are left: {status}");
    assert!(in_the_middle >= 2, "the portal was killed while nobody sent");
    assert_eq!(batches_left(&spool), 0, "batches were refused");

    let shown = portal.run(&["logs", "acme", "--since", "1h", "--json"]);
    let messages: Vec<String> = shown
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["message"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected: BTreeSet<String> = (0..BATCHES)
        .flat_map(|batch| (0..LINES).map(move |n| format!("line {batch}-{n}")))
        .collect();
    assert_eq!(messages.len(), expected.len(), "lines are doubled or lost");
    assert_eq!(messages.into_iter().collect::<BTreeSet<_>>(), expected);
    let csv = portal.run(&["usage", "acme", "--from", "2d", "--csv"]);
    let sum: f64 =
        csv.lines().skip(1).map(|row| row.split(',').nth(5).unwrap().parse::<f64>().unwrap()).sum();
    assert_eq!(sum, (BATCHES * LINES) as f64, "{csv}");
    let tenant = portal.run(&["tenant", "show", "acme"]);
    assert!(tenant.contains("healthy since") && tenant.contains("1.0"), "{tenant}");
}

#[test]
fn logs_are_searched_and_followed_and_both_databases_are_looked_after() {
    let mut portal = Portal::new();
    let key = portal.with_tenant();
    let send = |portal: &Portal, level: &str, message: &str| {
        let body =
            json!({ "logs": [{ "level": level, "message": message, "context": { "order": 7 } }] });
        portal.ask("POST", "/api/tenant-logs", &key, &body);
    };
    send(&portal, "info", "first\nsecond \u{1b}[31mline");
    send(&portal, "error", "payment failed");
    let text = portal.run(&["logs", "acme"]);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        !text.contains('\u{1b}') && text.contains("ERROR payment failed {\"order\":7}"),
        "{text}"
    );
    assert_eq!(portal.run(&["logs", "acme", "--level", "error", "-n", "1"]).lines().count(), 1);
    assert_eq!(
        portal.run(&["logs", "acme", "--grep", "PAYMENT", "--since", "1h"]).lines().count(),
        1
    );
    assert_eq!(portal.run(&["logs", "acme", "--until", "1h"]), "");
    assert_eq!(portal.run(&["usage", "acme", "--json"]).trim(), "[]");

    let mut follower =
        portal.command(&["logs", "acme", "-f", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = || {
        let line: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
        line["message"].as_str().unwrap().to_owned()
    };
    next();
    assert_eq!(next(), "payment failed");
    send(&portal, "info", "third");
    assert_eq!(next(), "third");
    // Over a crash of the portal, too.
    portal.kill();
    portal.start();
    send(&portal, "info", "fourth");
    assert_eq!(next(), "fourth");
    follower.kill().unwrap();
    follower.wait().unwrap();

    let config = portal.config();
    let config = config.to_str().unwrap();
    let backup = portal.folder.path().join("ingest-backup.db");
    let backup = backup.to_str().unwrap();
    portal.run(&["db", "backup", "--ingest", backup, "--config", config]);
    let checked: Value =
        serde_json::from_str(&portal.run(&["db", "check", "--json", "--config", config])).unwrap();
    assert_eq!(checked["findings"], json!([]));
    assert_eq!(checked["ingest"]["findings"], json!([]));
    send(&portal, "info", "fifth");
    portal.kill();
    // A backup goes where it belongs, and the portal's database stays as it is.
    let restored = portal.run(&["db", "restore", backup, "--config", config]);
    assert!(restored.contains("ingest.db.before-restore-"), "{restored}");
    portal.start();
    assert_eq!(portal.run(&["logs", "acme"]).lines().count(), 4);
    portal.kill();
    // Lost, it is made anew; nothing else is.
    for part in ["ingest.db", "ingest.db-wal", "ingest.db-shm"] {
        drop(fs::remove_file(portal.folder.path().join("data").join(part)));
    }
    portal.start();
    assert_eq!(portal.run(&["logs", "acme"]), "");
    send(&portal, "info", "anew");
    assert_eq!(portal.run(&["logs", "acme"]).lines().count(), 1);
}
