//! The server with the smallest handler there is, to measure the server itself.
//!
//! `hello ADDRESS [--tls CHAIN.pem KEY.pem]`; `/park?SECONDS` waits like a long poll, `/stats` counts.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use freehold_portal::http::server::{
    Config, Handler, Head, Request, Response, Server, ServerStats, TlsFiles,
};

struct Hello(Arc<ServerStats>);

impl Handler for Hello {
    fn body_limit(&self, _head: &Head) -> u64 {
        64 * 1024
    }

    fn handle(&self, request: &Request) -> Response {
        match request.head.path() {
            "/park" => park(request),
            "/stats" => Response::text(
                200,
                format!(
                    "connections {}\nin flight {}\nrequests {}\nrejected {}\n",
                    self.0.open_connections(),
                    self.0.requests_in_flight(),
                    self.0.requests_total(),
                    self.0.rejected_total(),
                ),
            ),
            _ => Response::text(200, "hello\n"),
        }
    }
}

fn park(request: &Request) -> Response {
    let secs = request.head.query().and_then(|query| query.parse().ok()).unwrap_or(10);
    let until = Instant::now() + Duration::from_secs(secs);
    while Instant::now() < until && !request.peer_gone() && !request.shutting_down() {
        std::thread::sleep(Duration::from_secs(1));
    }
    Response::no_content()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (address, tls) = match words[..] {
        [address] => (address, None),
        [address, "--tls", chain, key] => {
            let check_every = Duration::from_secs(5);
            (address, Some(TlsFiles { chain: chain.into(), key: key.into(), check_every }))
        }
        _ => return fail("usage: hello ADDRESS [--tls CHAIN.pem KEY.pem]"),
    };
    let Ok(listen) = address.parse() else { return fail("ADDRESS is IP:PORT") };
    match Server::bind(Config { tls, ..Config::plain(listen) }) {
        Ok(server) => {
            let stats = server.stats();
            server.run(Hello(stats));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}

#[expect(clippy::print_stderr, reason = "an example has no other place to say it")]
fn fail(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}
