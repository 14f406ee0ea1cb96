//! Routes of hosts, blueprints, tenants, jobs, tokens and the portal itself (docs/api.md).

use freehold_protocol::ids::{BlueprintName, HostName, JobId, TenantSlug, TokenId};

use super::{
    account_route::AccountRoute,
    licensing_route::LicensingRoute,
    request_route::RequestRoute,
    route::ReleaseNumber,
    spec::{Param, Spec},
    table::routes,
};
use crate::{
    api::{
        Page,
        audit::{AuditRow, Checkpoint},
        blueprints::{
            BlueprintDetail, BlueprintView, PublishBlueprint, ReleaseDetail, ReleaseView,
        },
        hosts::{
            CreateEnrollmentToken, CreateHost, EnrollmentTokenCreated, HostPorts, HostView,
            RevokeHost, UpdateHost,
        },
        ingest::{LogPage, UsageDay},
        jobs::{CancelJob, JobEvents, JobView},
        keys::{KeysView, RotateKeys},
        schema::{
            AuditPlace, Cursor, Day, EventsPlace, JobKindWord, JobStateWord, Level, Limit,
            LinesLimit, LogOrder, MetricText, Moment, SearchText, TenantStatusWord, UsageFormat,
            WaitSecs,
        },
        tenants::{
            CreateTenant, Credentials, DeployTenant, RemoveTenant, TenantCreated, TenantView,
            UpdateTenant,
        },
        tokens::{CreateToken, TokenCreated, TokenView, VersionInfo},
    },
    app::role::Permission,
};

const OF_TENANTS: &[Param] = &[
    Param::new::<TenantStatusWord>(
        "status",
        "Only those with this status; removed ones are shown with `removed` only.",
    ),
    Param::new::<HostName>("host", "Only those of this host."),
    Param::new::<BlueprintName>("blueprint", "Only those of this blueprint."),
];
const OF_JOBS: &[Param] = &[
    Param::new::<JobStateWord>("state", "Only those in this state."),
    Param::new::<HostName>("host", "Only those of this host."),
    Param::new::<TenantSlug>("tenant", "Only those of this tenant."),
    Param::new::<JobKindWord>("kind", "Only those of this kind."),
];
const OF_EVENTS: &[Param] = &[
    Param::new::<EventsPlace>("after", "The `next` of the answer before."),
    Param::new::<WaitSecs>("waitSeconds", "How long to wait for news."),
];
const OF_LOGS: &[Param] = &[
    Param::new::<Moment>("from", "Not older."),
    Param::new::<Moment>("to", "Older than this."),
    Param::new::<Level>("level", "At least this grave."),
    Param::new::<SearchText>("text", "In message, context, user or address, in any case."),
    Param::new::<LogOrder>("order", "Which come first."),
    Param::new::<LinesLimit>("limit", "Lines of a page."),
    Param::new::<Cursor>("cursor", "The `next` of the page before."),
    Param::new::<Cursor>(
        "after",
        "The `tail` of an answer: what has arrived since. Not with `cursor` or `order`.",
    ),
];
const OF_USAGE: &[Param] = &[
    Param::new::<Day>("from", "The first day."),
    Param::new::<Day>("to", "The last day."),
    Param::new::<MetricText>("metric", "Only this metric."),
    Param::new::<UsageFormat>("format", "`csv` for all of it as a table."),
];
const OF_AUDIT: &[Param] = &[
    Param::new::<AuditPlace>("after", "Number of the last entry that is known."),
    Param::new::<Limit>("limit", "Entries of a page."),
];

