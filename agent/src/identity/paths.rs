//! Where the keys and the poller's knowledge of its portal are: folders, or what systemd hands over.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::config::Config;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The poller's key.
    pub identity: PathBuf,
    /// A poller's key that is drawn and not in force yet. It waits out of the poller's reach: a
    /// poller that was taken over must not choose the key of the enrollment that locks it out.
    pub identity_next: PathBuf,
    /// The poller's portal.
    pub portal: PathBuf,
    /// The executor's report key.
    pub report: PathBuf,
    /// The executor's seal key.
    pub seal: PathBuf,
}

impl Paths {
    /// As configured.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            identity: config.poller_dir.join("identity.pem"),
            identity_next: config.keys_dir().join("identity.next"),
            portal: config.poller_dir.join("portal.json"),
            report: config.keys_dir().join("report.pem"),
            seal: config.keys_dir().join("seal.key"),
        }
    }

    /// As a service finds them: what systemd hands over (`LoadCredential=freehold.identity.pem:…`)
    /// goes before the folders, which the unit may hide.
    #[must_use]
    pub fn of_service(config: &Config) -> Self {
        Self::of(config).with_credentials(credentials().as_deref())
    }

    fn with_credentials(mut self, folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return self };
        for path in [&mut self.identity, &mut self.portal, &mut self.report, &mut self.seal] {
            let Some(name) = path.file_name() else { continue };
            let credential = folder.join(format!("freehold.{}", name.display()));
            if credential.exists() {
                *path = credential;
            }
        }
        self
    }

    /// Everything that belongs to an enrollment; the poller's knowledge of its portal comes first.
    #[must_use]
    pub const fn all(&self) -> [&PathBuf; 5] {
        [&self.portal, &self.identity, &self.identity_next, &self.seal, &self.report]
    }
}

/// Where systemd puts the credentials of this service.
pub(super) fn credentials() -> Option<PathBuf> {
    env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_hands_over_goes_before_the_folders() {
        let dir = tempfile::tempdir().unwrap();
        let config =
            Config { poller_dir: "/p".into(), state_dir: "/s".into(), ..Config::default() };
        std::fs::write(dir.path().join("freehold.identity.pem"), "x").unwrap();
        std::fs::write(dir.path().join("freehold.seal.key"), "x").unwrap();
        let paths = Paths::of(&config).with_credentials(Some(dir.path()));
        assert_eq!(paths.identity, dir.path().join("freehold.identity.pem"));
        assert_eq!(paths.portal, Path::new("/p/portal.json"));
        assert_eq!(paths.report, Path::new("/s/keys/report.pem"));
        assert_eq!(paths.seal, dir.path().join("freehold.seal.key"));
        assert_eq!(
            Paths::of(&config).with_credentials(None).identity,
            Path::new("/p/identity.pem")
        );
    }
}
