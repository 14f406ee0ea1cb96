//! Deploying a tenant: what is live afterwards, what is kept secret, and deploying it again.

use freehold_portal::api::jobs::JobView;
use freehold_protocol::report::{EventKind, HealthStatus, JobResult};
use freehold_tests::world::{DEPLOY_STEPS, Tenant, World, blueprint, docker, steps_of};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// One world for all that a good deploy promises: a deploy takes seconds.
#[test]
fn a_deploy_makes_a_tenant_live_and_keeps_its_secrets() {
    let world = World::start("deploy");
    let tenant = world.tenant("acme");
    let release = world.push(&blueprint(&[]));
    world.create(&tenant, release);
    let job = world.deploy(&tenant, release);

    steps_are_told_in_order(&world, &job);
    the_site_is_live(&world, &tenant);
    files_are_private(&world, &tenant);
    let password = the_password_is_shown_once(&world, &tenant);
    no_secret_leaked(&world, &tenant, &password);
    the_host_can_be_looked_at(&world, &tenant);
    the_folder_works_without_us(&world, &tenant);
    deploying_again_changes_nothing(&world, &tenant, release);
    an_update_brings_the_next_release(&world, &tenant, &password);
}

fn steps_are_told_in_order(world: &World, job: &JobView) {
    let id = job.id.to_string();
    world.assert_gapless(&id);
    let events = world.events(&id);
    assert_eq!(events[0].what, EventKind::Accepted);
    assert_eq!(steps_of(&events), DEPLOY_STEPS);
    let done: Vec<_> = events
        .iter()
        .filter(|event| event.what == EventKind::StepDone)
        .map(|event| event.step.as_str())
        .collect();
    assert_eq!(done, DEPLOY_STEPS);
    assert!(job.steps.iter().all(|step| step.state == "done"), "{:#?}", job.steps);
    let Some(JobResult::Deployed(deployed)) = &job.result else { panic!("{:#?}", job.result) };
    assert_eq!(deployed.health.status, HealthStatus::Healthy, "{:#?}", deployed.health);
    assert!(deployed.health.certificate_expires.is_some());
    // The database was really knocked at: the agent says so when it could not.
    let told = world.api().get(&format!("/jobs/{id}/events")).to_string();
    assert!(!told.contains("no attempt"), "{told}");
}

fn the_site_is_live(world: &World, tenant: &Tenant) {
    world.assert_live(tenant, "1");
    // What the client says of its organization does not count.
    let args =
        ["--header", "X-Organization-Slug: somebody-else", "--header", "X-Forwarded-For: 9.9.9.9"];
    let answer = world.https(tenant, "/api/whoami", &args).unwrap();
    let seen = answer.json();
    assert_eq!(seen["organizationSlug"], tenant.slug.as_str(), "{seen}");
    assert!(!answer.body.contains("somebody-else"), "{seen}");
    assert_eq!(seen["headers"]["x-forwarded-proto"], "https", "{seen}");

    let answer = world.http(tenant, "/some/page?a=b").unwrap();
    assert!(matches!(answer.status, 301 | 308), "{}", answer.head);
    let location = answer.header("location").unwrap();
    assert!(location.starts_with(&format!("https://{}", tenant.domain)), "{location}");
    assert!(location.ends_with("/some/page?a=b"), "{location}");

    let view = world.view(tenant);
    assert_eq!(
        (view.status.as_str(), view.release_deployed, view.onboarded),
        ("active", Some(1), true)
    );
    assert_eq!(view.ports.len(), 2, "{:?}", view.ports);
    let (first, count) = world.port_range();
    for port in view.ports.values() {
        assert!((first..first + count).contains(&port.get()), "{port} is not of this host's range");
    }
}

fn files_are_private(world: &World, tenant: &Tenant) {
    let folder = world.folder(tenant);
    for (name, wanted) in [(".env", 0o600), ("compose.yaml", 0o600), ("secrets.json", 0o600)] {
        let path = folder.join(name);
        let mode = std::fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(mode.permissions().mode() & 0o7777, wanted, "{}", path.display());
    }
    // The secrets stand in .env alone.
    let secret = database_password(world, tenant);
    assert!(!std::fs::read_to_string(folder.join("compose.yaml")).unwrap().contains(&secret));
}

