//! Certificates that a tenant does not use any more.

use super::*;
use crate::{journal::sagas::Begun, plan::tests_support::plan_of};

const FORMER: &str = "old.example.com";

/// What `certbot delete` does: the folder and the notes by which certbot renews.
pub(super) fn delete(command: &str) {
    let value = |name: &str| {
        let word = command.split(' ').find_map(|word| word.strip_prefix(name));
        word.unwrap_or_else(|| panic!("{command}"))
    };
    let (config, name) = (Path::new(value("--config-dir=")), value("--cert-name="));
    std::fs::remove_dir_all(config.join("live").join(name)).unwrap();
    std::fs::remove_file(config.join("renewal").join(format!("{name}.conf"))).unwrap();
}

impl World {
    fn name(&self, domain: &str) -> String {
        certbot::cert_name(tenant_id(1), &domain.parse().unwrap())
    }

    /// Leaves a certificate for another domain, of this name.
    fn leave(&self, name: &str) {
        let config = self.base.path().join("letsencrypt");
        put_certificate(&config.join("live").join(name), START);
        std::fs::create_dir_all(config.join("renewal")).unwrap();
        std::fs::write(config.join("renewal").join(format!("{name}.conf")), "server = x\n")
            .unwrap();
    }

    /// certbot's names for all that it holds.
    fn held(&self) -> Vec<String> {
        let live = std::fs::read_dir(self.base.path().join("letsencrypt/live")).unwrap();
        let mut names: Vec<_> =
            live.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn what_a_move_could_not_delete_is_deleted_later_and_nothing_else() {
    let world = World::new(1, acme(), &[Says::Refuses, Says::Issues]);
    let stranger = certbot::cert_name(tenant_id(2), &FORMER.parse().unwrap());
    for name in [&*world.name(FORMER), &stranger, "www.example.com"] {
        world.leave(name);
    }
    let hour = Duration::from_secs(3600);
    assert_eq!(world.tend(), hour);
    assert_eq!(world.calls().last().unwrap(), "certbot delete --non-interactive");
    assert_eq!(world.held().len(), 4);
    // It is told, and the tenant is none the worse for it.
    let told = world.inventory();
    assert_eq!((told.tenants[0].status, told.facts.problems.len()), (HealthStatus::Healthy, 1));
    let problem = &told.facts.problems[0];
    assert!(problem.what.contains("a former certificate of acme is still there"), "{problem:?}");
    let by_hand = format!("certbot delete --cert-name {}", world.name(FORMER));
    assert!(problem.advice.contains(&by_hand) && problem.advice.contains("by itself"));

    // Not again before its time.
    assert_eq!(world.tend(), hour);
    assert_eq!(world.calls(), [""; 0]);
    world.clock.advance(hour);
    assert_eq!(world.tend(), Duration::from_secs(43_200));
    let mut rest = vec![world.name("acme.example.com"), stranger, "www.example.com".to_owned()];
    rest.sort();
    assert_eq!(world.held(), rest);
    assert_eq!((world.record().former, world.inventory().facts.problems.len()), (None, 0));
    world.calls();
    world.tend();
    assert_eq!(world.calls(), [""; 0]);
}

#[test]
fn a_tenant_with_an_installed_certificate_keeps_none_of_certbot() {
    let source = CertificateSource::Installed { name: "wildcard".parse().unwrap() };
    let world = World::new(1, serde_json::to_value(source).unwrap(), &[Says::Issues]);
    world.leave(&world.name("acme.example.com"));
    assert_eq!(world.held().len(), 1);
    world.tend();
    assert_eq!(world.held(), [""; 0]);
}

#[test]
fn what_some_site_of_nginx_uses_stays_and_is_told() {
    let world = World::new(1, acme(), &[Says::Issues]);
    world.leave(&world.name(FORMER));
    let config =
        format!("ssl_certificate /etc/letsencrypt/live/{}/fullchain.pem;", world.name(FORMER));
    *world.tools.config.lock().unwrap() = config;
    world.tend();
    assert_eq!((world.held().len(), world.calls()), (2, vec!["nginx -v -T".to_owned()]));
    let failure = world.record().former.unwrap().failure;
    assert!(failure.what.contains("nginx uses"), "{failure:?}");

    world.tools.config.lock().unwrap().clear();
    world.clock.advance(Duration::from_secs(3600));
    world.tend();
    assert_eq!((world.held().len(), world.record().former), (1, None));
}

#[test]
fn a_job_that_is_open_may_need_them() {
    let world = World::new(1, acme(), &[]);
    world.leave(&world.name(FORMER));
    // Neither one that waits for a worker, nor one that is stuck or cut and not in the queue yet.
    world.executor.live().queue.push(row_of_a_job());
    assert_eq!(world.tend(), BUSY_PAUSE);
    world.executor.live().queue.clear();
    let begun = world.journal.begin_saga(&plan_of(1, 1), START).unwrap();
    assert!(matches!(begun, Begun::New(_)));
    assert_eq!(world.tend(), BUSY_PAUSE);
    assert_eq!((world.held().len(), world.calls(), world.record().former), (2, vec![], None));
}
