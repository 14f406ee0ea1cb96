//! The certificates of this host's tenants, for `status` and `doctor`.

use freehold_protocol::{
    ids::{Domain, TenantSlug},
    job::CertificateSource,
    time::Timestamp,
};
use serde::Serialize;

use super::output;
use crate::{
    config::Config,
    executor::upkeep::{
        self,
        record::{self, Trouble, expiry},
    },
    host::certificate,
    journal::{Journal, JournalError, tenants::TenantState},
};

/// A certificate with less time left is told, in milliseconds: 14 days.
const SOON_MILLIS: i64 = 14 * 86_400_000;

/// The certificate of a deployed tenant, as it is on the disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) slug: TenantSlug,
    pub(super) domain: Domain,
    pub(super) source: CertificateSource,
    /// When it expires; none when it cannot be read.
    pub(super) expires: Option<Timestamp>,
    /// Why it cannot be read.
    pub(super) unreadable: Option<String>,
    /// What upkeep could not do.
    pub(super) trouble: Option<Trouble>,
    /// Why a certificate that the tenant does not use any more is still there.
    pub(super) former: Option<Trouble>,
}

/// How a certificate stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Well,
    Soon,
    Bad,
}

/// Looks at all of them.
pub(super) fn look(config: &Config, journal: &Journal) -> Result<Vec<Row>, JournalError> {
    let mut records = record::load(journal)?;
    let mut tenants = journal.tenants()?;
    tenants.retain(|tenant| tenant.state == TenantState::Deployed);
    let row = |tenant: crate::journal::tenants::TenantRecord| {
        let folder = upkeep::folder(&config.certbot.config_dir, &config.certificates.dir, &tenant);
        let found = certificate::read_chain(&folder);
        let record = records.remove(&tenant.tenant).unwrap_or_default();
        Row {
            expires: found.as_ref().ok().map(|facts| facts.not_after),
            unreadable: found.err().map(|error| super::chain_of(&error)),
            trouble: record.trouble,
            former: record.former,
            slug: tenant.slug,
            domain: tenant.domain,
            source: tenant.certificate,
        }
    };
    Ok(tenants.into_iter().map(row).collect())
}

impl Row {
    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        match self.expires {
            None => Standing::Bad,
            Some(expires) if expires <= now => Standing::Bad,
            Some(_) if self.trouble.is_some() => Standing::Soon,
            Some(expires) if expires.millis_since(now) < SOON_MILLIS => Standing::Soon,
            Some(_) => Standing::Well,
        }
    }

    /// What it is, and what is wrong with it.
    pub(super) fn sentence(&self, now: Timestamp) -> String {
        let mut text = match (self.expires, &self.unreadable) {
            (Some(at), _) => {
                format!("{} {} ({})", self.domain, expiry(at, now), output::time(at))
            }
            (None, Some(why)) => format!("{}: {why}", self.domain),
            (None, None) => self.domain.to_string(),
        };
        if let Some(trouble) = &self.trouble {
            text.push_str(&format!("; {}", told(trouble)));
        }
        text
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> String {
        match (&self.trouble, &self.source) {
            (Some(trouble), _) => trouble.failure.advice.clone(),
            (None, CertificateSource::Acme) => {
                "see `journalctl -u freehold-executor`; deploying the tenant again asks the authority at once".into()
            }
            (None, CertificateSource::Installed { name }) => format!(
                "put a new certificate into the folder {name} of certificates.dir; nginx takes it by itself"
            ),
        }
    }
}

/// What does not work, and when it is tried again.
pub(super) fn told(trouble: &Trouble) -> String {
    format!(
        "{} (attempt {} at {}, the next at {})",
        trouble.failure.what,
        trouble.attempts,
        output::time(trouble.at),
        output::time(trouble.retry_at),
    )
}

/// The table of `status`, with what is wrong below it.
pub(super) fn render(rows: &[Row], now: Timestamp) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.slug.to_string(),
                match &row.source {
                    CertificateSource::Acme => "acme".into(),
                    CertificateSource::Installed { name } => format!("installed: {name}"),
                },
                row.expires.map_or_else(|| "?".into(), output::time),
                match row.standing(now) {
                    Standing::Well => "ok",
                    Standing::Soon => "SOON",
                    Standing::Bad => "BAD",
                }
                .into(),
            ]
        })
        .collect();
    let mut text = output::table(&["TENANT", "CERTIFICATE", "EXPIRES", "STANDING"], &cells);
    for row in rows.iter().filter(|row| row.standing(now) != Standing::Well) {
        text.push_str(&format!("{}\n  {}\n", row.sentence(now), row.remedy()));
    }
    for former in rows.iter().filter_map(|row| row.former.as_ref()) {
        text.push_str(&format!("{}\n  {}\n", told(former), former.failure.advice));
    }
    text
}

#[cfg(test)]
mod tests {
    use freehold_protocol::failure::{Failure, FailureClass};

    use super::*;

    #[test]
    fn a_failing_renewal_is_told_with_its_remedy() {
        let day = |n: i64| Timestamp::from_millis(n * 86_400_000);
        let failure = Failure::new(FailureClass::Upstream, "renewal failed: no answer", "dig it");
        let mut row = Row {
            slug: "acme".parse().unwrap(),
            domain: "acme.example.com".parse().unwrap(),
            source: CertificateSource::Acme,
            expires: Some(day(90)),
            unreadable: None,
            trouble: None,
            former: None,
        };
        assert_eq!(row.standing(day(0)), Standing::Well);
        assert!(!render(&[row_of(&row)], day(0)).contains("deploying"));
        row.former = Some(Trouble::after(None, failure.clone(), day(70)));
        assert_eq!(row.standing(day(0)), Standing::Well);
        assert!(render(&[row_of(&row)], day(0)).contains("no answer (attempt 1 at"));
        row.former = None;
        row.trouble = Some(Trouble::after(None, failure, day(70)));
        assert_eq!(row.standing(day(70)), Standing::Soon);
        let text = render(&[row_of(&row)], day(70));
        for part in
            ["SOON", "expires in 20 days", "renewal failed: no answer (attempt 1 at", "dig it"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(row.standing(day(91)), Standing::Bad);
        assert!(row.sentence(day(91)).contains("has expired"));
    }

    fn row_of(row: &Row) -> Row {
        Row {
            slug: row.slug.clone(),
            domain: row.domain.clone(),
            source: row.source.clone(),
            expires: row.expires,
            unreadable: None,
            trouble: row.trouble.clone(),
            former: row.former.clone(),
        }
    }
}
