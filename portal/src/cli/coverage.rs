//! Tests: what an admin can ask of the API, a command asks.

use std::collections::{BTreeMap, BTreeSet};

use super::tree;
use crate::http::{
    route::operations,
    table::{Access, Proof},
};

/// Each operation for admins and the command that asks it.
const COMMANDS: &[(&str, &str)] = &[
    ("approveRequest", "request approve"),
    ("archivePlan", "plan archive"),
    ("audit", "audit list"),
    ("auditCheckpoints", "audit verify"),
    ("cancelJob", "job cancel"),
    ("changePassword", "password"),
    ("checkTenant", "tenant check"),
    ("createCustomer", "customer add"),
    ("createEnrollmentToken", "host token"),
    ("createHost", "host add"),
    ("createLicense", "license add"),
    ("createPlan", "plan add"),
    ("createRequest", "request create"),
    ("createTenant", "tenant add"),
    ("createTenantKey", "tenant key add"),
    ("createToken", "token add"),
    ("createUser", "user add"),
    ("deleteCustomer", "customer remove"),
    ("deleteHost", "host remove"),
    ("deleteJob", "job delete"),
    ("deletePlan", "plan remove"),
    ("deleteTenant", "tenant forget"),
    ("deleteUser", "user remove"),
    ("deployTenant", "tenant deploy"),
    ("disableUser", "user disable"),
    ("drainHost", "host drain"),
    ("enableUser", "user enable"),
    ("endOwnSession", "user end-session"),
    ("endUserSession", "user end-session"),
    ("getBlueprint", "blueprint show"),
    ("getCustomer", "customer show"),
    ("getHost", "host show"),
    ("getJob", "job show"),
    ("getLicense", "license show"),
    ("getPlan", "plan show"),
    ("getRelease", "blueprint show"),
    ("getRequest", "request show"),
    ("getSettings", "user settings"),
    ("getTenant", "tenant show"),
    ("getUser", "user show"),
    ("hostPorts", "host ports"),
    ("jobEvents", "job watch"),
    ("keys", "key show"),
    ("listBlueprints", "blueprint list"),
    ("listCustomers", "customer list"),
    ("listHosts", "host list"),
    ("listJobs", "job list"),
    ("listLicenses", "license list"),
    ("listOwnSessions", "user sessions"),
    ("listPlans", "plan list"),
    ("listRequests", "request list"),
    ("listTenantKeys", "tenant key list"),
    ("listTenants", "tenant list"),
    ("listTokens", "token list"),
    ("listUserSessions", "user sessions"),
    ("listUsers", "user list"),
    ("login", "login"),
    ("logout", "logout"),
    ("me", "whoami"),
    ("openApi", "api openapi"),
    ("probeHost", "host probe"),
    ("publishBlueprint", "blueprint push"),
    ("reinstateLicense", "license reinstate"),
    ("rejectRequest", "request reject"),
    ("removeTenant", "tenant remove"),
    ("renewLicense", "license renew"),
    ("resetPassword", "user reset-password"),
    ("resumeHost", "host resume"),
    ("resumeJob", "job resume"),
    ("retryJob", "job retry"),
    ("retryRequest", "request retry"),
    ("revealCredentials", "tenant credentials"),
    ("revealLicenseKey", "license reveal"),
    ("revokeHost", "host revoke"),
    ("revokeLicense", "license revoke"),
    ("revokeTenantKey", "tenant key revoke"),
    ("revokeToken", "token revoke"),
    ("rotateKeys", "key rotate"),
    ("rotateLeaseKeys", "key rotate"),
    ("rotateTenantKey", "tenant key rotate"),
    ("suspendLicense", "license suspend"),
    ("tenantLogs", "logs"),
    ("tenantUsage", "usage"),
    ("trust", "audit verify"),
    ("unarchivePlan", "plan unarchive"),
    ("undrainHost", "host undrain"),
    ("updateCustomer", "customer update"),
    ("updateHost", "host update"),
    ("updateLicense", "license update"),
    ("updateMe", "user rename"),
    ("updatePlan", "plan update"),
    ("updateSettings", "user settings"),
    ("updateTenant", "tenant update"),
    ("updateUser", "user update"),
    ("version", "version"),
    ("withdrawRequest", "request withdraw"),
];

/// Operations that are there for no person, and why.
const NO_COMMAND: &[(&str, &str)] = &[
    ("healthz", "asked by what supervises the portal"),
    ("keySet", "read by tenants' apps"),
    ("metrics", "read by Prometheus"),
    ("readyz", "asked by what stands before the portal"),
    ("refresh", "every command that needs it does it by itself"),
];

#[test]
fn every_operation_for_admins_has_a_command() {
    let commands: BTreeMap<_, _> = COMMANDS.iter().copied().collect();
    let without: BTreeMap<_, _> = NO_COMMAND.iter().copied().collect();
    assert_eq!(commands.len(), COMMANDS.len(), "an operation stands there twice");
    let mut known = BTreeSet::new();
    for operation in operations() {
        let id = operation.id();
        let of_machines = matches!(
            operation.access,
            Access::Other(Proof::Signature | Proof::ApiKey | Proof::Body)
        );
        let listed = commands.contains_key(&*id) || without.contains_key(&*id);
        assert!(
            listed != of_machines,
            "{id} ({}): write its command into COMMANDS, or why it has none into NO_COMMAND; what agents and apps ask stands in neither",
            operation.path
        );
        known.insert(id);
    }
    for id in commands.keys().chain(without.keys()) {
        assert!(known.contains(*id), "there is no operation {id} any more");
    }
}

#[test]
fn every_command_of_the_list_is_there() {
    for (id, path) in COMMANDS {
        let root = tree();
        let found = path.split(' ').try_fold(&root, |command, word| command.find_subcommand(word));
        assert!(found.is_some_and(|found| !found.has_subcommands()), "{id}: freehold {path}");
    }
}
