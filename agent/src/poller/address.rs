//! The portal's address, as an agent may use it: TLS, unless it is this machine.

pub use freehold_protocol::address::{AddressError, PortalAddress as Address};

/// Parses an address.
///
/// # Errors
/// When it is none, or plain HTTP to another machine.
pub fn parse(text: &str) -> Result<Address, AddressError> {
    let address: Address = text.parse()?;
    if address.is_tls() || address.is_loopback() {
        return Ok(address);
    }
    Err(AddressError::new(text, "http:// is allowed for this machine alone; use https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for text in ["https://portal.example.org", "http://127.0.0.1:8080", "http://[::1]"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in
            ["http://portal.example.org", "http://127.0.0.1.evil.example", "http://10.0.0.1"]
        {
            assert!(parse(text).unwrap_err().to_string().contains("use https://"), "{text}");
        }
    }
}
