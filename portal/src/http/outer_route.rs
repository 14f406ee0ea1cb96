//! Routes of those who are no admins: agents (docs/agent-protocol.md), tenants' apps (docs/licenses.md and
//! docs/tenant-apps.md), and whoever watches over the portal.

use freehold_protocol::{
    dsse::Envelope,
    ids::JobId,
    wire::{
        EnrollAnswer, EnrollRequest, EventsAnswer, EventsRequest, Inventory, PollAnswer,
        PollRequest, ReportRequest,
    },
};

use super::{
    spec::Spec,
    table::{Proof, routes},
};
use crate::api::{
    ingest::{BatchAnswer, HealthAnswer},
    outer::{HealthReport, KeySet, LogBatch, Question, UsageBatch, Verdict},
};
use crate::metrics;

routes! {
    /// What watches over the portal, and the description of the API.
    pub enum PortalRoute: Proof under "" {
        Get ["healthz"] => Healthz, Nothing, "The process answers", Spec::text("text/plain; charset=utf-8");
        Get ["readyz"] => Readyz, Nothing, "It can do its work: the database takes writes",
            Spec::text("text/plain; charset=utf-8").refuses(&[429, 503]);
        Get ["metrics"] => Metrics, Machine, "Figures for Prometheus", Spec::text(metrics::CONTENT_TYPE);
        Get ["api", "v1", "openapi.json"] => OpenApi, Nothing, "This document",
            Spec::gives::<serde_json::Map<String, serde_json::Value>>();
    }
}

routes! {
    /// The agent API. Every call is idempotent.
    pub enum AgentRoute: Proof under "/api/v1" {
        Get ["trust"] => Trust, Nothing, "The trust documents, oldest first", Spec::gives::<Vec<Envelope>>();
        Post ["agent", "enroll"] => Enroll, Body, "Enrolls an agent with its one-time token",
            Spec::gives::<EnrollAnswer>().asks::<EnrollRequest>().refuses(&[409, 410]);
        Post ["agent", "poll"] => Poll, Signature, "Asks for work, and waits for it",
            Spec::gives::<PollAnswer>().asks::<PollRequest>();
        Post ["agent", "inventory"] => Inventory, Signature, "Tells what the host is and holds",
            Spec::done().asks::<Inventory>();
        Post ["agent", "jobs", id, "events"] => Events(id: JobId), Signature, "Tells what happened while a job ran",
            Spec::gives::<EventsAnswer>().asks::<EventsRequest>();
        Post ["agent", "jobs", id, "report"] => Report(id: JobId), Signature, "Tells how a job ended",
            Spec::done().asks::<ReportRequest>().refuses(&[409]);
    }
}

routes! {
    /// What tenants' apps call.
    pub enum TenantRoute: Proof under "" {
        Post ["api", "v1", "licenses", "validate"] => Validate, ApiKey, "May this tenant do that?",
            Spec::gives::<Verdict>().asks::<Question>();
        Post ["api", "v1", "tenant-logs"] => Logs, ApiKey, "Takes lines of a log",
            Spec::gives::<BatchAnswer>().takes_batch::<LogBatch>().idempotent().refuses(&[409]);
        Post ["api", "v1", "usage"] => Usage, ApiKey, "Takes values of metrics",
            Spec::gives::<BatchAnswer>().takes_batch::<UsageBatch>().idempotent().refuses(&[409]);
        Post ["api", "v1", "tenant-health"] => Health, ApiKey, "Takes how the app is",
            Spec::gives::<HealthAnswer>().asks::<HealthReport>();
        Get [".well-known", "jwks.json"] => KeySet, Nothing, "The keys that leases are verified with",
            Spec::gives::<KeySet>();
    }
}
