//! Bytes that nobody meant.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use freehold_portal::http::server::Head;
use proptest::prelude::{any, prop_assert, proptest};

use crate::harness::{Running, quick};

proptest! {
    #[test]
    fn any_bytes_are_a_head_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(Head::parse(&bytes));
    }

    #[test]
    fn a_good_head_with_any_change_is_a_head_or_refused(
        place in 0..90usize,
        byte in any::<u8>(),
        cut in 0..90usize,
    ) {
        let good = b"POST http://a:1/b?c HTTP/1.1\r\nHost: a:1\r\nContent-Length: 4\r\nX: z \t\r\n\r\nbody";
        let mut text = good.to_vec();
        text.insert(place.min(text.len()), byte);
        let last = text.len() - 1;
        text[cut.min(last)] = byte;
        if let Ok(Some((head, length))) = Head::parse(&text) {
            prop_assert!(length <= text.len());
            prop_assert!(head.path().starts_with('/'));
            prop_assert!(head.host().is_some());
        }
    }
}

#[test]
fn garbage_is_answered_or_cut_and_the_server_lives() {
    let server = Running::start(quick());
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..30 {
        let garbage: Vec<u8> = (0..300)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            })
            .collect();
        let mut socket = TcpStream::connect(server.address).unwrap();
        socket.write_all(&garbage).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    assert_eq!(server.client().ask("GET /id HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert_eq!(server.stats.panics_total(), 0);
}
