//! Taking a project's networks away, also when somebody else's containers are on them.

use serde_json::Value;

use super::{DockerError, attempt, docker};
use crate::host::names::ResourceName;
use crate::runner::{Argv, CommandError, Commands, Limits};

/// Removes networks whose own containers are gone, and says which containers were taken off them.
///
/// # Errors
/// When the engine does not answer. Whether the networks are gone is for the caller to look at.
pub(super) fn remove(
    commands: &Commands<'_>,
    networks: &[ResourceName],
) -> Result<Vec<String>, DockerError> {
    if networks.is_empty() {
        return Ok(Vec::new());
    }
    let argv = networks.iter().fold(docker().words(["network", "rm"]), Argv::arg);
    if attempt(commands, &argv, "remove networks")? {
        return Ok(Vec::new());
    }
    // The engine keeps a network for as long as anybody is on it, which a stranger must not make use
    // of: an undo that cannot end leaves the tenant stuck. The stranger itself is left alone.
    let mut disconnected = Vec::new();
    for network in networks {
        for (id, name) in members(commands, network)? {
            let argv = docker().words(["network", "disconnect", "--force"]).arg(network);
            if attempt(commands, &argv.passed_on([&id]), "disconnect a container")? {
                // At once: whatever becomes of the rest, its owner can find out.
                tracing::warn!(container = %name, %network, "disconnected somebody else's container, which held a network of ours");
                disconnected.push(format!("{name} from {network}"));
            }
        }
    }
    if !disconnected.is_empty() {
        attempt(commands, &argv, "remove networks")?;
    }
    Ok(disconnected)
}

/// Ids and names of the containers on a network; none when it is gone.
fn members(
    commands: &Commands<'_>,
    network: &ResourceName,
) -> Result<Vec<(String, String)>, DockerError> {
    let format = "{{json .Containers}}";
    let argv = docker().words(["network", "inspect"]).flag("--format", format).arg(network);
    let output = match commands.run(&argv, Limits::QUERY) {
        Ok(output) => output,
        Err(CommandError::NonZero { .. }) => return Ok(Vec::new()),
        Err(source) => {
            return Err(DockerError::Command { doing: "look at a network", source });
        }
    };
    let found: Value = serde_json::from_str(output.stdout.head.trim()).unwrap_or_default();
    let members = found.as_object().into_iter().flatten();
    let named = |value: &Value| value["Name"].as_str().unwrap_or("a container").to_owned();
    Ok(members.map(|(id, value)| (id.clone(), named(value))).collect())
}
