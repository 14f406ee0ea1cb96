//! The listening socket: who is let in, who is told that the house is full, and how it ends.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::Handler;
use super::config::{Config, FORCED_END, STACK_BYTES};
use super::connection::{Service, panic_message, serve};
use super::per_ip::{PerIp, Place};
use super::reject::Rejector;
use super::shutdown::{Control, ShutdownHandle};
use super::stats::{ServerStats, count};
use super::tls::{ReloadableCert, TlsError};

/// Connections that the kernel holds until we accept them: a whole fleet comes back at once after a
/// restart.
const BACKLOG: i32 = 4096;
/// File descriptors kept for everything but connections.
const OTHER_FILES: u64 = 512;
/// A machine without free file descriptors is not asked for one more at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often the same trouble with accepting is logged.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error("the TLS certificate cannot be used")]
    Tls {
        /// What is wrong with it.
        #[source]
        source: TlsError,
    },
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Connections that were cut because their requests took longer than the grace.
    pub cut: usize,
    /// Threads that still run: handlers that do not look at [`super::Signals`].
    pub left: usize,
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: Arc<TcpListener>,
    address: SocketAddr,
    config: Config,
    control: Arc<Control>,
    stats: Arc<ServerStats>,
    certificate: Option<Arc<ReloadableCert>>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Server {
    /// Opens the listening socket and reads the certificate.
    pub fn bind(config: Config) -> Result<Self, BindError> {
        let address = config.listen;
        let listen_error = |source| BindError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen_error)?;
        Self::from_listener(listener, config)
    }

    /// Takes a socket that listens already, as systemd passes it; `config.listen` is not used.
    pub fn from_listener(listener: TcpListener, config: Config) -> Result<Self, BindError> {
        let listen_error = |source| BindError::Listen { address: config.listen, source };
        let address = listener.local_addr().map_err(listen_error)?;
        prepare(&listener).map_err(|errno| listen_error(errno.into()))?;
        let tls_error = |source| BindError::Tls { source };
        let certificate = config.tls.clone().map(ReloadableCert::load).transpose();
        let certificate = certificate.map_err(tls_error)?;
        let tls = certificate.as_ref().map(ReloadableCert::server_config).transpose();
        let tls = tls.map_err(tls_error)?;
        make_room_for_files(config.limits.max_connections as u64 + OTHER_FILES);
        let listener = Arc::new(listener);
        let control = Control::new(Arc::clone(&listener));
        let stats = Arc::new(ServerStats::default());
        Ok(Self { listener, address, config, control, stats, certificate, tls })
    }

    /// Returns the address that the server listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the handle that ends the server.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle(Arc::clone(&self.control))
    }

    /// Returns the counters.
    pub fn stats(&self) -> Arc<ServerStats> {
        Arc::clone(&self.stats)
    }

    /// Returns the certificate, so that the caller can reload it at SIGHUP; `None` for plain HTTP.
    pub fn certificate(&self) -> Option<Arc<ReloadableCert>> {
        self.certificate.clone()
    }

    /// Serves until the shutdown: blocks the calling thread, which accepts the connections.
    pub fn run(self, handler: impl Handler) -> Ended {
        let watcher = self.certificate.clone().map(|certificate| self.watch(certificate));
        let service = Arc::new(Service {
            handler: Arc::new(handler),
            limits: self.config.limits.clone(),
            forwarded: self.config.forwarded,
            tls: self.tls.clone(),
            stats: Arc::clone(&self.stats),
            shutdown: self.control.signal(),
        });
        let rejector = Rejector::start(&self.config, Arc::clone(&service.handler));
        let per_ip = PerIp::new(self.config.limits.max_connections_per_ip);
        self.accept_all(&service, &rejector, &per_ip);
        drop(rejector);

        let cut = self.control.wait_for_end(self.config.limits.grace);
        let mut left = 0;
        if cut > 0 {
            tracing::warn!(cut, "requests took longer than the grace and are cut");
            self.control.close_all();
            left = self.control.wait_for_end(FORCED_END);
        }
        if let Some(Err(panic)) = watcher.map(thread::JoinHandle::join) {
            tracing::error!(panic = panic_message(&*panic), "the certificate watcher panicked");
        }
        Ended { cut, left }
    }

    fn accept_all(&self, service: &Arc<Service>, rejector: &Rejector, per_ip: &Arc<PerIp>) {
        let mut complained: Option<Instant> = None;
        loop {
            let accepted = self.listener.accept();
            if service.shutdown.is_set() {
                return;
            }
            match accepted {
                Ok((socket, peer)) => {
                    let peer = peer.ip().to_canonical();
                    self.admit(socket, peer, service, rejector, per_ip);
                }
                // The client was gone before we took it.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if complained.is_none_or(|last| last.elapsed() > COMPLAIN_EVERY) {
                        complained = Some(Instant::now());
                        tracing::error!(%error, "cannot accept connections: raise LimitNOFILE?");
                    }
                    thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    fn admit(
        &self,
        socket: TcpStream,
        peer: IpAddr,
        service: &Arc<Service>,
        rejector: &Rejector,
        per_ip: &Arc<PerIp>,
    ) {
        let full = self.stats.open_connections() >= self.config.limits.max_connections;
        if full && !self.control.close_longest_idle() {
            count(&self.stats.rejected_full_total);
            return rejector.turn_away(socket);
        }
        let Some(place) = per_ip.take(peer) else {
            count(&self.stats.rejected_per_ip_total);
            return rejector.turn_away(socket);
        };
        let socket = Arc::new(socket);
        let (id, entry) = self.control.add(Arc::clone(&socket));
        let admitted = Admitted::new(&self.control, &self.stats, id, place);
        count(&self.stats.connections_total);
        let thread_service = Arc::clone(service);
        let spawned =
            thread::Builder::new().name("http".into()).stack_size(STACK_BYTES).spawn(move || {
                let _admitted = admitted;
                let run = || serve(&thread_service, &entry, socket, peer);
                if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                    count(&thread_service.stats.panics_total);
                    tracing::error!(panic = panic_message(&*panic), "a connection panicked");
                }
            });
        if let Err(error) = spawned {
            count(&self.stats.rejected_full_total);
            tracing::error!(%error, "no thread for a connection: raise TasksMax?");
        }
    }

    fn watch(&self, certificate: Arc<ReloadableCert>) -> thread::JoinHandle<()> {
        let control = Arc::clone(&self.control);
        thread::spawn(move || {
            while !control.wait_for_begin(certificate.check_every()) {
                certificate.reload_if_changed();
            }
        })
    }
}

