//! What a tenant has on the disk beside what its plan gives.

use std::fmt;

use freehold_protocol::disk::ByteCount;

/// Bytes of a GiB, in which plans and releases count.
pub const GIB: u64 = 1 << 30;

/// So many GiB in bytes.
#[must_use]
pub fn gib(count: u32) -> ByteCount {
    ByteCount::saturating(u64::from(count) * GIB)
}

/// Bytes as people read them: in GiB, or in MiB below one, rounded up to a tenth. What is more than a
/// limit is thus never shown as the limit itself.
#[derive(Debug, Clone, Copy)]
pub struct Amount(pub ByteCount);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.get();
        let (unit, name) =
            if bytes > GIB - GIB / 1024 { (GIB, "GiB") } else { (GIB / 1024, "MiB") };
        let tenths = (u128::from(bytes) * 10).div_ceil(unit.into());
        match tenths % 10 {
            0 => write!(f, "{} {name}", tenths / 10),
            part => write!(f, "{}.{part} {name}", tenths / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_up() {
        for (bytes, text) in [
            (0, "0 MiB"),
            (1, "0.1 MiB"),
            (20_000_000, "19.1 MiB"),
            (GIB / 2, "512 MiB"),
            (GIB - 1, "1 GiB"),
            (GIB, "1 GiB"),
            (GIB + 1, "1.1 GiB"),
            (5 * GIB / 2, "2.5 GiB"),
        ] {
            assert_eq!(Amount(ByteCount::saturating(bytes)).to_string(), text, "{bytes}");
        }
        assert_eq!(gib(3).get(), 3 * GIB);
        assert!(Amount(ByteCount::saturating(u64::MAX)).to_string().ends_with("GiB"));
    }
}
