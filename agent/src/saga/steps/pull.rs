//! `pull-images`: every image on the host before anything that runs is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use freehold_protocol::blueprint::Blueprint;
use freehold_protocol::blueprint::model::Service;
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::ImageRef;

use super::{deploy, ended};
use crate::host::docker::{self, ImageOutcome};
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

#[derive(Debug)]
pub(super) struct PullImages;

impl Action for PullImages {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        ended(pull(context))
    }

    /// Images stay: they change nothing that runs, and the next attempt needs them.
    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }

    fn deadline(&self, context: &Context<'_>) -> Duration {
        let images = context.plan.blueprint().map_or(1, |blueprint| blueprint.services.len());
        context.config().waits.pull * u32::try_from(images.max(1)).unwrap_or(1)
    }
}

fn pull(context: &Context<'_>) -> Result<StepOutput, Failure> {
    let blueprint = &deploy(context)?.blueprint;
    let images: BTreeMap<String, &ImageRef> = blueprint
        .services
        .values()
        .map(|service| (service.image.to_string(), &service.image))
        .collect();
    let list: Vec<&ImageRef> = images.values().copied().collect();
    let look = || context.with_commands(|commands| docker::images(commands, &list));
    let mut found = look()?;
    if found.is_none() {
        for image in &list {
            let outcome = context.with_commands(|commands| {
                docker::ensure_image(commands, image, context.config().waits.pull)
            })?;
            (context.say)(&match outcome {
                ImageOutcome::WasThere => format!("{image} is here"),
                ImageOutcome::Pulled => format!("{image} was pulled"),
            });
        }
        found = look()?;
    } else {
        (context.say)("every image is here");
    }
    let found = found.ok_or_else(|| {
        Failure::new(
            FailureClass::Host,
            "an image vanished from the host while others were pulled",
            "see whether something prunes images (`docker system events`), then queue the job again",
        )
    })?;
    let (ids, volumes): (Vec<_>, Vec<_>) =
        found.into_iter().map(|image| (image.id, image.volumes)).unzip();
    let declared = list.iter().map(|image| image.as_str()).zip(volumes).collect();
    refuse_unnamed_volumes(blueprint, &declared)?;
    Ok(StepOutput::Images { ids: images.into_keys().zip(ids).collect() })
}

/// Refuses images that declare a volume at a path which the blueprint does not mount. The engine
/// would put what the product writes there into a volume without a name, which no backup holds and
/// which is lost with the container.
fn refuse_unnamed_volumes(
    blueprint: &Blueprint,
    declared: &BTreeMap<&str, BTreeSet<String>>,
) -> Result<(), Failure> {
    let mut bare = Vec::new();
    for (name, service) in &blueprint.services {
        let image = service.image.as_str();
        for path in declared.get(image).into_iter().flatten().filter(|path| !mounts(service, path))
        {
            bare.push((name, image, path.escape_debug().to_string()));
        }
    }
    let Some((name, image, path)) = bare.first() else { return Ok(()) };
    let lines: Vec<_> =
        bare.iter().map(|(name, image, path)| format!("{name}: {image} declares {path}")).collect();
    Err(Failure::new(
        FailureClass::Request,
        format!(
            "the image {image} declares a volume at {path}, and the service {name} mounts nothing there: what it writes would be lost"
        ),
        format!(
            "say in the blueprint's service {name} what is to be there: `volumes: [NAME:{path}]` for data that stays, `tmpfs: [{path}]` for what may go; push it as a new release and deploy that"
        ),
    )
    .with_detail(lines.join("\n")))
}

/// Whether a service mounts something of the blueprint at exactly this path. A mount above or below
/// it does not keep the engine from making a volume.
fn mounts(service: &Service, path: &str) -> bool {
    let plain = |path: &str| Path::new("/").join(path).components().collect::<PathBuf>();
    let volumes = service.mounts.iter().map(|mount| &mount.target);
    let memory = service.tmpfs.iter().map(|tmpfs| &tmpfs.target);
    volumes.chain(memory).any(|target| plain(target.as_str()) == plain(path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_volume_of_an_image_must_be_mounted_by_the_service_itself() {
        let blueprint: Blueprint = serde_json::from_value(json!({
            "product": "shop",
            "services": {
                "db": {
                    "image": "mongo:7",
                    "mounts": [{ "volume": "data", "target": "/data/db" }],
                    "tmpfs": [{ "target": "/scratch" }],
                },
                "other": { "image": "web:1", "mounts": [{ "volume": "data", "target": "/srv" }] },
            },
            "volumes": { "data": {} },
            "freehold": { "ports": {}, "routes": [], "health": { "port": "backend", "path": "/" } },
        }))
        .unwrap();
        for (image, paths, bare) in [
            ("mongo:7", &[][..], None),
            ("mongo:7", &["/data/db"], None),
            ("mongo:7", &["/data/db/", "//scratch"], None),
            ("mongo:7", &["/data/db", "/data/configdb"], Some("/data/configdb")),
            // A mount above it or below it is not a mount of it.
            ("mongo:7", &["/data"], Some("/data")),
            ("mongo:7", &["/data/db/journal"], Some("/data/db/journal")),
            // What another service mounts does not count.
            ("mongo:7", &["/srv"], Some("/srv")),
            ("web:1", &["/data/db"], Some("/data/db")),
            ("web:1", &["/srv/../data"], Some("/srv/../data")),
        ] {
            let paths = paths.iter().map(ToString::to_string).collect();
            let found = refuse_unnamed_volumes(&blueprint, &BTreeMap::from([(image, paths)]));
            match (found, bare) {
                (Ok(()), None) => {}
                (Err(failure), Some(path)) => {
                    assert_eq!(failure.class, FailureClass::Request);
                    assert!(failure.what.contains(&format!("at {path},")), "{failure:?}");
                    assert!(failure.advice.contains(&format!("NAME:{path}")), "{failure:?}");
                    assert!(failure.advice.contains(&format!("tmpfs: [{path}]")), "{failure:?}");
                }
                (found, _) => panic!("{image}: {found:?}"),
            }
        }
    }
}
