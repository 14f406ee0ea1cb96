//! The baseline server: the portal's own HTTP layer with almost nothing behind it.
//!
//! `/` answers at once. `/park` holds the request until the server ends. `/signed` verifies the
//! request's signature and signs an answer, as every call of the agent API must, and does nothing
//! else.

use std::{net::SocketAddr, path::Path, process::Command, thread, time::Duration};

use freehold_portal::{
    clock::{Clock as _, SystemClock},
    http::server::{Config, Handler, Head, Request, Response, Server, TlsFiles},
};
use freehold_protocol::{
    dsse::Envelope,
    httpsig::{SignedParts, claim, verify},
    ids::AgentId,
    keys::{PublicKey, SigningKey},
    wire::PollAnswer,
};
use freehold_tests::{ports, process::Daemon, scratch::Scratch};
use uuid::Uuid;

use crate::{
    agent::keys_of,
    http::{Connection, request},
    tls::Authority,
};

/// Size of the signed part of an empty poll's answer.
const ANSWER: usize = 420;

/// The agent that signs what `/signed` is sent.
pub fn signer() -> AgentId {
    AgentId::from_uuid(Uuid::from_u128(7))
}

struct Hello {
    authority: String,
    agent_key: PublicKey,
    portal_key: SigningKey,
}

impl Handler for Hello {
    fn body_limit(&self, _head: &Head) -> u64 {
        64 * 1024
    }

    fn handle(&self, request: &Request) -> Response {
        match request.head.path() {
            "/park" => park(request),
            "/signed" => self.signed(request),
            _ => Response::text(200, "hello\n"),
        }
    }
}

impl Hello {
    fn signed(&self, request: &Request) -> Response {
        let header = |name| request.head.get_single(name).ok().flatten().unwrap_or_default();
        let parts = SignedParts {
            method: "POST",
            authority: &self.authority,
            path: request.head.path(),
            query: "?",
            body: &request.body,
        };
        let now = SystemClock.now();
        let held = claim(header("signature-input"), header("signature")).and_then(|claim| {
            verify(&claim, &self.agent_key, &parts, header("content-digest"), now)
        });
        if held.is_err() {
            return Response::new(401);
        }
        let answer = Envelope::sign_bytes("application/json", &[b'x'; ANSWER], &[&self.portal_key]);
        Response::json(200, &PollAnswer { answer, jobs: Vec::new(), trust: Vec::new() })
    }
}

fn park(request: &Request) -> Response {
    while !request.peer_gone() && !request.shutting_down() {
        thread::park_timeout(Duration::from_secs(2));
    }
    Response::no_content()
}

/// Runs the server until it is ended.
pub fn serve(listen: SocketAddr, tls: Option<&Path>) {
    let files = tls.map(|folder| TlsFiles {
        chain: folder.join("tls.pem"),
        key: folder.join("tls.key"),
        check_every: Duration::from_secs(60),
    });
    let server = Server::bind(Config { tls: files, ..Config::plain(listen) }).expect("an address");
    let hello = Hello {
        authority: listen.to_string(),
        agent_key: keys_of(0).0.public(),
        portal_key: keys_of(1).0,
    };
    server.run(hello);
}

/// A baseline server that runs.
pub struct Running {
    daemon: Daemon,
    address: SocketAddr,
    authority: Option<Authority>,
}

impl Running {
    /// Starts one.
    pub fn start(scratch: &Scratch, tls: bool) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let folder = scratch.folder(&format!("hello-{}", address.port()));
        let authority = tls.then(|| Authority::new(&folder));
        let mut command = Command::new(std::env::current_exe().expect("a path of our own"));
        command.arg("hello").arg(address.to_string());
        if tls {
            command.arg("--tls").arg(&folder);
        }
        let mut daemon = Daemon::start("hello", &command, &folder.join("log"));
        daemon.wait_for_port(address.port(), Duration::from_secs(20));
        Self { daemon, address, authority }
    }

    /// A connection.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address, self.authority.as_ref().map(Authority::client))
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// A request without a body.
    pub fn get(path: &str) -> Vec<u8> {
        request("GET", path, &[], b"")
    }
}