fn the_password_is_shown_once(world: &World, tenant: &Tenant) -> String {
    assert_eq!(world.view(tenant).credentials, "waiting");
    let password = world.password(tenant);
    assert!(password.len() >= 16, "a short password");
    assert_eq!(world.login(tenant, &password), 200);
    assert_eq!(world.login(tenant, "wrong password"), 401);
    let path = format!("/tenants/{}/credentials", tenant.slug);
    let problem = world.api().call("POST", &path, None).problem(410);
    assert!(!problem.detail.is_empty() && !problem.advice.is_empty(), "{problem:#?}");
    assert_eq!(world.view(tenant).credentials, "shown");
    password
}

/// The database's password, as it stands in `.env`.
fn database_password(world: &World, tenant: &Tenant) -> String {
    let text = std::fs::read_to_string(world.folder(tenant).join(".env")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("PGPASSWORD=")).unwrap();
    let value = line.trim_matches('"').to_owned();
    assert_eq!(value.len(), 40, "not what the blueprint asks for");
    value
}

fn no_secret_leaked(world: &World, tenant: &Tenant, password: &str) {
    let secret = database_password(world, tenant);
    let owner = world.api().token();
    let job_text = {
        let id =
            world.api().get(&format!("/jobs?tenant={}", tenant.slug))["items"][0]["id"].clone();
        let id = id.as_str().unwrap();
        world.api().get(&format!("/jobs/{id}")).to_string()
            + &world.api().get(&format!("/jobs/{id}/events")).to_string()
    };
    for (name, secret) in [("database password", secret.as_str()), ("temporary password", password)]
    {
        assert!(!world.portal_ref().log().contains(secret), "the portal's log holds the {name}");
        assert!(!world.agent_ref().log().contains(secret), "the agent's log holds the {name}");
        assert!(!job_text.contains(secret), "the job shows the {name}");
        for folder in [
            world.portal_ref().data(),
            world.agent_ref().state(),
            world.agent_ref().folder().join("poller"),
        ] {
            absent(&folder, secret, name);
        }
    }
    absent(&world.portal_ref().data(), owner, "owner's token");
    let kept = std::fs::read_to_string(world.folder(tenant).join("secrets.json")).unwrap();
    assert!(!kept.contains(password), "the host keeps the temporary password");
    // certbot and docker write logs of their own.
    absent(&world.agent_ref().folder().join("certbot"), &secret, "database password");
}

/// Where the host keeps a tenant's secrets, for its owner alone.
const SECRET_FILES: [&str; 2] = [".env", "secrets.json"];

/// Expects that no file under `folder` holds `secret`, but those that are for secrets.
fn absent(folder: &Path, secret: &str, name: &str) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            absent(&path, secret, name);
        } else if path.is_file() && !SECRET_FILES.iter().any(|file| path.ends_with(file)) {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds the {name}", path.display());
        }
    }
}

fn the_host_can_be_looked_at(world: &World, tenant: &Tenant) {
    let path = format!("/tenants/{}/check", tenant.slug);
    let queued = world.api().call("POST", &path, None);
    assert!((200..300).contains(&queued.status), "{}", queued.text);
    let id: serde_json::Value = serde_json::from_str(&queued.text).unwrap();
    let job = world.succeeds(id["id"].as_str().unwrap());
    let Some(JobResult::Checked(health)) = job.result else { panic!("{:#?}", job.result) };
    assert_eq!(health.status, HealthStatus::Healthy, "{health:#?}");
    assert_eq!(health.containers.len(), 3, "{health:#?}");
    assert_eq!(health.public.as_ref().and_then(|public| public.status), Some(200), "{health:#?}");

    let queued = world.api().call("POST", "/hosts/vps-1/probe", None);
    assert!((200..300).contains(&queued.status), "{}", queued.text);
    let id: serde_json::Value = serde_json::from_str(&queued.text).unwrap();
    let job = world.succeeds(id["id"].as_str().unwrap());
    let Some(JobResult::Probed(facts)) = job.result else { panic!("{:#?}", job.result) };
    for tool in ["docker", "nginx", "certbot"] {
        assert!(facts.tools.contains_key(tool), "{tool} is not among {:?}", facts.tools);
    }
    assert!(facts.problems.is_empty(), "{:#?}", facts.problems);
}