routes! {
    /// The admin API.
    pub enum AdminRoute: Permission under "/api/v1" {
        Get ["version"] => Version, Public, "What runs", Spec::gives::<VersionInfo>();
        Get ["hosts"] => ListHosts, Read, "Hosts by name", Spec::lists::<HostView>();
        Post ["hosts"] => CreateHost, Own, "Adds a host",
            Spec::makes::<HostView>().asks::<CreateHost>().etag().location();
        Get ["hosts", name] => GetHost(name: HostName), Read, "A host", Spec::gives::<HostView>().etag();
        Patch ["hosts", name] => UpdateHost(name: HostName), Own, "Changes labels and tenant limit",
            Spec::changes::<HostView>().asks::<UpdateHost>();
        Delete ["hosts", name] => DeleteHost(name: HostName), Own, "Removes a host that has no tenants",
            Spec::done().may_match().refuses(&[409]);
        Post ["hosts", name, "enrollment-tokens"] => CreateEnrollmentToken(name: HostName), Own,
            "Makes the one-time token for `freehold-agent enroll`",
            Spec::makes::<EnrollmentTokenCreated>().may_ask::<CreateEnrollmentToken>();
        Post ["hosts", name, "resume"] => ResumeHost(name: HostName), Own,
            "Ends a conflict after the portal was restored",
            Spec::gives::<HostView>().etag().refuses(&[409]);
        Post ["hosts", name, "revoke"] => RevokeHost(name: HostName), Own, "Gives up a host that never returns",
            Spec::gives::<HostView>().may_ask::<RevokeHost>().etag().refuses(&[409]);
        Post ["hosts", name, "drain"] => DrainHost(name: HostName), Operate, "Gives the host no new jobs",
            Spec::gives::<HostView>().etag();
        Post ["hosts", name, "undrain"] => UndrainHost(name: HostName), Operate, "Gives the host jobs again",
            Spec::gives::<HostView>().etag();
        Post ["hosts", name, "probe"] => ProbeHost(name: HostName), Operate, "Queues a probe of the host",
            Spec::queues::<JobView>();
        Get ["hosts", name, "ports"] => HostPorts(name: HostName), Read,
            "Ports reserved on the host, from its last inventory", Spec::gives::<HostPorts>();
        Get ["blueprints"] => ListBlueprints, Read, "Blueprints by name", Spec::lists::<BlueprintView>();
        Post ["blueprints"] => PublishBlueprint, Operate, "Publishes a release; 200 when the newest is the same",
            Spec::makes::<ReleaseView>().asks::<PublishBlueprint>().or_there().location();
        Get ["blueprints", name] => GetBlueprint(name: BlueprintName), Read, "A blueprint with its releases",
            Spec::gives::<BlueprintDetail>();
        Get ["blueprints", name, "releases", number] => GetRelease(name: BlueprintName, number: ReleaseNumber),
            Read, "Source and model of a release", Spec::gives::<ReleaseDetail>();
        Get ["tenants"] => ListTenants, Read, "Tenants by age", Spec::lists::<TenantView>().query(OF_TENANTS);
        Post ["tenants"] => CreateTenant, Operate, "Adds a tenant, and deploys it if asked",
            Spec::makes::<TenantCreated>().asks::<CreateTenant>().etag().location();
        Get ["tenants", slug] => GetTenant(slug: TenantSlug), Read, "A tenant", Spec::gives::<TenantView>().etag();
        Patch ["tenants", slug] => UpdateTenant(slug: TenantSlug), Operate,
            "Changes a tenant; its host sees it at the next deployment",
            Spec::changes::<TenantView>().asks::<UpdateTenant>();
        Delete ["tenants", slug] => DeleteTenant(slug: TenantSlug), Operate,
            "Forgets a tenant of which nothing is on its host", Spec::done().may_match().refuses(&[409]);
        Post ["tenants", slug, "deploy"] => DeployTenant(slug: TenantSlug), Operate, "Queues a deployment",
            Spec::queues::<JobView>().may_ask::<DeployTenant>();
        Post ["tenants", slug, "remove"] => RemoveTenant(slug: TenantSlug), Operate, "Queues a removal",
            Spec::queues::<JobView>().asks::<RemoveTenant>();
        Post ["tenants", slug, "check"] => CheckTenant(slug: TenantSlug), Operate, "Queues a look at the tenant",
            Spec::queues::<JobView>();
        Post ["tenants", slug, "credentials"] => RevealCredentials(slug: TenantSlug), Operate,
            "Shows the first admin's temporary password, once", Spec::gives::<Credentials>().refuses(&[410]);
        Get ["tenants", slug, "logs"] => TenantLogs(slug: TenantSlug), Read, "Lines of the tenant's app",
            Spec::gives::<LogPage>().query(OF_LOGS);
        Get ["tenants", slug, "usage"] => TenantUsage(slug: TenantSlug), Read, "Usage per day",
            Spec::lists::<UsageDay>().query(OF_USAGE).or_csv();
        Get ["jobs"] => ListJobs, Read, "Jobs, newest first", Spec::lists::<JobView>().query(OF_JOBS);
        Get ["jobs", id] => GetJob(id: JobId), Read, "A job with steps, attempts, failure and result",
            Spec::gives::<JobView>().etag();
        Delete ["jobs", id] => DeleteJob(id: JobId), Operate, "Deletes a job at rest",
            Spec::done().refuses(&[409]);
        Get ["jobs", id, "events"] => JobEvents(id: JobId), Read, "What happened, and waits for news",
            Spec::gives::<JobEvents>().query(OF_EVENTS);
        Post ["jobs", id, "cancel"] => CancelJob(id: JobId), Operate, "Stops a job and undoes it",
            Spec::queues::<JobView>().may_ask::<CancelJob>();
        Post ["jobs", id, "retry"] => RetryJob(id: JobId), Operate, "Queues a job at rest again",
            Spec::queues::<JobView>();
        Post ["jobs", id, "resume"] => ResumeJob(id: JobId), Operate, "Tries the undo of a stuck job again",
            Spec::queues::<JobView>();
        Get ["tokens"] => ListTokens, Own, "API tokens, without their secrets", Spec::lists::<TokenView>();
        Post ["tokens"] => CreateToken, Own, "Makes an API token, shown this once",
            Spec::makes::<TokenCreated>().asks::<CreateToken>();
        Delete ["tokens", id] => RevokeToken(id: TokenId), Own, "Revokes an API token",
            Spec::done().refuses(&[409]);
        Get ["keys"] => Keys, Read, "Trust document and fingerprints", Spec::gives::<KeysView>();
        Post ["keys", "rotate"] => RotateKeys, Own, "Draws a new job key",
            Spec::gives::<KeysView>().asks::<RotateKeys>().refuses(&[409]);
        Get ["audit"] => Audit, Own, "The audit log, oldest first",
            Spec::gives::<Page<AuditRow>>().query(OF_AUDIT);
        Get ["audit", "checkpoints"] => AuditCheckpoints, Own,
            "What vouches for the audit log besides itself, newest first",
            Spec::lists::<Checkpoint>();
    }
    with { Licensing(LicensingRoute), Account(AccountRoute), Requests(RequestRoute) }
}
