//! What tenants have on the disk, by the engine's own count: it alone may read its volumes.

use std::collections::BTreeMap;
use std::time::Duration;

use freehold_protocol::disk::ByteCount;
use freehold_protocol::ids::TenantId;
use serde::Deserialize;

use super::{DockerError, docker, whole};
use crate::runner::{CommandError, Commands, Limits};

/// What is ours alone, a line each: a host has images and containers of others, too.
const FORMAT: &str = r#"{{range .Volumes}}{{if .Label "io.freehold.tenant"}}{"name":{{json .Name}},"tenant":{{json (.Label "io.freehold.tenant")}},"size":{{json .Size}}}{{println}}{{end}}{{end}}{{range .Containers}}{{if .Label "io.freehold.tenant"}}{"name":{{json .Names}},"tenant":{{json (.Label "io.freehold.tenant")}},"size":{{json .Size}}}{{println}}{{end}}{{end}}"#;
const COMMAND: &str = "docker system df";
/// The engine counts for one at a time, and refuses others meanwhile.
const ATTEMPTS: u32 = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_secs(1);

/// The units in which the client writes sizes, and their powers of ten.
const UNITS: [(&str, i32); 7] =
    [("kB", 3), ("MB", 6), ("GB", 9), ("TB", 12), ("PB", 15), ("EB", 18), ("B", 0)];

#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    tenant: String,
    size: String,
}

/// How much each tenant has on the disk: its volumes, and what its containers have written into
/// themselves. The engine looks at every file of every volume for it.
///
/// # Errors
/// When the engine does not count within the time, or answers in a form that we do not know.
pub fn disk_used(
    commands: &Commands<'_>,
    longest: Duration,
) -> Result<BTreeMap<TenantId, ByteCount>, DockerError> {
    let argv = docker().words(["system", "df", "--verbose"]).flag("--format", FORMAT);
    let limits = Limits { deadline: longest, ..Limits::QUERY };
    let mut attempt = 1;
    loop {
        match commands.run(&argv, limits) {
            Ok(output) => return parse_disk(whole(&output, COMMAND)?),
            Err(CommandError::NonZero { .. })
                if attempt < ATTEMPTS && !commands.watch.cancel.sleep(PAUSE) =>
            {
                attempt += 1;
            }
            Err(source) => {
                return Err(DockerError::Command {
                    doing: "count what tenants have on the disk",
                    source,
                });
            }
        }
    }
}

/// Reads those lines. A tenant of which the engine does not know everything is left out: too small a
/// number would be believed.
fn parse_disk(lines: &str) -> Result<BTreeMap<TenantId, ByteCount>, DockerError> {
    let mut sums: BTreeMap<TenantId, Option<u64>> = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line)
            .map_err(|error| DockerError::Answer { command: COMMAND, why: error.to_string() })?;
        // A mark that we did not make.
        let Ok(tenant) = line.tenant.parse::<TenantId>() else { continue };
        let size = parse_size(&line.size);
        if size.is_none() {
            tracing::warn!(of = %line.name, size = %line.size, "the engine does not know how large this is");
        }
        let sum = sums.entry(tenant).or_insert(Some(0));
        *sum = sum.zip(size).map(|(sum, size)| sum.saturating_add(size));
    }
    let known =
        |(tenant, sum): (TenantId, Option<u64>)| Some((tenant, ByteCount::saturating(sum?)));
    Ok(sums.into_iter().filter_map(known).collect())
}