/// Identifiers of the tenant's containers by name.
fn containers(world: &World, tenant: &Tenant) -> BTreeMap<String, String> {
    let label = format!("label=com.docker.compose.project={}_recruitiq", tenant.slug);
    let args = ["ps", "--all", "--no-trunc", "--filter", &label, "--format", "{{.Names}} {{.ID}}"];
    let found: BTreeMap<_, _> = docker(args)
        .ok()
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, id)| (name.to_owned(), id.to_owned()))
        .collect();
    assert_eq!(found.len(), 3, "{}: {found:?}", world.tag());
    found
}

/// No lock-in: compose alone, in the tenant's folder, finds nothing to do.
fn the_folder_works_without_us(world: &World, tenant: &Tenant) {
    let before = containers(world, tenant);
    let folder = world.folder(tenant);
    let up = docker([
        "compose",
        "--project-directory",
        folder.to_str().unwrap(),
        "up",
        "--detach",
        "--no-build",
        "--pull",
        "never",
    ]);
    assert!(up.success(), "{up}");
    assert_eq!(containers(world, tenant), before, "plain compose sees another stack: {up}");
    world.assert_live(tenant, "1");
}

fn deploying_again_changes_nothing(world: &World, tenant: &Tenant, release: u64) {
    let (snapshot, before) = (world.snapshot(), containers(world, tenant));
    let job = world.deploy(tenant, release);
    world.snapshot().assert_same(&snapshot);
    assert_eq!(containers(world, tenant), before);
    // The admin is there already: no second onboarding, which would set another password.
    assert!(!steps_of(&world.events(&job.id.to_string())).contains(&"onboard".to_owned()));
    assert_eq!(world.view(tenant).credentials, "shown");
}

fn an_update_brings_the_next_release(world: &World, tenant: &Tenant, password: &str) {
    let ports = world.view(tenant).ports;
    let release = world.push(&blueprint(&[
        ("freehold-sample/backend:1", "freehold-sample/backend:2"),
        ("freehold-sample/frontend:1", "freehold-sample/frontend:2"),
        ("version: 1.0.0", "version: 2.0.0"),
    ]));
    assert_eq!(release, 2);
    world.deploy(tenant, release);
    world.assert_live(tenant, "2");
    let health = world.https(tenant, "/api/health", &[]).unwrap().json();
    assert_eq!(health["schemaVersion"], 4, "release 2 brings a migration: {health}");
    // Data, ports and password are the old ones.
    assert_eq!(world.login(tenant, password), 200);
    let view = world.view(tenant);
    assert_eq!((view.ports, view.release_deployed), (ports, Some(2)));
}

/// The same by the command line, as an admin does it, from creation to removal.
#[test]
fn the_command_line_deploys_and_removes() {
    let world = World::start("cli");
    let tenant = world.tenant("shop");
    let before = world.snapshot();
    let file = world.scratch().path().join("recruitiq.yaml");
    std::fs::write(&file, blueprint(&[])).unwrap();
    world.cli(["blueprint", "push", file.to_str().unwrap()]).ok();
    let added = world.cli([
        "tenant",
        "add",
        &tenant.slug,
        "--name",
        "Shop",
        "--domain",
        &tenant.domain,
        "--host",
        "vps-1",
        "--blueprint",
        "recruitiq",
        "--admin-email",
        &tenant.email,
        "--admin-name",
        "Anna Admin",
        "--deploy",
        "--watch",
    ]);
    let shown = added.clone();
    let text = added.ok() + &shown.stderr;
    for step in DEPLOY_STEPS {
        assert!(text.contains(step), "the progress does not name {step}: {text}");
    }
    world.assert_live(&tenant, "1");
    let credentials = world.cli(["--json", "tenant", "credentials", &tenant.slug]).json();
    assert_eq!(world.login(&tenant, credentials["password"].as_str().unwrap()), 200);
    let again = world.cli(["tenant", "credentials", &tenant.slug]);
    assert!(!again.success(), "the password was shown twice");

    let hosts = world.cli(["--json", "host", "list"]).json();
    assert_eq!(hosts[0]["presence"], json!("online"), "{hosts}");
    let refused = world.cli(["tenant", "remove", &tenant.slug]);
    assert!(!refused.success(), "removed without saying what happens to the data");
    assert!(refused.stderr.contains("--keep-data"), "{refused}");
    world
        .cli([
            "tenant",
            "remove",
            &tenant.slug,
            "--delete-data",
            "--yes-delete",
            &tenant.slug,
            "--watch",
        ])
        .ok();
    world.snapshot().assert_same(&before);
}
