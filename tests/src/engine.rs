//! A way to the Docker engine that a test can close: to the client that uses it the engine is down,
//! and every other test goes on.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Where the engine is.
const ENGINE: &str = "/var/run/docker.sock";
/// How often the accepting thread looks whether it is to end.
const TICK: Duration = Duration::from_millis(5);

/// A socket that leads to the engine, and a `docker` that uses it.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    client: PathBuf,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<Vec<UnixStream>>,
    end: AtomicBool,
}

impl Engine {
    /// Opens one with its files in this folder.
    pub fn open_in(folder: &Path) -> Self {
        let (socket, client) = (folder.join("engine.sock"), folder.join("docker"));
        let text =
            format!("#!/bin/sh\nDOCKER_HOST=unix://{} exec docker \"$@\"\n", socket.display());
        std::fs::write(&client, text).expect("a file in the folder can be written");
        std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755))
            .expect("its mode can be set");
        let mut engine = Self { socket, client, shared: Arc::default(), accepting: None };
        engine.up();
        engine
    }

    /// The program that asks this engine: Docker's own client.
    pub fn client(&self) -> &Path {
        &self.client
    }

    /// The engine is down: the socket is there and nobody listens, and every connection is cut.
    pub fn down(&mut self) {
        self.shared.end.store(true, Ordering::SeqCst);
        if let Some(thread) = self.accepting.take() {
            thread.join().expect("the accepting thread works");
        }
        for stream in self.shared.open().drain(..) {
            // Closed already is as good.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// The engine is back.
    pub fn up(&mut self) {
        assert!(self.accepting.is_none(), "the engine is up already");
        match std::fs::remove_file(&self.socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                panic!("{}: {error}", self.socket.display())
            }
            _ => {}
        }
        let listener = UnixListener::bind(&self.socket).expect("a socket in the folder");
        listener.set_nonblocking(true).expect("a listener that does not block");
        self.shared.end.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.accepting = Some(std::thread::spawn(move || shared.accept(&listener)));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.down();
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<UnixStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, listener: &UnixListener) {
        while !self.end.load(Ordering::SeqCst) {
            match listener.accept() {
                // A client that goes away at once is not our concern.
                Ok((client, _)) => drop(self.join(client)),
                Err(_) => std::thread::sleep(TICK),
            }
        }
    }

    /// Passes on what either side says until that side has said everything.
    fn join(&self, client: UnixStream) -> std::io::Result<()> {
        client.set_nonblocking(false)?;
        let engine = UnixStream::connect(ENGINE)?;
        self.open().extend([client.try_clone()?, engine.try_clone()?]);
        let back = (engine.try_clone()?, client.try_clone()?);
        for (mut from, mut to) in [(client, engine), back] {
            std::thread::spawn(move || {
                drop(std::io::copy(&mut from, &mut to));
                drop(to.shutdown(Shutdown::Write));
            });
        }
        Ok(())
    }
}
