//! An HTTP CONNECT proxy that remembers what it was asked for, and can die and come back.

use crate::ports;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Largest request head.
const MAX_HEAD: u64 = 8 * 1024;
/// How often the accepting thread looks whether it is to end.
const TICK: Duration = Duration::from_millis(5);

/// A proxy on a loopback port. It alone knows where the names of its list are.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    places: BTreeMap<String, SocketAddr>,
    seen: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
    end: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Starts one that leads to these `host:port`, and to nothing else.
    pub fn start(places: impl IntoIterator<Item = (String, SocketAddr)>) -> Self {
        let shared = Arc::new(Shared {
            places: places.into_iter().collect(),
            seen: Mutex::default(),
            open: Mutex::default(),
            end: AtomicBool::new(false),
        });
        let mut proxy = Self { port: ports::free(), shared, accepting: None };
        proxy.revive();
        proxy
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// First lines of all requests so far, each with what became of it.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.shared.seen).clone()
    }

    /// Ends it as a crash would: nothing listens, and every connection through it is cut.
    pub fn die(&mut self) {
        self.shared.end.store(true, Ordering::SeqCst);
        if let Some(thread) = self.accepting.take() {
            thread.join().expect("the accepting thread works");
        }
        for stream in lock(&self.shared.open).drain(..) {
            // Closed already is as good.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Starts it again after `die`.
    pub fn revive(&mut self) {
        assert!(self.accepting.is_none(), "the proxy runs already");
        self.shared.end.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).expect("its port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let shared = Arc::clone(&self.shared);
        self.accepting = Some(std::thread::spawn(move || shared.accept(&listener)));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.die();
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while !self.end.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&self);
                    std::thread::spawn(move || {
                        // A client that goes away in the middle is not the proxy's concern.
                        drop(shared.serve(stream));
                    });
                }
                Err(_) => std::thread::sleep(TICK),
            }
        }
    }

    fn serve(&self, client: TcpStream) -> std::io::Result<()> {
        client.set_nonblocking(false)?;
        lock(&self.open).push(client.try_clone()?);
        let mut head = BufReader::new(client.try_clone()?.take(MAX_HEAD));
        let mut first = String::new();
        head.read_line(&mut first)?;
        let mut line = String::new();
        while head.read_line(&mut line)? > 2 {
            line.clear();
        }
        let first = first.trim_end();
        let mut words = first.split(' ');
        let place = match (words.next(), words.next()) {
            (Some("CONNECT"), Some(authority)) => self.places.get(authority),
            _ => None,
        };
        let server = place.map(TcpStream::connect);
        let status = match server {
            Some(Ok(_)) => "200 Connection established",
            Some(Err(_)) => "502 Bad Gateway",
            None => "403 Forbidden",
        };
        lock(&self.seen).push(format!("{first} -> {status}"));
        (&client).write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes())?;
        // Its copy among the open ones would keep the connection up.
        let Some(Ok(server)) = server else { return client.shutdown(Shutdown::Write) };
        lock(&self.open).push(server.try_clone()?);
        // What the client sent behind its head, without waiting for an answer.
        (&server).write_all(head.buffer())?;
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        let upward = std::thread::spawn(move || relay(&from, &to));
        relay(&server, &client);
        upward.join().expect("a relaying thread works");
        Ok(())
    }
}

/// Carries bytes until one side ends, and then tells the other.
fn relay(mut from: &TcpStream, mut to: &TcpStream) {
    // However it ends: the other side learns it.
    drop(std::io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Write));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(proxy: &Proxy, authority: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\nhello")?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn it_leads_where_it_may_and_dies_and_comes_back() {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = echo.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in echo.incoming().map_while(Result::ok) {
                std::io::copy(&mut &stream, &mut &stream).unwrap_or_default();
            }
        });
        let mut proxy = Proxy::start([("echo.test:7".to_owned(), place)]);
        assert!(ask(&proxy, "echo.test:7").unwrap().ends_with("\r\n\r\nhello"));
        assert!(ask(&proxy, "other.test:7").unwrap().starts_with("HTTP/1.1 403"));
        proxy.die();
        assert!(ask(&proxy, "echo.test:7").is_err());
        proxy.revive();
        assert!(ask(&proxy, "echo.test:7").unwrap().ends_with("hello"));
        let seen = proxy.seen();
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert_eq!(seen[1], "CONNECT other.test:7 HTTP/1.1 -> 403 Forbidden");
    }
}
