//! Why a stack did not do what it should.

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::Port;

use crate::host::docker::DockerError;
use crate::host::names::ServiceName;
use crate::runner::CommandError;

/// Why a stack did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// `docker compose` does not exist.
    #[error("the Docker Compose plugin does not answer")]
    PluginMissing {
        /// What asking gave.
        source: CommandError,
    },
    /// Compose refuses the files that we wrote.
    #[error("Docker Compose refuses the stack's files")]
    Files {
        /// What it said.
        source: CommandError,
    },
    /// Host ports of the stack belong to somebody else by now. Others can be chosen.
    #[error("host ports are taken: {}", .ports.iter().map(Port::to_string).collect::<Vec<_>>().join(", "))]
    PortTaken {
        /// Which.
        ports: Vec<Port>,
        /// What compose said.
        source: CommandError,
    },
    /// The product's containers do not run as they should.
    #[error("not healthy in time: {}", .services.join(", "))]
    Unhealthy {
        /// The services.
        services: Vec<String>,
        /// What they say, and the ends of their logs.
        detail: String,
        /// What compose said.
        source: CommandError,
    },
    /// A command of the product failed.
    #[error("a command of the product failed in {service}")]
    Hook {
        /// Where it ran.
        service: ServiceName,
        /// How.
        source: CommandError,
    },
    /// Compose itself failed.
    #[error("cannot {doing}")]
    Command {
        /// What was tried.
        doing: &'static str,
        /// What it gave.
        source: CommandError,
    },
    /// The engine could not be asked why.
    #[error("the stack did not start, and the engine cannot be asked why")]
    Docker {
        /// What asking gave.
        source: DockerError,
    },
}

impl From<&ComposeError> for Failure {
    fn from(error: &ComposeError) -> Self {
        let what = error.to_string();
        match error {
            ComposeError::PluginMissing { source } => source.failure(
                FailureClass::Host,
                &what,
                "install the package docker-compose-plugin (Debian: docker-compose-v2 or docker-compose-plugin) and retry the job",
            ),
            ComposeError::Files { source } => source.failure(
                FailureClass::Request,
                &what,
                "correct the blueprint where the message points, publish a new release, and deploy it",
            ),
            ComposeError::PortTaken { source, .. } => source.failure(
                FailureClass::Host,
                &what,
                "see who listens there with `ss --listening --tcp --processes`; retry the job to get other ports",
            ),
            ComposeError::Unhealthy { services, detail, source } => {
                let failure = source.failure(
                    FailureClass::App,
                    &what,
                    &format!(
                        "read the log of {} below, mend the release or its settings, and deploy again",
                        services.first().map_or("the service", String::as_str)
                    ),
                );
                failure.with_detail(format!("{}\n{detail}", source.detail()))
            }
            ComposeError::Hook { source, .. } => source.failure(
                FailureClass::App,
                &what,
                "read the command's output below, mend the release, and retry the job",
            ),
            ComposeError::Command { source, .. } => source.failure(
                FailureClass::Host,
                &what,
                "run `docker compose ls --all` and `journalctl --unit=docker` on the host, mend what they show, and retry the job",
            ),
            ComposeError::Docker { source } => Self::from(source),
        }
    }
}

impl From<ComposeError> for Failure {
    fn from(error: ComposeError) -> Self {
        Self::from(&error)
    }
}
