//! Why something with the engine did not work.

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::ImageRef;

use crate::runner::CommandError;

/// Why something with the engine did not work.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The engine does not answer.
    #[error("the Docker engine does not answer")]
    Unreachable {
        /// What asking gave.
        source: CommandError,
    },
    /// The client answers, and says that the engine does not.
    #[error("the Docker engine does not answer")]
    Down {
        /// What the client says.
        why: String,
    },
    /// A command failed.
    #[error("cannot {doing}")]
    Command {
        /// What was tried.
        doing: &'static str,
        /// What it gave.
        source: CommandError,
    },
    /// An answer is not in a form that we know.
    #[error("the answer of {command} is not understood: {why}")]
    Answer {
        /// What was asked.
        command: &'static str,
        /// What is wrong with the answer.
        why: String,
    },
    /// An image is neither here nor to be had.
    #[error("the image {image} cannot be pulled")]
    Pull {
        /// The image.
        image: ImageRef,
        /// What pulling gave.
        source: CommandError,
    },
    /// Something is still there after its removal.
    #[error("still there after removal: {}", .what.join(", "))]
    Left {
        /// What.
        what: Vec<String>,
    },
}

const START_ENGINE: &str = "run `systemctl start docker`, see why it stopped with `journalctl --unit=docker`, and retry the job";

impl From<&DockerError> for Failure {
    fn from(error: &DockerError) -> Self {
        let what = error.to_string();
        match error {
            DockerError::Unreachable { source } => {
                source.failure(FailureClass::Host, &what, START_ENGINE)
            }
            DockerError::Down { why } => {
                Self::new(FailureClass::Host, what, START_ENGINE).with_detail(why.clone())
            }
            DockerError::Command { source, .. } => source.failure(
                FailureClass::Host,
                &what,
                "run `docker info` and `journalctl --unit=docker` on the host, mend what they show, and retry the job",
            ),
            DockerError::Answer { .. } => Failure::new(
                FailureClass::Host,
                what,
                "run `freehold-agent doctor`: it names the versions of Docker that are known to work",
            ),
            DockerError::Pull { image, source } => source.failure(
                FailureClass::Upstream,
                &what,
                &format!(
                    "run `docker pull {image}` on the host: check the name, the network, and the registry login in the DOCKER_CONFIG folder"
                ),
            ),
            DockerError::Left { what: left } => Failure::new(
                FailureClass::Host,
                &what,
                format!("remove by hand what is left ({}), and retry the job", left.join(", ")),
            ),
        }
    }
}

impl From<DockerError> for Failure {
    fn from(error: DockerError) -> Self {
        Self::from(&error)
    }
}
