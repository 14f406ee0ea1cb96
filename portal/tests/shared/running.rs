//! A server in front of a portal, in the process of a test.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
};

use freehold_portal::{
    context::Portal,
    http::{
        handler::PortalHandler,
        server::{Config, Ended, Handler, Server, ServerStats, ShutdownHandle},
    },
};

/// A server in front of a portal; both end with it.
pub struct Running {
    pub address: SocketAddr,
    portal: Arc<Portal>,
    shutdown: ShutdownHandle,
    server: Option<JoinHandle<Ended>>,
}

impl Running {
    /// With the portal's handler, or with what `handler` makes of it and of the server's counts.
    pub fn start<H: Handler>(
        portal: &Arc<Portal>,
        config: Config,
        handler: impl FnOnce(PortalHandler, Arc<ServerStats>) -> H,
    ) -> Self {
        let server = Server::bind(config).unwrap();
        let address = server.local_addr();
        let shutdown = server.shutdown_handle();
        let portals = PortalHandler::new(Arc::clone(portal), server.stats());
        let handler = handler(portals, server.stats());
        let server = Some(thread::spawn(move || server.run(handler)));
        Self { address, portal: Arc::clone(portal), shutdown, server }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.shutdown();
        if let Some(server) = self.server.take() {
            drop(server.join());
        }
        self.portal.db.close();
    }
}
