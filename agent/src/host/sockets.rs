//! Which TCP ports of the host are taken.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

use freehold_protocol::ids::{Port, PortRange};

/// The ports in state LISTEN in the text of `/proc/net/tcp` or `/proc/net/tcp6`.
///
/// Lines that do not have the kernel's form are skipped: the table can change while it is read.
#[must_use]
pub fn parse_listening(text: &str) -> BTreeSet<u16> {
    const LISTEN: &str = "0A";
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (local, _remote, state) = (fields.next()?, fields.next()?, fields.next()?);
            let (_, port) = local.rsplit_once(':')?;
            (state == LISTEN).then(|| u16::from_str_radix(port, 16).ok())?
        })
        .collect()
}

/// The ports that something on this host listens on, over IPv4 or IPv6.
///
/// # Errors
/// When the kernel's table cannot be read. A host without IPv6 has no second table.
pub fn listening() -> io::Result<BTreeSet<u16>> {
    let mut ports = parse_listening(&std::fs::read_to_string("/proc/net/tcp")?);
    match std::fs::read_to_string("/proc/net/tcp6") {
        Ok(text) => ports.extend(parse_listening(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(ports)
}

/// The lowest port of a range that is not taken.
#[must_use]
pub fn choose_port(range: PortRange, taken: &BTreeSet<u16>) -> Option<Port> {
    range.iter().find(|port| !taken.contains(&port.get()))
}

/// Whether the loopback port can be bound right now. The listening table does not show everything
/// that stops a bind, for example an outgoing connection that was given this number.
#[must_use]
pub fn can_bind(port: Port) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port.get())).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1 0 100 0 0 10 0
   1: 0100007F:0BBA 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 18 1 0 20 4 30 10 -1
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19 1 0 100 0 0 10 0
garbage
   3: nonsense 0 0A
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0 0
";

    #[test]
    fn only_listening_sockets_count() {
        assert_eq!(parse_listening(TCP), BTreeSet::from([3001, 80]));
        assert_eq!(parse_listening(TCP6), BTreeSet::from([8080]));
    }

    #[test]
    fn a_real_listener_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listening().unwrap().contains(&port));
        assert!(!can_bind(port.try_into().unwrap()));
    }

    #[test]
    fn the_lowest_free_port_is_chosen() {
        let range: PortRange = "3001-3003".parse().unwrap();
        let taken = BTreeSet::from([3001]);
        assert_eq!(choose_port(range, &taken).map(Port::get), Some(3002));
        assert_eq!(choose_port(range, &BTreeSet::from([3001, 3002, 3003])), None);
    }
}
