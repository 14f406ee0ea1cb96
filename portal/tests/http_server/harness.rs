//! A running server with a handler for every case.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use freehold_portal::http::server::{
    Config, Ended, Handler, Head, Limits, Request, Response, STACK_BYTES, Server, ServerStats,
    ShutdownHandle,
};

use crate::client::Client;

/// Answers by path; `/park` and `/slow` say through the channel how far they are.
struct Routes {
    news: Mutex<Sender<&'static str>>,
}

impl Routes {
    fn tell(&self, what: &'static str) {
        self.news.lock().unwrap().send(what).unwrap();
    }

    fn park(&self, request: &Request) -> &'static str {
        self.tell("parked");
        let until = Instant::now() + Duration::from_secs(10);
        let why = loop {
            if request.peer_gone() {
                break "gone";
            } else if request.shutting_down() {
                break "shutdown";
            } else if Instant::now() > until {
                break "timeout";
            }
            thread::sleep(Duration::from_millis(10));
        };
        self.tell(why);
        why
    }
}

impl Handler for Routes {
    fn body_limit(&self, head: &Head) -> u64 {
        if head.path() == "/small" { 10 } else { 4 << 20 }
    }

    fn handle(&self, request: &Request) -> Response {
        match request.head.path() {
            "/echo" | "/small" => Response::new(200).with_body(request.body.clone()),
            "/id" => Response::text(200, request.id.to_string()),
            "/peer" => Response::text(200, format!("{} {}", request.peer, request.secure)),
            "/none" => Response::no_content(),
            "/park" => Response::text(200, self.park(request)),
            "/slow" => {
                self.tell("working");
                thread::sleep(Duration::from_millis(300));
                Response::text(200, "done")
            }
            "/panic" => panic!("boom"),
            "/split" => Response::new(200).with_header("x", "a\r\nset-cookie: b"),
            "/big" => Response::new(200).with_body(vec![b'x'; 64 << 20]),
            "/stream" => Response::stream(200, "text/plain", |body| {
                (0..10_000).try_for_each(|line| writeln!(body, "line {line}"))
            }),
            "/broken-stream" => Response::stream(200, "text/plain", |body| {
                body.write_all(b"some")?;
                body.flush()?;
                panic!("boom in the stream")
            }),
            "/deep" => deep(&request.body),
            _ => Response::text(404, "no such path"),
        }
    }
}

/// About the deepest that a handler goes: the most nested JSON that serde takes, and SQL.
fn deep(body: &[u8]) -> Response {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap();
    let database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch("CREATE TABLE t (a TEXT PRIMARY KEY, b BIGINT)").unwrap();
    let nested = format!("SELECT {}1{}", "(".repeat(20), ")".repeat(20));
    let sql = format!("SELECT count(*) FROM t JOIN t u ON t.a = u.a WHERE t.b IN ({nested})");
    let count: i64 = database.query_row(&sql, [], |row| row.get(0)).unwrap();
    let text = serde_json::to_string(&value).unwrap();
    Response::text(200, format!("{count} {} {}", text.len(), deepest_stack_kib()))
}

/// The most that any thread with our stack size has touched of its stack.
fn deepest_stack_kib() -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let field = |line: &str, name: &str| -> Option<usize> {
        line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok()
    };
    let (mut size, mut deepest) = (0, 0);
    for line in maps.lines() {
        size = field(line, "Size:").unwrap_or(size);
        if (STACK_BYTES / 1024..STACK_BYTES / 1024 + 16).contains(&size) {
            deepest = deepest.max(field(line, "Rss:").unwrap_or(0));
        }
    }
    deepest
}

pub struct Running {
    pub address: SocketAddr,
    pub stats: Arc<ServerStats>,
    pub handle: ShutdownHandle,
    news: Receiver<&'static str>,
    thread: Option<JoinHandle<Ended>>,
}

impl Running {
    pub fn start(limits: Limits) -> Self {
        Self::with(Config { limits, ..Config::plain("127.0.0.1:0".parse().unwrap()) })
    }

    pub fn with(config: Config) -> Self {
        Self::of(Server::bind(config).unwrap())
    }

    pub fn of(server: Server) -> Self {
        let (sender, news) = channel();
        let (address, stats, handle) =
            (server.local_addr(), server.stats(), server.shutdown_handle());
        let routes = Routes { news: Mutex::new(sender) };
        let thread = Some(thread::spawn(move || server.run(routes)));
        Self { address, stats, handle, news, thread }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn expect(&self, news: &str) {
        assert_eq!(self.news.recv_timeout(Duration::from_secs(3)).unwrap(), news);
    }

    pub fn end(mut self) -> Ended {
        self.handle.shutdown();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// Limits so short that a test can wait for them.
pub fn quick() -> Limits {
    let ms = Duration::from_millis;
    Limits {
        head: ms(300),
        body: ms(400),
        idle: ms(400),
        write: ms(300),
        handshake: ms(400),
        grace: ms(1500),
        ..Limits::default()
    }
}

pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(4);
    while !holds() {
        assert!(Instant::now() < until, "not reached in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
