//! Images: whether they are on the host, getting them, and what they declare.

use std::collections::BTreeSet;
use std::time::Duration;

use freehold_protocol::ids::ImageRef;
use serde_json::Value;

use super::{DockerError, docker, parse_json, versions, whole};
use crate::runner::{CommandError, Commands, Limits};

/// What was found of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageOutcome {
    /// It was on the host.
    WasThere,
    /// It was pulled.
    Pulled,
}

/// Whether an image is on the host.
///
/// # Errors
/// When the engine does not answer.
pub fn image_present(commands: &Commands<'_>, image: &ImageRef) -> Result<bool, DockerError> {
    let argv = docker().words(["image", "inspect"]).flag("--format", "{{.Id}}").arg(image);
    match commands.run(&argv, Limits::QUERY) {
        Ok(_) => Ok(true),
        // The same status means "no such image" and "no engine"; the engine itself tells which.
        Err(CommandError::NonZero { .. }) => versions(commands).map(|_| false),
        Err(source) => Err(DockerError::Command { doing: "look for an image", source }),
    }
}

/// Makes sure that an image is on the host.
///
/// # Errors
/// When it is not there and the registry does not give it.
pub fn ensure_image(
    commands: &Commands<'_>,
    image: &ImageRef,
    deadline: Duration,
) -> Result<ImageOutcome, DockerError> {
    if image_present(commands, image)? {
        return Ok(ImageOutcome::WasThere);
    }
    // Not `--quiet`: the progress of the layers is what shows that a long pull is alive.
    let argv = docker().words(["image", "pull"]).arg(image);
    match commands.run(&argv, Limits::within(deadline)) {
        Ok(_) => Ok(ImageOutcome::Pulled),
        Err(source) => Err(DockerError::Pull { image: image.clone(), source }),
    }
}

/// What the engine holds of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The engine's identifier.
    pub id: String,
    /// The paths that it declares as volumes.
    pub volumes: BTreeSet<String>,
}

/// What the engine holds of images, in their order; nothing when not all of them are on the host.
///
/// # Errors
/// When the engine does not answer, or answers in a form that we do not know.
pub fn images(
    commands: &Commands<'_>,
    images: &[&ImageRef],
) -> Result<Option<Vec<Image>>, DockerError> {
    const COMMAND: &str = "docker image inspect";
    // Not `.Config.Volumes`: for an image that declares none, an engine with containerd's store of images
    // (the default from 29.0 on) leaves the key out, and a template that names it fails.
    let argv = docker().words(["image", "inspect"]).flag("--format", "{{.Id}} {{json .Config}}");
    match commands.run(&images.iter().fold(argv, |argv, image| argv.arg(image)), Limits::QUERY) {
        Ok(output) => {
            let lines = whole(&output, COMMAND)?.lines().filter(|line| !line.is_empty());
            let found = lines.map(parse_image).collect::<Result<Vec<_>, _>>()?;
            Ok((found.len() == images.len()).then_some(found))
        }
        Err(CommandError::NonZero { .. }) => Ok(None),
        Err(source) => Err(DockerError::Command { doing: "look for images", source }),
    }
}

fn parse_image(line: &str) -> Result<Image, DockerError> {
    const COMMAND: &str = "docker image inspect";
    let (id, config) = line.split_once(' ').unwrap_or((line, "null"));
    let volumes = match &parse_json(config, COMMAND)?["Volumes"] {
        Value::Null => BTreeSet::new(),
        Value::Object(volumes) => volumes.keys().cloned().collect(),
        _ => {
            let why = "an image's volumes are no map".to_owned();
            return Err(DockerError::Answer { command: COMMAND, why });
        }
    };
    Ok(Image { id: id.to_owned(), volumes })
}
