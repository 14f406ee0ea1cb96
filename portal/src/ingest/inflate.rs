//! Unpacks gzip up to a cap.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;

use crate::error::{AppError, Kind};

/// Largest body once it is unpacked, in bytes.
pub const MAX_INFLATED: u64 = 8 << 20;

/// Unpacks a body. Of one that is larger than the cap no more than the cap is ever held.
///
/// # Errors
/// 413 beyond the cap, 400 for what is not whole.
pub fn gunzip(packed: &[u8]) -> Result<Vec<u8>, AppError> {
    let mut body = Vec::with_capacity(packed.len().saturating_mul(4).min(1 << 20));
    let mut reader = MultiGzDecoder::new(packed).take(MAX_INFLATED + 1);
    reader.read_to_end(&mut body).map_err(|error| {
        AppError::new(Kind::BadRequest, "bad_gzip", "the body is not whole gzip")
            .advice("send the whole gzip stream, or leave Content-Encoding out")
            .because(error)
    })?;
    if body.len() as u64 > MAX_INFLATED {
        return Err(too_large());
    }
    Ok(body)
}

fn too_large() -> AppError {
    AppError::new(
        Kind::TooLarge,
        "inflated_too_large",
        format!("the body is larger than {} MiB once it is unpacked", MAX_INFLATED >> 20),
    )
    .advice("send smaller batches")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn whole_streams_only_and_never_more_than_the_cap() {
        let packed = gzip(b"hello");
        assert_eq!(gunzip(&packed).unwrap(), b"hello");
        let twice = [packed.clone(), packed.clone()].concat();
        assert_eq!(gunzip(&twice).unwrap(), b"hellohello");
        for broken in [&packed[..packed.len() - 1], &packed[..5], b"hello", b""] {
            assert_eq!(gunzip(broken).unwrap_err().code, "bad_gzip", "{broken:?}");
        }
        let mut wrong = packed.clone();
        let end = wrong.len() - 6;
        wrong[end] ^= 1;
        assert_eq!(gunzip(&wrong).unwrap_err().code, "bad_gzip");
        let cap = usize::try_from(MAX_INFLATED).unwrap();
        assert_eq!(gunzip(&gzip(&vec![b' '; cap])).unwrap().len(), cap);
        let bomb = gzip(&vec![b' '; 100 << 20]);
        assert!(bomb.len() < 200_000);
        assert_eq!(gunzip(&bomb).unwrap_err().code, "inflated_too_large");
    }
}
