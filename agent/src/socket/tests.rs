//! Frames: whole, partial, oversized, garbage.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use proptest::prelude::*;

use super::*;

struct Echo;
impl Answerer for Echo {
    fn answer(&self, caller: Caller, request: Request) -> Reply {
        match (caller, request) {
            (Caller::Operator, Request::Drain { on: true }) => Reply::Done,
            (_, other) => Reply::Error {
                code: ErrorCode::NotFound,
                message: format!("{other:?}").chars().take(40).collect(),
            },
        }
    }
}

struct Served {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    bell: Bell,
    thread: Option<thread::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

fn serve() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let listener = Listener::bind(&path, None).unwrap();
    let bell = listener.bell();
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        let answerer: Arc<dyn Answerer> = Arc::new(Echo);
        listener.serve(Peers { poller: None }, &answerer, &flag).unwrap();
    });
    Served { path, stop, bell, thread: Some(thread), _dir: dir }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
        self.thread.take().unwrap().join().unwrap();
        assert!(!self.path.exists());
    }
}

#[test]
fn a_question_gets_its_answer_and_a_second_executor_is_refused() {
    let served = serve();
    let client = Client::new(&served.path);
    assert!(matches!(client.call(&Request::Drain { on: true }), Ok(Reply::Done)));
    let refused = client.call(&Request::NextReport { wait_ms: 1 }).unwrap_err();
    assert!(matches!(refused, CallError::Refused { code: ErrorCode::NotFound, .. }));
    assert!(matches!(Listener::bind(&served.path, None), Err(ListenError::Busy { .. })));
    assert!(matches!(
        Client::new(&served.path.with_extension("none")).call(&Request::Drain { on: true }),
        Err(CallError::Connect { .. })
    ));
}

#[test]
fn a_kept_connection_is_used_again_and_replaced_when_it_does_not_work() {
    let served = serve();
    let client = Client::new(&served.path);
    let mut kept = None;
    let which =
        |stream: &Option<UnixStream>| rustix::fs::fstat(stream.as_ref().unwrap()).unwrap().st_ino;
    assert!(matches!(client.call_over(&mut kept, &Request::Drain { on: true }), Ok(Reply::Done)));
    let first = which(&kept);
    // A refusal is an answer: the connection is as good as before.
    let refused = client.call_over(&mut kept, &Request::Drain { on: false }).unwrap_err();
    assert!(matches!(refused, CallError::Refused { .. }));
    assert_eq!(which(&kept), first);
    kept.as_ref().unwrap().shutdown(std::net::Shutdown::Both).unwrap();
    assert!(matches!(client.call_over(&mut kept, &Request::Drain { on: true }), Ok(Reply::Done)));
    assert_ne!(which(&kept), first);
}

#[test]
fn hostile_bytes_close_only_their_own_connection() {
    let served = serve();
    let attacks: &[&[u8]] = &[
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0x10, 0, 1, b'x'],
        &[0, 0, 0, 9, b'{'],
        &[0, 0, 0, 2, b'{', b'}'],
        b"\0\0\0\x29{\"verb\":\"drain\",\"on\":true,\"extra\":\"field\"}",
        b"\0\0\0\x12{\"verb\":\"explode\"}",
    ];
    for attack in attacks {
        let mut stream = UnixStream::connect(&served.path).unwrap();
        stream.write_all(attack).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = read_frame::<Reply>(&mut stream);
        assert!(matches!(answer, Err(FrameError::Closed | FrameError::Io(_))), "{attack:?}");
    }
    let client = Client::new(&served.path);
    assert!(matches!(client.call(&Request::Drain { on: true }), Ok(Reply::Done)));
}

#[test]
fn a_partial_frame_is_waited_for() {
    let served = serve();
    let mut frame = Vec::new();
    write_frame(&mut frame, &Request::Drain { on: true }).unwrap();
    let mut stream = UnixStream::connect(&served.path).unwrap();
    for byte in frame {
        stream.write_all(&[byte]).unwrap();
    }
    assert!(matches!(read_frame::<Reply>(&mut stream), Ok(Reply::Done)));
}

#[test]
fn strangers_are_nobody() {
    let own = rustix::process::geteuid().as_raw();
    let peers = Peers { poller: Some(own + 4242) };
    assert_eq!(peers.judge(0), Some(Caller::Operator));
    assert_eq!(peers.judge(own), Some(Caller::Operator));
    assert_eq!(peers.judge(own + 4242), Some(Caller::Poller));
    assert_eq!(peers.judge(own + 1), None);
}

#[test]
fn an_oversized_value_is_not_written() {
    let mut out = Vec::new();
    let huge = "x".repeat(MAX_FRAME_BYTES);
    assert!(matches!(write_frame(&mut out, &huge), Err(FrameError::Size { .. })));
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let read = read_frame::<Request>(&mut bytes.as_slice());
        prop_assert!(read.is_err());
    }
}
