//! Where the body of a request ends: the rules of RFC 9112 section 6, with every ambiguity refused.
//!
//! Request smuggling lives in disagreements about this, so that nothing is repaired: two lengths are
//! refused even when they are equal, and a length next to chunking is refused instead of ignored.

use super::head::Head;
use super::method::Version;
use super::refusal::Refusal;

/// How the body of a request is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

impl Framing {
    pub(super) fn of(head: &Head) -> Result<Self, Refusal> {
        let length = head.get_single("content-length")?;
        let mut codings = head.get_all("transfer-encoding");
        match (codings.next(), length) {
            (Some(_), Some(_)) => {
                Err(Refusal::bad("Content-Length and Transfer-Encoding must not be given together"))
            }
            (Some(_), None) if head.version() == Version::Http10 => {
                Err(Refusal::bad("Transfer-Encoding does not exist in HTTP/1.0"))
            }
            (Some(coding), None) => {
                if codings.next().is_none() && coding.eq_ignore_ascii_case("chunked") {
                    Ok(Self::Chunked)
                } else {
                    Err(Refusal::unknown_coding())
                }
            }
            (None, Some(length)) => parse_length(length).map(Self::Length),
            (None, None) => Ok(Self::None),
        }
    }
}

fn parse_length(text: &str) -> Result<u64, Refusal> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::bad("Content-Length is not a whole number"));
    }
    // Digits that overflow are a length all the same, one above every limit.
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// Whether the client waits for `100 Continue` before it sends the body.
pub(super) fn expects_continue(head: &Head) -> Result<bool, Refusal> {
    match head.get_single("expect")? {
        None => Ok(false),
        // RFC 9110 section 10.1.1: an expectation from an HTTP/1.0 client is ignored.
        Some(_) if head.version() == Version::Http10 => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("100-continue") => Ok(true),
        Some(_) => Err(Refusal::expectation()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::server::Method;

    fn framing(headers: &[(&str, &str)]) -> Result<Framing, u16> {
        let head = Head::new(Method::Post, "/", headers).unwrap();
        Framing::of(&head).map_err(|refusal| refusal.status())
    }

    #[test]
    fn bodies_are_delimited_in_one_way_or_refused() {
        assert_eq!(framing(&[]), Ok(Framing::None));
        assert_eq!(framing(&[("Content-Length", "12")]), Ok(Framing::Length(12)));
        assert_eq!(framing(&[("Transfer-Encoding", "Chunked")]), Ok(Framing::Chunked));
        let huge = [("content-length", "99999999999999999999999")];
        assert_eq!(framing(&huge), Ok(Framing::Length(u64::MAX)));
        for bad in ["", "+1", "-1", "1, 1", "0x10", "1 1", "1.0", "١"] {
            assert_eq!(framing(&[("content-length", bad)]), Err(400), "{bad}");
        }
        assert_eq!(framing(&[("content-length", "1"), ("content-length", "1")]), Err(400));
        assert_eq!(framing(&[("content-length", "1"), ("transfer-encoding", "chunked")]), Err(400));
        for odd in ["gzip", "gzip, chunked", "chunked, chunked", "xchunked", "identity", ""] {
            assert_eq!(framing(&[("transfer-encoding", odd)]), Err(501), "{odd}");
        }
        let twice = [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert_eq!(framing(&twice), Err(501));
    }
}
