//! The same service as others would write it (tests/bench/peers), where `script/bench --peers` has
//! installed what they need.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use freehold_tests::{ports, process::Daemon, scratch::Scratch};

use crate::tenant_app::TenantApp;

const START: Duration = Duration::from_secs(30);

/// A service that is not ours.
#[derive(Debug)]
pub struct Peer {
    /// What it is made of.
    pub name: &'static str,
    address: SocketAddr,
    _daemon: Daemon,
}

impl Peer {
    /// Its address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(
        name: &'static str,
        program: &Path,
        script: &Path,
        scratch: &Scratch,
        app: &TenantApp,
    ) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let folder = scratch.folder(&format!("peer-{}", address.port()));
        let mut command = Command::new(program);
        command.arg(script).arg(address.port().to_string()).arg(folder.join("peer.db"));
        command.arg(&app.api_key).arg(&app.license_key);
        let mut daemon = Daemon::start(name, &command, &folder.join("log"));
        daemon.wait_for_port(address.port(), START);
        Self { name, address, _daemon: daemon }
    }
}

/// Starts all that are installed; they validate this app's license.
pub fn start(scratch: &Scratch, app: &TenantApp) -> Vec<Peer> {
    let Some(folder) = std::env::var_os("FREEHOLD_BENCH_PEERS").map(PathBuf::from) else {
        return Vec::new();
    };
    let express = folder.join("express/server.js");
    let fastapi = folder.join("fastapi/server.py");
    vec![
        Peer::start("Express and better-sqlite3", Path::new("node"), &express, scratch, app),
        Peer::start(
            "FastAPI and SQLite",
            &folder.join("fastapi/python/bin/python"),
            &fastapi,
            scratch,
            app,
        ),
    ]
}
