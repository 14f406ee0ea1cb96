//! Which programs there are, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A program that the agent may start. Nothing else can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// The Docker client, with its compose plugin.
    Docker,
    /// The web server.
    Nginx,
    /// The ACME client.
    Certbot,
    /// Control of services.
    Systemctl,
    /// The backup program.
    Restic,
    /// The PostgreSQL client.
    Psql,
    /// The PostgreSQL dump program.
    PgDump,
    /// The Debian package tool, for the agent's own upgrade.
    Dpkg,
    /// Starts a transient unit, for the agent's own upgrade.
    SystemdRun,
}

impl Program {
    /// Every program.
    pub const ALL: [Self; 9] = [
        Self::Docker,
        Self::Nginx,
        Self::Certbot,
        Self::Systemctl,
        Self::Restic,
        Self::Psql,
        Self::PgDump,
        Self::Dpkg,
        Self::SystemdRun,
    ];

    /// The name in messages and in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Nginx => "nginx",
            Self::Certbot => "certbot",
            Self::Systemctl => "systemctl",
            Self::Restic => "restic",
            Self::Psql => "psql",
            Self::PgDump => "pg-dump",
            Self::Dpkg => "dpkg",
            Self::SystemdRun => "systemd-run",
        }
    }

    /// Where Debian and Ubuntu install it.
    #[must_use]
    pub const fn default_path(self) -> &'static str {
        match self {
            Self::Docker => "/usr/bin/docker",
            Self::Nginx => "/usr/sbin/nginx",
            Self::Certbot => "/usr/bin/certbot",
            Self::Systemctl => "/usr/bin/systemctl",
            Self::Restic => "/usr/bin/restic",
            Self::Psql => "/usr/bin/psql",
            Self::PgDump => "/usr/bin/pg_dump",
            Self::Dpkg => "/usr/bin/dpkg",
            Self::SystemdRun => "/usr/bin/systemd-run",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the programs are: the defaults, and what the configuration overrides (`[programs]`, each an
/// absolute path). `PATH` is never searched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<Program, PathBuf>")]
pub struct Programs(BTreeMap<Program, PathBuf>);

impl Programs {
    /// The absolute path of a program.
    #[must_use]
    pub fn path(&self, program: Program) -> &Path {
        self.0.get(&program).map_or_else(|| Path::new(program.default_path()), PathBuf::as_path)
    }

    /// The same table with one program elsewhere.
    ///
    /// # Errors
    /// When the path is not absolute.
    pub fn with(mut self, program: Program, path: PathBuf) -> Result<Self, String> {
        if !path.is_absolute() {
            return Err(format!(
                "programs.{program}: \"{}\" is not an absolute path; name the file in full, for example {}",
                path.display(),
                program.default_path()
            ));
        }
        self.0.insert(program, path);
        Ok(self)
    }
}

impl TryFrom<BTreeMap<Program, PathBuf>> for Programs {
    type Error = String;
    fn try_from(map: BTreeMap<Program, PathBuf>) -> Result<Self, String> {
        map.into_iter()
            .try_fold(Self::default(), |table, (program, path)| table.with(program, path))
    }
}
