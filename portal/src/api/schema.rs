//! JSON Schemas of what the API takes as plain text and parses itself: words of closed lists, names, texts
//! with limits. Fields name them with `#[schemars(with = "…")]`. Limits and words are the very constants
//! that the parsers use.

use std::borrow::Cow;

use freehold_protocol::job::JobKind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::{
    DEFAULT_LIMIT, MAX_EVENTS_WAIT_SECS, MAX_LIMIT,
    blueprints::MAX_NOTE_BYTES,
    customers::{MAX_NOTES_BYTES, MAX_ORGANIZATION_CHARS},
    hosts::{MAX_LABEL_KEY_CHARS, MAX_LABEL_VALUE_BYTES, MAX_LABELS},
    ingest::{DEFAULT_LINES, MAX_PAGE_LINES, MAX_SEARCH_BYTES},
    jobs::MAX_REASON_BYTES,
    licenses::{MAX_EXPIRES_AT, MAX_REASON_CHARS},
    requests::MAX_TEXT_CHARS,
    tenants::MAX_NAME_CHARS,
    tokens::MAX_TOKEN_NAME_CHARS,
};
use crate::{
    app::role::Role,
    domain::{
        entitlement::{self, MAX_NAMES},
        ingest,
        job::JobState,
        license::{ExpiryStrategy, LicenseStatus},
        password,
        request::{DeploymentModel, RequestStatus},
        tenant::TenantStatus,
    },
};

/// One line without control characters and without spaces at its ends.
const LINE: &str = r"^[^\s\x00-\x1f\x7f-\x9f](?:[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$";
/// No control characters.
const PLAIN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// No control characters but line breaks and tabs.
const LINES: &str = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";

/// The same, and not blank.
const WRITTEN: &str =
    r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";

/// Declares types that exist only as schemas.
macro_rules! schemas {
    ($($(#[$about:meta])* $name:ident = $schema:tt;)+) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;
            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }
                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )+
    };
}