/// A size as the client writes it for people: `47.97MB`, or of a container `1e+03kB (virtual 133MB)`.
fn parse_size(text: &str) -> Option<u64> {
    let size = text.split(' ').next()?;
    let (number, power) =
        UNITS.iter().find_map(|(unit, power)| Some((size.strip_suffix(unit)?, *power)))?;
    let (number, exponent) = number.split_once('e').unwrap_or((number, "0"));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{part}");
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let behind = i32::try_from(part.len()).ok()?;
    let power = power.checked_add(exponent.parse().ok()?)?.checked_sub(behind)?;
    let ten = 10_u64.checked_pow(power.unsigned_abs())?;
    let digits: u64 = digits.parse().ok()?;
    if power < 0 { Some(digits / ten) } else { digits.checked_mul(ten) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::with;
    use super::*;
    use crate::runner::{Reply, Script};

    /// What a client of version 28.2 printed for an engine of version 20.10.
    const PRINTED: &str = include_str!("tests/disk.jsonl");

    #[test]
    fn sizes_are_read_as_the_client_writes_them() {
        for (text, bytes) in [
            ("0B", 0),
            ("999B", 999),
            ("1.792kB", 1_792),
            ("47.97MB", 47_970_000),
            ("1.074GB", 1_074_000_000),
            ("1000kB", 1_000_000),
            ("2.5TB", 2_500_000_000_000),
            ("63B (virtual 122MB)", 63),
            ("1.09kB (virtual 133MB)", 1_090),
            ("1e+03MB (virtual 2GB)", 1_000_000_000),
            ("1.5B", 1),
            ("18EB", 18_000_000_000_000_000_000),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in
            ["", "N/A", "-1B", "B", "1", "1.2.3kB", "1e9999MB", "99EB", "1 kB", "1KiB", ".5kB"]
        {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn a_tenant_has_its_volumes_and_what_its_containers_wrote() {
        let used = parse_disk(PRINTED).unwrap();
        let of = |tenant: &str| used.get(&tenant.parse().unwrap()).copied().map(ByteCount::get);
        // Two volumes, and two containers.
        assert_eq!(
            of("01936f2a-0000-7000-8000-000000000001"),
            Some(20_970_000 + 245_700_000 + 100_000)
        );
        assert_eq!(of("01936f2a-0000-7000-8000-000000000002"), Some(0));
        assert_eq!(used.len(), 2);
        assert_eq!(parse_disk("").unwrap().len(), 0);
        for bad in ["[]", "{}", "{\"name\":\"a\",\"tenant\":\"b\",\"size\":1}", "no daemon"] {
            assert!(matches!(parse_disk(bad), Err(DockerError::Answer { .. })), "{bad}");
        }
    }

    #[test]
    fn a_tenant_that_is_known_in_part_is_not_told() {
        let line = |tenant: &str, size: &str| {
            format!("{{\"name\":\"v\",\"tenant\":\"{tenant}\",\"size\":\"{size}\"}}\n")
        };
        let (one, other) =
            ("01936f2a-0000-7000-8000-000000000001", "01936f2a-0000-7000-8000-000000000002");
        let lines = [line(one, "1GB"), line(one, "N/A"), line(one, "2GB"), line(other, "3GB")];
        let used = parse_disk(&lines.concat()).unwrap();
        assert_eq!(
            used.into_iter().collect::<Vec<_>>(),
            [(other.parse().unwrap(), ByteCount::saturating(3_000_000_000))]
        );
        // A mark of somebody else's making.
        assert_eq!(parse_disk(&line("acme", "1GB")).unwrap().len(), 0);
    }

    #[test]
    fn an_engine_that_counts_already_is_asked_again() {
        let busy = "Error response from daemon: a disk usage operation is already running";
        let command = "docker system df --verbose *";
        let script = Script::new().fails(command, 1, busy).prints(command, "");
        let used = with(&script, |commands| disk_used(commands, PAUSE)).unwrap();
        assert_eq!(used.len(), 0);
        let script = Script::new().expect(command, Reply::TimesOut);
        let error = with(&script, |commands| disk_used(commands, PAUSE)).unwrap_err();
        assert_eq!(error.to_string(), "cannot count what tenants have on the disk");
        let script = Script::new().expect(command, Reply::PrintsTooMuch);
        assert!(with(&script, |commands| disk_used(commands, PAUSE)).is_err());
    }
}
