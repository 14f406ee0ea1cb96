//! Decoder of the chunked transfer coding (RFC 9112 section 7.1). Pure: bytes in, body out.
//!
//! Line ends must be CR LF and lines have a length limit; extensions and trailers are read and thrown
//! away, since nothing here gives them a meaning.

use super::refusal::Refusal;

/// Longest chunk-size line with its extensions.
const MAX_SIZE_LINE_BYTES: usize = 256;
/// All trailers together.
const MAX_TRAILER_BYTES: usize = 4096;
/// Sixteen hexadecimal digits are 64 bits.
const MAX_SIZE_DIGITS: usize = 16;

#[derive(Debug)]
enum State {
    Size(Vec<u8>),
    Data(u64),
    DataEnd { seen_cr: bool },
    Trailer { line: Vec<u8>, total: usize },
    Done,
}

/// Reads one chunked body from pieces of any size.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    limit: u64,
}

impl Chunked {
    pub(super) fn new(limit: u64) -> Self {
        Self { state: State::Size(Vec::new()), limit }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Appends to `body` what `input` holds of it, and returns how much of `input` belonged to the
    /// body. Less than all of it only when the body has ended.
    pub(super) fn feed(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut at = 0;
        while at < input.len() && !self.is_done() {
            let rest = &input[at..];
            match &mut self.state {
                State::Size(line) => {
                    at += 1;
                    if push_line(line, rest[0], MAX_SIZE_LINE_BYTES)? {
                        let size = parse_size(line)?;
                        if size > self.limit.saturating_sub(body.len() as u64) {
                            return Err(Refusal::body_too_large(self.limit));
                        }
                        self.state = match size {
                            0 => State::Trailer { line: Vec::new(), total: 0 },
                            size => State::Data(size),
                        };
                    }
                }
                State::Data(left) => {
                    let part = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    body.extend_from_slice(&rest[..part]);
                    at += part;
                    *left -= part as u64;
                    if *left == 0 {
                        self.state = State::DataEnd { seen_cr: false };
                    }
                }
                State::DataEnd { seen_cr } => {
                    at += 1;
                    match (rest[0], *seen_cr) {
                        (b'\r', false) => *seen_cr = true,
                        (b'\n', true) => self.state = State::Size(Vec::new()),
                        _ => return Err(Refusal::bad("a chunk is longer than its size says")),
                    }
                }
                State::Trailer { line, total } => {
                    at += 1;
                    *total += 1;
                    if push_line(line, rest[0], MAX_TRAILER_BYTES.saturating_sub(*total) + 1)? {
                        match line.is_empty() {
                            true => self.state = State::Done,
                            false => line.clear(),
                        }
                    }
                }
                State::Done => unreachable!("the loop ends with the body"),
            }
        }
        Ok(at)
    }
}

/// Adds a byte to a line; true when the line is whole, which leaves it without its CR LF.
fn push_line(line: &mut Vec<u8>, byte: u8, limit: usize) -> Result<bool, Refusal> {
    match (line.last(), byte) {
        (Some(b'\r'), b'\n') => {
            line.pop();
            return Ok(true);
        }
        (Some(b'\r'), _) => return Err(Refusal::bad("a line of the chunked body holds a bare CR")),
        (_, b'\n') => return Err(Refusal::bad("a line of the chunked body ends without CR")),
        _ => line.push(byte),
    }
    if line.len() > limit {
        return Err(Refusal::bad("a line of the chunked body is too long"));
    }
    Ok(false)
}

fn parse_size(line: &[u8]) -> Result<u64, Refusal> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = line[digits..].trim_ascii_start();
    if digits == 0 || digits > MAX_SIZE_DIGITS || !(rest.is_empty() || rest[0] == b';') {
        return Err(Refusal::bad("a chunk size is not a hexadecimal number"));
    }
    let text = std::str::from_utf8(&line[..digits]).expect("hexadecimal digits are ASCII");
    u64::from_str_radix(text, 16).map_err(|_| Refusal::bad("a chunk size is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], piece: usize, limit: u64) -> Result<(Vec<u8>, usize, bool), u16> {
        let (mut chunked, mut body, mut used) = (Chunked::new(limit), Vec::new(), 0);
        for part in input.chunks(piece) {
            used += chunked.feed(part, &mut body).map_err(|refusal| refusal.status())?;
        }
        Ok((body, used, chunked.is_done()))
    }

    #[test]
    fn pieces_of_any_size_give_the_same_body_and_leave_the_next_request() {
        let input = b"4;name=\"x\"\r\nWiki\r\n5\r\npedia\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1";
        for piece in 1..input.len() {
            let (body, used, done) = decode(input, piece, 100).unwrap();
            assert_eq!((body.as_slice(), done), (b"Wikipedia".as_slice(), true));
            assert_eq!(&input[used..], b"GET / HTTP/1.1");
        }
    }

    #[test]
    fn malformed_and_oversized_bodies_are_refused() {
        let cases: [&[u8]; 9] = [
            b"\r\n",
            b"x\r\n",
            b"-1\r\n",
            b"0x4\r\n",
            b"4\nWiki",
            b"4\r\nWikix",
            b"4 4\r\n",
            b"4\rX",
            b"11111111111111111\r\n",
        ];
        for case in cases {
            assert_eq!(decode(case, 1, 100), Err(400), "{}", case.escape_ascii());
        }
        assert_eq!(decode(b"5\r\npedia\r\n0\r\n\r\n", 1, 4), Err(413));
        assert_eq!(decode(b"3\r\nabc\r\n2\r\nde\r\n", 1, 4), Err(413));
        assert_eq!(decode(b"ffffffffffffffff\r\n", 1, 4), Err(413));
        assert_eq!(decode(&[b'1'; 400], 1, 4), Err(400));
        let trailers = [b"0\r\n".as_slice(), &b"a: b\r\n".repeat(2000)].concat();
        assert_eq!(decode(&trailers, 7, 4), Err(400));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_decoded_alike_and_never_panic(
            bytes in "([0-9a-fA-F;xX]{0,3}(\r\n|\n|\r)?[a-z]{0,12}(\r\n)?){0,6}(0\r\n\r\n)?[a-z]{0,4}",
            piece in 1..40usize,
        ) {
            let whole = decode(bytes.as_bytes(), usize::MAX, 64);
            proptest::prop_assert_eq!(decode(bytes.as_bytes(), piece, 64), whole);
        }
    }
}
