//! Why nginx does not do what it should.

use std::path::PathBuf;

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::Domain;

use crate::host::files::FilesError;
use crate::runner::CommandError;

/// Why nginx does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum NginxError {
    /// A file of nginx cannot be read or written.
    #[error("cannot change nginx's files")]
    Files {
        /// Why.
        source: FilesError,
    },
    /// A file with a tenant's name is not one that we wrote.
    #[error("{path} was not written by Freehold")]
    ForeignFile {
        /// Where.
        path: PathBuf,
    },
    /// Another site on this host answers to the domain.
    #[error("the domain {domain} is served by {file} already")]
    NameTaken {
        /// The domain.
        domain: Domain,
        /// The file that serves it.
        file: PathBuf,
    },
    /// nginx refused its configuration.
    #[error("nginx refuses its configuration")]
    Refused {
        /// What it said.
        source: CommandError,
    },
    /// nginx refused its configuration before we changed anything, and still does.
    #[error("nginx's configuration was broken before Freehold changed anything")]
    BrokenBefore {
        /// What it said then.
        source: CommandError,
    },
    /// nginx's configuration is longer than we read.
    #[error("nginx's configuration is longer than {} MiB", super::MAX_DUMP_BYTES >> 20)]
    TooLong,
    /// nginx did not take the order to reload.
    #[error("nginx does not reload")]
    Reload {
        /// What it said.
        source: CommandError,
    },
    /// nginx could not be called.
    #[error("cannot call nginx")]
    Command {
        /// Why.
        source: CommandError,
    },
    /// A refused site could not be taken back.
    #[error("a site that nginx refuses could not be taken back")]
    NotPutBack {
        /// Why.
        source: Box<NginxError>,
    },
}

impl From<&NginxError> for Failure {
    fn from(error: &NginxError) -> Self {
        let what = error.to_string();
        let class = FailureClass::Host;
        match error {
            NginxError::Files { source } => Self::from(source),
            NginxError::ForeignFile { path } => Self::new(
                class,
                what,
                format!("move {} out of the folder, and retry the job", path.display()),
            ),
            NginxError::NameTaken { file, .. } => Self::new(
                FailureClass::Request,
                what,
                format!("remove the name from {} or give the tenant another domain", file.display()),
            ),
            NginxError::Refused { source } => source.failure(
                class,
                &what,
                "run `nginx -t` on the host and mend the file and line that it names; the previous site is back",
            ),
            NginxError::BrokenBefore { source } => source.failure(
                class,
                &what,
                "run `nginx -t` on the host, mend the file and line that it names (not a file of Freehold), and retry the job",
            ),
            NginxError::TooLong => Self::new(
                class,
                format!("{what}, so it cannot be told whether another site has the same name"),
                "see with `nginx -T | wc --bytes` what includes so much, and move it out of the configuration (long lists belong into files that `geo` or `map` do not include), or deploy to another host",
            ),
            NginxError::Reload { source } => source.failure(
                class,
                &what,
                "run `systemctl status nginx`, start it with `systemctl start nginx`, and retry the job",
            ),
            NginxError::Command { source } => source.failure(
                class,
                &what,
                "run `nginx -v` on the host and set programs.nginx in /etc/freehold/agent.toml",
            ),
            NginxError::NotPutBack { source } => {
                let cause = Self::from(source.as_ref());
                Self::new(
                    FailureClass::Stuck,
                    what,
                    "run `nginx -t` on the host and remove the freehold-*.conf that it names",
                )
                .with_detail(format!("{}\n{}", cause.what, cause.detail))
            }
        }
    }
}

impl From<NginxError> for Failure {
    fn from(error: NginxError) -> Self {
        Self::from(&error)
    }
}