/// A connection's entry in every book; leaves them all when dropped, however its thread ended.
struct Admitted {
    control: Arc<Control>,
    stats: Arc<ServerStats>,
    id: u64,
    _place: Place,
}

impl Admitted {
    fn new(control: &Arc<Control>, stats: &Arc<ServerStats>, id: u64, place: Place) -> Self {
        stats.open_connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self { control: Arc::clone(control), stats: Arc::clone(stats), id, _place: place }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.stats.open_connections.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        self.control.remove(self.id);
    }
}

/// Sets what accepted sockets inherit on Linux, once instead of for each of them.
fn prepare(listener: &TcpListener) -> rustix::io::Result<()> {
    rustix::net::listen(listener, BACKLOG)?;
    sockopt::set_tcp_nodelay(listener, true)?;
    // A client whose machine or NAT entry died is noticed after two minutes.
    sockopt::set_socket_keepalive(listener, true)?;
    sockopt::set_tcp_keepidle(listener, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(listener, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(listener, 4)
}

/// Raises the soft limit of open files to what the connections need, as far as the hard limit goes.
fn make_room_for_files(needed: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    limit.current = Some(limit.maximum.map_or(needed, |maximum| maximum.min(needed)));
    let raised = setrlimit(Resource::Nofile, limit);
    if raised.is_err() || limit.current < Some(needed) {
        let allowed = limit.current.unwrap_or_default();
        tracing::warn!(
            needed,
            allowed,
            "too few open files for all connections: raise LimitNOFILE"
        );
    }
}
