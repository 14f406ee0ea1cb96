//! A plan for people: each step with what it does.

use freehold_protocol::job::CertificateSource;

use super::Plan;
use crate::saga::step::Step;

/// A step of a plan, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    /// The step's name.
    pub step: &'static str,
    /// What it does, in one sentence.
    pub what: String,
    /// How it is undone; empty when it changes nothing.
    pub undo: String,
}

impl Plan {
    /// The steps in words.
    #[must_use]
    pub fn describe(&self) -> Vec<Described> {
        self.steps
            .iter()
            .map(|step| {
                let (what, undo) = self.words(*step);
                Described { step: step.name(), what, undo }
            })
            .collect()
    }

    /// What the job brings for the app; the values are sealed.
    fn delivered(&self) -> String {
        let Some(deploy) = self.deploy().filter(|_| self.order.app_env.is_some()) else {
            return String::new();
        };
        let used = deploy.blueprint.delivered();
        let names: Vec<_> = used.keys().map(|name| format!("{name}=***")).collect();
        format!(", with what the portal delivers: {}", names.join(", "))
    }

    fn words(&self, step: Step) -> (String, String) {
        let project = self.project().unwrap_or_default();
        let slug = self.slug().map(ToString::to_string).unwrap_or_default();
        let domain = match (self.deploy(), self.previous.as_deref()) {
            (Some(deploy), _) => deploy.domain.to_string(),
            (None, Some(previous)) => previous.domain.to_string(),
            (None, None) => String::new(),
        };
        let again = self.running_before().is_some();
        let no_undo = String::new();
        match step {
            Step::Preflight => {
                let needs = self.deploy().map(|deploy| deploy.blueprint.freehold.resources);
                let needs = needs.unwrap_or_default();
                (
                    format!(
                        "check docker, nginx and certbot, that {domain} and {project} are free, and that there is room for {} MiB of memory, {} thousandths of a processor and {} GiB of disk",
                        needs.memory_mb, needs.cpu_millis, needs.disk_gb
                    ),
                    no_undo,
                )
            }
            Step::ReservePorts => {
                let roles: Vec<_> = self
                    .blueprint()
                    .map(|blueprint| blueprint.freehold.ports.keys().map(ToString::to_string).collect())
                    .unwrap_or_default();
                (
                    format!("reserve a loopback port for each of: {}", roles.join(", ")),
                    "give the ports back".to_owned(),
                )
            }
            Step::WriteStack => (
                format!("write compose.yaml, .env and the secrets of {slug}{}", self.delivered()),
                if again { "put the previous files back" } else { "delete the files" }.to_owned(),
            ),
            Step::PullImages => {
                let images: Vec<_> = self
                    .blueprint()
                    .map(|blueprint| {
                        blueprint.services.values().map(|service| service.image.to_string()).collect()
                    })
                    .unwrap_or_default();
                (
                    format!(
                        "make sure that these images are here, and that every volume they declare is mounted: {}",
                        images.join(", ")
                    ),
                    no_undo,
                )
            }
            Step::Start => (
                format!(
                    "docker compose --project-name={project} up --detach --wait, then compare what runs with the blueprint"
                ),
                if again {
                    "start the previous stack again".to_owned()
                } else {
                    "stop and remove the containers and networks, and the volumes that this job made".to_owned()
                },
            ),
            Step::DatabaseReady => ("wait until the database answers".to_owned(), no_undo),
            Step::Migrate => (
                "run the migrate hook".to_owned(),
                "nothing by itself: a schema change of a redeploy stays, so migrations must suit the previous release too".to_owned(),
            ),
            Step::Onboard => (
                "run the onboard hook for the first admin, with a password drawn on the host".to_owned(),
                "goes with the volumes of a first deploy".to_owned(),
            ),
            Step::SiteHttp => (
                format!("nginx site for {domain} on the plain port, for the certificate authority"),
                "previous site, or none".to_owned(),
            ),
            Step::Certificate => match self.deploy().map(|deploy| &deploy.certificate) {
                Some(CertificateSource::Installed { name }) => {
                    (format!("check the installed certificate {name} for {domain}"), no_undo)
                }
                _ => (
                    format!("certificate for {domain} from the ACME server, unless a good one is here"),
                    "delete the certificate if this job got it".to_owned(),
                ),
            },
            Step::SiteHttps => {
                (format!("nginx site for https://{domain}"), "previous site, or none".to_owned())
            }
            Step::Verify => (
                format!("check containers, health, https://{domain} and isolation from other tenants"),
                no_undo,
            ),
            Step::DeleteOldCertificate => {
                let former = self.previous.as_deref().map(|previous| previous.domain.to_string());
                (
                    format!(
                        "delete the former certificate, of {}; no way back from here",
                        former.unwrap_or_default()
                    ),
                    no_undo,
                )
            }
            Step::CheckRemoval => (format!("check that {slug} may be removed"), no_undo),
            Step::SiteOff => {
                (format!("take the site of {domain} away"), "put the site back".to_owned())
            }
            Step::StopStack => (
                format!("stop and remove the containers and networks of {project}, volumes stay"),
                "start the stack again".to_owned(),
            ),
            Step::RemoveFiles => {
                (format!("delete the files of {slug}"), "put the files back".to_owned())
            }
            Step::DeleteCertificate => {
                (format!("delete the certificate of {domain}; no way back from here"), no_undo)
            }
            Step::DeleteVolumes => {
                (format!("delete the volumes of {project} for good; no way back from here"), no_undo)
            }
            Step::CheckTenant => (format!("look at the containers, health and site of {slug}"), no_undo),
            Step::ProbeHost => ("look at the host's tools and room".to_owned(), no_undo),
        }
    }
}