fn words<T>(all: &[T], word: impl Fn(&T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(word).collect()
}

schemas! {
    /// A role.
    RoleWord = { "type": "string", "enum": words(&Role::ALL, |word| word.as_str()) };
    /// A tenant's status.
    TenantStatusWord = { "type": "string", "enum": words(TenantStatus::ALL, |word| word.as_str()) };
    /// A job's state.
    JobStateWord = { "type": "string", "enum": words(JobState::ALL, |word| word.as_str()) };
    /// A job's kind.
    JobKindWord = { "type": "string", "enum": words(&JobKind::ALL, |word| word.as_str()) };
    /// A license's status.
    LicenseStatusWord = { "type": "string", "enum": words(LicenseStatus::ALL, |word| word.as_str()) };
    /// A request's status.
    RequestStatusWord = { "type": "string", "enum": words(RequestStatus::ALL, |word| word.as_str()) };
    /// How a tenant is set apart from others.
    DeploymentModelWord = { "type": "string", "enum": words(DeploymentModel::ALL, |word| word.as_str()) };
    /// What happens when a license's time is over.
    ExpiryStrategyWord = { "type": "string", "enum": words(ExpiryStrategy::ALL, |word| word.as_str()) };
    /// How grave a line is.
    Level = { "type": "string", "enum": words(&ingest::Level::ALL, |word| word.as_str()) };
    /// Which lines come first.
    LogOrder = { "type": "string", "enum": ["newest", "oldest"] };
    /// How usage is shown.
    UsageFormat = { "type": "string", "enum": ["json", "csv"] };
    /// What happens to a removed tenant's data.
    DataWord = { "type": "string", "enum": ["keep", "delete"] };
    /// Where a certificate comes from.
    CertificateWord = { "type": "string", "enum": ["acme", "installed"] };

    /// Entries of a page.
    Limit = { "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT };
    /// Lines of a page.
    LinesLimit = { "type": "integer", "minimum": 1, "maximum": MAX_PAGE_LINES, "default": DEFAULT_LINES };
    /// A place in a list, as an answer has named it.
    Cursor = { "type": "string", "description": "Opaque: only what an answer has named is taken." };
    /// A place in a job's events, as an answer has named it.
    EventsPlace = { "type": "string", "pattern": r"^(?:0|[1-9][0-9]{0,8})\.(?:0|[1-9][0-9]{0,17})$" };
    /// Number of an entry of the audit log.
    AuditPlace = { "type": "integer", "minimum": 0, "maximum": i64::MAX };
    /// How long to wait, in seconds.
    WaitSecs = { "type": "integer", "minimum": 0, "maximum": MAX_EVENTS_WAIT_SECS, "default": 0 };
    /// A moment.
    Moment = {
        "description": "RFC 3339, or milliseconds since 1970.",
        "oneOf": [{ "type": "string", "format": "date-time" }, { "type": "integer" }],
    };
    /// A day (UTC).
    Day = { "type": "string", "format": "date" };
    /// A text that is searched for.
    SearchText = { "type": "string", "maxLength": MAX_SEARCH_BYTES };
    /// Name of a metric.
    MetricText = { "type": "string", "maxLength": ingest::MAX_METRIC };

    /// A name as people write it.
    PersonText = { "type": "string", "pattern": LINE, "minLength": 1, "maxLength": MAX_NAME_CHARS };
    /// Why something was done, in one line.
    Reason = { "type": "string", "pattern": LINE, "minLength": 1, "maxLength": MAX_REASON_CHARS };
    /// Why a job is cancelled, in one line.
    CancelReason = { "type": "string", "pattern": PLAIN, "maxLength": MAX_REASON_BYTES };
    /// What is new in a release.
    NoteText = { "type": "string", "pattern": r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$", "maxLength": MAX_NOTE_BYTES };
    /// Notes about a customer.
    NotesText = { "type": "string", "pattern": LINES, "maxLength": MAX_NOTES_BYTES };
    /// Why something is wanted, or is turned down.
    WrittenText = { "type": "string", "pattern": WRITTEN, "minLength": 1, "maxLength": MAX_TEXT_CHARS };
    /// What there is to say to something.
    CommentText = { "type": "string", "pattern": LINES, "maxLength": MAX_TEXT_CHARS };
    /// What a customer's apps send as their organization.
    OrganizationId = {
        "type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": MAX_ORGANIZATION_CHARS,
    };
    /// The name of an API token.
    TokenName = {
        "type": "string", "pattern": "^[A-Za-z0-9_.@-]+$", "minLength": 1, "maxLength": MAX_TOKEN_NAME_CHARS,
    };
    /// An e-mail address, or nothing.
    EmailOrNothing = { "anyOf": [{ "$ref": "#/components/schemas/Email" }, { "type": "string", "maxLength": 0 }] };
    /// A password that is to be set.
    NewPassword = {
        "type": "string", "format": "password", "minLength": password::MIN_CHARS, "maxLength": password::MAX_CHARS,
    };
    /// When the time of a license is over, in milliseconds since 1970: in the future.
    ExpiresAt = { "type": "integer", "minimum": 1, "maximum": MAX_EXPIRES_AT };
    /// Labels of a host.
    Labels = {
        "type": "object", "maxProperties": MAX_LABELS,
        "propertyNames": { "pattern": "^[a-z0-9._/-]+$", "minLength": 1, "maxLength": MAX_LABEL_KEY_CHARS },
        "additionalProperties": { "type": "string", "pattern": PLAIN, "maxLength": MAX_LABEL_VALUE_BYTES },
    };
    /// Changes of a host's labels.
    LabelChanges = {
        "type": "object", "maxProperties": MAX_LABELS,
        "propertyNames": { "pattern": "^[a-z0-9._/-]+$", "minLength": 1, "maxLength": MAX_LABEL_KEY_CHARS },
        "additionalProperties": {
            "type": ["string", "null"], "pattern": PLAIN, "maxLength": MAX_LABEL_VALUE_BYTES,
        },
    };
    /// Names of products or features.
    Names = {
        "type": "array", "maxItems": MAX_NAMES, "uniqueItems": true, "items": (entitlement_name()),
    };
    /// Names of products; one at least.
    Products = {
        "type": "array", "minItems": 1, "maxItems": MAX_NAMES, "uniqueItems": true, "items": (entitlement_name()),
    };
    /// Limits by name.
    Limits = {
        "type": "object", "maxProperties": MAX_NAMES, "propertyNames": (entitlement_name()),
        "additionalProperties": { "type": "integer", "minimum": 0, "maximum": entitlement::MAX_LIMIT },
    };
    /// Changes of limits by name.
    LimitChanges = {
        "type": "object", "maxProperties": MAX_NAMES, "propertyNames": (entitlement_name()),
        "additionalProperties": {
            "type": ["integer", "null"], "minimum": 0, "maximum": entitlement::MAX_LIMIT,
        },
    };
    /// A key for `Idempotency-Key`.
    IdempotencyKey = {
        "type": "string", "pattern": "^[!#-~]+$", "minLength": 1, "maxLength": super::MAX_IDEMPOTENCY_KEY_BYTES,
    };
    /// A version for `If-Match`.
    IfMatchText = {
        "anyOf": [
            { "const": "*" },
            { "type": "string", "pattern": r#"^"(?:0|[1-9][0-9]{0,17})"$"# },
        ],
    };
}

/// The login of a user.
pub type LoginText = freehold_protocol::ids::Email;

fn entitlement_name() -> serde_json::Value {
    json!({
        "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9._-]*$",
        "minLength": 1, "maxLength": entitlement::MAX_NAME_CHARS,
    })
}
