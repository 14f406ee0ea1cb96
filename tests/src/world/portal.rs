//! `freehold serve`, as an installation runs it.

use super::Setup;
use super::api::Api;
use super::disk::Disk;
use super::programs::{Outcome, portal_program, run};
use crate::{ports, process::Daemon, scratch::Scratch, tls::Authority};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

const START: Duration = Duration::from_secs(90);
/// What an API token starts with.
const TOKEN: &str = "fhk_";

/// A portal with its folders.
#[derive(Debug)]
pub struct Portal {
    daemon: Option<Daemon>,
    api: Api,
    port: u16,
    folder: PathBuf,
    tls: Option<Tls>,
    disk: Option<Disk>,
}

/// A portal's own TLS.
#[derive(Debug)]
pub struct Tls {
    /// Who issues its certificates.
    pub authority: Authority,
    /// PEM file of the authority.
    pub ca: PathBuf,
    /// Where the portal reads its certificate.
    pub chain: PathBuf,
    /// Where the portal reads its key.
    pub key: PathBuf,
}

impl Tls {
    /// An authority, and a first certificate for `name`.
    fn prepare(folder: &Path, name: &str) -> Self {
        let at = |file: &str| folder.join(file);
        let tls = Self {
            authority: Authority::new("Authority of a test's portal"),
            ca: at("ca.pem"),
            chain: at("portal.pem"),
            key: at("portal.key"),
        };
        std::fs::write(&tls.ca, tls.authority.pem()).expect("ca.pem");
        tls.authority.certificate(&["localhost", name]).write(&tls.chain, &tls.key);
        tls
    }
}

impl Portal {
    /// Starts a new one in `scratch`'s folder `portal`.
    pub(super) fn start(scratch: &Scratch, setup: &Setup) -> Self {
        let folder = scratch.folder("portal");
        let port = ports::free();
        let mut text = format!(
            // One attempt: a test wants to see how it ends.
            "listen = \"{}:{port}\"\ndata_dir = \"{}\"\nmax_attempts = 1\n",
            if setup.apps { "0.0.0.0" } else { "127.0.0.1" },
            folder.join("data").display()
        );
        let mut url = format!("http://127.0.0.1:{port}");
        let tls = setup.tls.as_ref().map(|name| {
            let tls = Tls::prepare(&folder, name);
            url = format!("https://localhost:{port}");
            text += &format!(
                "public_url = \"https://{name}:{port}\"\ntls_certificate = \"{}\"\ntls_key = \"{}\"\ntls_reload_secs = 1\n",
                tls.chain.display(),
                tls.key.display()
            );
            tls
        });
        for line in &setup.portal {
            text.push_str(line);
            text.push('\n');
        }
        std::fs::write(folder.join("portal.toml"), text).expect("portal.toml");
        let disk = setup.data_disk_kib.map(|kib| {
            let data = folder.join("data");
            std::fs::create_dir_all(&data).expect("a folder for the portal");
            Disk::mount(&data, kib)
        });
        let ca = tls.as_ref().map(|tls| tls.ca.clone());
        let api = |token: &str| Api::new(&url, token, ca.as_deref());
        let mut portal = Self { daemon: None, api: api(""), port, folder, tls, disk };
        portal.begin();
        portal.api = api(&portal.first_token());
        portal
    }

    /// The owner's token, shown at the first start alone.
    fn first_token(&self) -> String {
        let log = self.log();
        log.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .find(|word| word.starts_with(TOKEN))
            .unwrap_or_else(|| {
                panic!("the first start showed no token that starts with {TOKEN}:\n{log}")
            })
            .to_owned()
    }

    /// Starts it again.
    #[track_caller]
    pub fn begin(&mut self) {
        assert!(self.daemon.is_none(), "the portal runs already");
        let mut command = Command::new(portal_program());
        command.arg("serve").arg("--config").arg(self.config());
        let mut daemon = Daemon::start("freehold serve", &command, &self.log_file());
        daemon.wait_for_port(self.port, START);
        let url = format!("{}/readyz", self.api.url());
        let ca = self.tls.as_ref().map(|tls| tls.ca.as_path());
        daemon.wait_until("is ready", START, || {
            crate::curl::get(&url, ca).is_ok_and(|answer| answer.status == 200)
        });
        self.daemon = Some(daemon);
    }

    /// A start that is expected to fail: how it ended and what it said.
    pub fn begin_refused(&self) -> Outcome {
        let mut command = Command::new("timeout");
        command.arg("20").arg(portal_program()).arg("serve").arg("--config").arg(self.config());
        run(command, None)
    }

    /// Ends it as an operator would.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.daemon.take().map(|mut daemon| daemon.stop())
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// Its data folder's own disk.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("a portal with a disk of its own")
    }

    /// Its API, as the owner.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Its own TLS, when the setup asked for it.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("portal.toml")
    }

    /// The folder of its database and keys.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Its database.
    pub fn database(&self) -> PathBuf {
        self.data().join("portal.db")
    }

    /// The folder of its keys.
    pub fn keys(&self) -> PathBuf {
        self.data().join("keys")
    }

    /// Runs `freehold` on this machine's portal, configuration included: `db backup`, `key rotate`.
    pub fn local(&self, args: &[&str]) -> Outcome {
        let mut command = Command::new(portal_program());
        command.args(args).arg("--config").arg(self.config()).env("HOME", &self.folder);
        run(command, None)
    }

    /// What it wrote since its first start.
    pub fn log(&self) -> String {
        read(&self.log_file())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("serve.log")
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
