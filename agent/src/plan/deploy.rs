//! The steps of a deploy.

use freehold_protocol::blueprint::project_name;
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::job::{CertificateSource, DeployTenant};

use crate::journal::tenants::{TenantRecord, TenantState};
use crate::saga::step::Step;

/// Most problems of a blueprint that a failure lists.
const MAX_PROBLEMS: usize = 20;

pub(super) fn steps(
    deploy: &DeployTenant,
    previous: Option<&TenantRecord>,
    tenants: &[TenantRecord],
) -> Result<Vec<Step>, Failure> {
    admit_blueprint(deploy)?;
    admit_names(deploy, previous, tenants)?;
    let freehold = &deploy.blueprint.freehold;
    let onboarded = previous.is_some_and(|previous| previous.onboarded);
    // A site that already answers under the same name also answers the certificate authority;
    // putting a plain one in its place would take the tenant off the net for a while.
    let has_site = previous.is_some_and(|previous| {
        previous.state == TenantState::Deployed && previous.domain == deploy.domain
    });
    let acme = deploy.certificate == CertificateSource::Acme;
    let superseded = previous.is_some_and(|previous| {
        previous.certificate == CertificateSource::Acme
            && !(acme && previous.domain == deploy.domain)
    });
    let wanted = [
        (Step::Preflight, true),
        (Step::ReservePorts, true),
        (Step::WriteStack, true),
        (Step::PullImages, true),
        (Step::Start, true),
        (Step::DatabaseReady, freehold.database.is_some()),
        (Step::Migrate, freehold.hooks.migrate.is_some()),
        (Step::Onboard, freehold.hooks.onboard.is_some() && deploy.admin.is_some() && !onboarded),
        (Step::SiteHttp, acme && !has_site),
        (Step::Certificate, true),
        (Step::SiteHttps, true),
        (Step::Verify, true),
        (Step::DeleteOldCertificate, superseded),
    ];
    Ok(wanted.into_iter().filter_map(|(step, wanted)| wanted.then_some(step)).collect())
}

fn request(what: String, advice: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Request, what, advice)
}

fn admit_blueprint(deploy: &DeployTenant) -> Result<(), Failure> {
    let release = &deploy.release;
    if let Err(problems) = deploy.blueprint.check() {
        let text: Vec<_> = problems.iter().take(MAX_PROBLEMS).map(ToString::to_string).collect();
        return Err(request(
            format!(
                "the release {} of {} is not sound: {} problems",
                release.number,
                release.blueprint,
                problems.len()
            ),
            "mend the blueprint, push it as a new release, and deploy that",
        )
        .with_detail(text.join("\n")));
    }
    for (name, value) in &deploy.settings {
        let spec = freehold_setting(deploy, name);
        let Some(spec) = spec else {
            return Err(request(
                format!(
                    "the release {} of {} has no setting {name}",
                    release.number, release.blueprint
                ),
                "leave the setting out, or declare it in the blueprint's x-freehold.settings",
            ));
        };
        if let Err(why) = spec.kind.check_value(value) {
            return Err(request(
                format!("the value of the setting {name} {why}"),
                "correct the tenant's settings and deploy again",
            ));
        }
    }
    for (name, spec) in &deploy.blueprint.freehold.settings {
        if spec.required && spec.default.is_none() && !deploy.settings.contains_key(name.as_str()) {
            return Err(request(
                format!("the setting {name} is required and has no value"),
                "set it for the tenant and deploy again",
            ));
        }
    }
    Ok(())
}

fn freehold_setting<'a>(
    deploy: &'a DeployTenant,
    name: &str,
) -> Option<&'a freehold_protocol::blueprint::model::SettingSpec> {
    deploy
        .blueprint
        .freehold
        .settings
        .iter()
        .find_map(|(known, spec)| (known.as_str() == name).then_some(spec))
}

fn admit_names(
    deploy: &DeployTenant,
    previous: Option<&TenantRecord>,
    tenants: &[TenantRecord],
) -> Result<(), Failure> {
    let project = project_name(&deploy.blueprint, &deploy.slug);
    if let Some(previous) = previous
        && previous.project != project
    {
        return Err(request(
            format!(
                "{} runs another product: its project is {}, that of the release is {project}",
                deploy.slug, previous.project
            ),
            "remove the tenant first, or deploy a release of the same product",
        ));
    }
    for other in tenants.iter().filter(|other| other.tenant != deploy.tenant) {
        if other.slug == deploy.slug {
            return Err(request(
                format!("another tenant of this host has the short name {}", deploy.slug),
                "choose another short name, or another host",
            ));
        }
        if other.state == TenantState::Deployed && other.domain == deploy.domain {
            return Err(request(
                format!("{} of this host already has the domain {}", other.slug, deploy.domain),
                "choose another domain, or move that tenant away from it first",
            ));
        }
    }
    Ok(())
}
