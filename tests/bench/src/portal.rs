//! A real `freehold serve` with a fleet of enrolled hosts, in a folder of its own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use freehold_protocol::ids::AgentId;
use freehold_tests::{ports, process::Daemon, scratch::Scratch, world::portal_program};

use crate::{
    agent::{Agent, Enrolled},
    hello,
    http::{Connection, request},
    seed::{self, Seeded, host_name},
    tls::Authority,
};

/// Room for ten thousand parked polls: the portal sends agents to intervals at four fifths of it.
const MAX_CONNECTIONS: usize = 16_000;

const START: Duration = Duration::from_secs(60);

/// A portal.
#[derive(Debug)]
pub struct Portal {
    daemon: Option<Daemon>,
    folder: PathBuf,
    port: u16,
    authority: Option<Authority>,
    seeded: Seeded,
    enrolled: Arc<Enrolled>,
}

impl Portal {
    /// Makes one with `hosts` enrolled hosts and starts it.
    pub fn start(scratch: &Scratch, name: &str, hosts: usize, tls: bool) -> Self {
        let mut portal = Self::prepare(scratch, name, hosts, tls);
        portal.begin();
        portal
    }

    /// Makes one with `hosts` enrolled hosts. Polls are held as long as the protocol allows, so that
    /// none ends by itself while something else is measured.
    pub fn prepare(scratch: &Scratch, name: &str, hosts: usize, tls: bool) -> Self {
        Self::prepare_with(scratch, name, hosts, tls, "poll_wait_secs = 55")
    }

    /// The same with other lines in its configuration.
    pub fn prepare_with(
        scratch: &Scratch,
        name: &str,
        hosts: usize,
        tls: bool,
        lines: &str,
    ) -> Self {
        let folder = scratch.folder(name);
        let port = ports::free();
        let authority = tls.then(|| Authority::new(&folder));
        let mut text = format!(
            "listen = \"127.0.0.1:{port}\"\ndata_dir = \"{}\"\nlog = \"warn\"\nrequests_per_minute_per_token = 0\nvalidations_per_minute_per_key = 0\nmax_connections = {MAX_CONNECTIONS}\n{lines}\n",
            folder.join("data").display()
        );
        let scheme = match &authority {
            Some(authority) => {
                text.push_str(&format!(
                    "tls_certificate = \"{}\"\ntls_key = \"{}\"\n",
                    authority.certificate().display(),
                    authority.key().display()
                ));
                "https"
            }
            None => "http",
        };
        text.push_str(&format!("public_url = \"{scheme}://127.0.0.1:{port}\"\n"));
        let config = folder.join("portal.toml");
        std::fs::write(&config, text).expect("portal.toml");
        let seeded = seed::fleet(&config, hosts);
        let enrolled = Arc::new(Enrolled {
            trust: seeded.trust.clone(),
            authority: format!("127.0.0.1:{port}"),
        });
        Self { daemon: None, folder, port, authority, seeded, enrolled }
    }

    /// Starts the program; says how long it took until it was ready.
    pub fn begin(&mut self) -> Duration {
        let mut command = Command::new(portal_program());
        command.arg("serve").arg("--config").arg(self.config());
        let began = Instant::now();
        let daemon = Daemon::start("freehold serve", &command, &self.folder.join("serve.log"));
        self.daemon = Some(daemon);
        let probe = request("GET", "/readyz", &[], b"");
        loop {
            if std::net::TcpStream::connect(self.address()).is_ok() {
                let reply = self.connect().call(&probe);
                if reply.status == 200 {
                    return began.elapsed();
                }
            }
            assert!(began.elapsed() < START, "the portal does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the program.
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.stop();
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        // `setpriv`, which starts it, becomes it.
        self.daemon.as_ref().expect("the portal runs").pid()
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The authority of its certificate.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Identifier of the agent of host number `n`.
    pub fn agent_id(&self, n: usize) -> AgentId {
        self.seeded.agents[n]
    }

    /// A connection to it.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address(), self.authority.as_ref().map(Authority::client))
    }

    /// The simulated agent of host number `n`, as it was when it enrolled: to be had once.
    pub fn agent(&self, n: usize) -> Agent {
        Agent::new(Arc::clone(&self.enrolled), n, self.seeded.agents[n])
    }

    /// An agent with the keys of number 0 that calls another server: the baseline's.
    pub fn signer_for(&self, server: SocketAddr) -> Agent {
        let by = Enrolled { trust: self.seeded.trust.clone(), authority: server.to_string() };
        Agent::new(Arc::new(by), 0, hello::signer())
    }

    /// The owner's request that queues a job for host number `n`.
    pub fn queue(&self, n: usize) -> Vec<u8> {
        self.owner("POST", &format!("/api/v1/hosts/{}/probe", host_name(n)), b"")
    }

    /// A request of the owner's.
    pub fn owner(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.seeded.token);
        request(method, path, &[("authorization", &bearer)], body)
    }

    /// Does a request of the owner's and returns the document that answers it.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &str, status: u16) -> serde_json::Value {
        let reply = self.connect().call(&self.owner(method, path, body.as_bytes()));
        serde_json::from_slice(&reply.expect(status)).expect("a document")
    }

    /// Waits until so many polls are parked.
    #[track_caller]
    pub fn wait_parked(&self, count: usize) {
        self.wait_until_parked(|parked| parked >= count, Duration::from_millis(100));
    }

    /// Waits until the number of parked polls is as wanted; looks so often.
    #[track_caller]
    pub fn wait_until_parked(&self, wanted: impl Fn(usize) -> bool, every: Duration) {
        let ask = request("GET", "/metrics", &[], b"");
        let mut connection = self.connect();
        let began = Instant::now();
        loop {
            let page = String::from_utf8(connection.call(&ask).expect(200)).expect("a text");
            let parked = page.lines().find_map(|line| line.strip_prefix("freehold_polls_parked "));
            let parked: usize = parked.and_then(|text| text.parse().ok()).expect("a gauge");
            if wanted(parked) {
                return;
            }
            assert!(began.elapsed() < START, "{parked} polls are parked");
            std::thread::sleep(every);
        }
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("portal.toml")
    }

    /// Its database.
    pub fn database(&self) -> PathBuf {
        self.folder.join("data/portal.db")
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("serve.log")).unwrap_or_default()
    }
}
