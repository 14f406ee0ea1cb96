//! The `x-freehold` section: what Freehold needs to know beyond Compose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::blueprint::names::{DatabaseName, RoleName, ServiceName, UrlPath, VarName};
use crate::ids::{PortRange, text_id};

/// What the `x-freehold` section says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Freehold {
    /// The host ports that the stack needs, by role.
    pub ports: BTreeMap<RoleName, PortSpec>,
    /// Which path of the tenant's domain goes to which port. The longest path wins.
    pub routes: Vec<Route>,
    /// Secrets that the host draws once per tenant and that never leave it.
    #[serde(default)]
    pub secrets: BTreeMap<VarName, SecretSpec>,
    /// Values that an admin may set per tenant.
    #[serde(default)]
    pub settings: BTreeMap<VarName, SettingSpec>,
    /// Commands of the product that Freehold runs at set moments.
    #[serde(default)]
    pub hooks: Hooks,
    /// The tenant's database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// Where the product says that it is healthy.
    pub health: HealthEndpoint,
    /// What the tenant needs of the host; capacity is planned with it.
    #[serde(default)]
    pub resources: Resources,
}

/// A host port, always on the loopback address, that leads to a container's port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PortSpec {
    /// The service behind it.
    pub service: ServiceName,
    /// The port that the service listens on inside its container.
    pub container_port: u16,
    /// Where on the host to look for a free one; absent for the roles of
    /// [`crate::blueprint::limits::default_range`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<PortRange>,
}

/// A path of the tenant's domain and the port that answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Route {
    /// The path and everything below it.
    pub path: UrlPath,
    /// The role of the port behind it.
    pub port: RoleName,
    /// Whether connections may be upgraded to WebSocket.
    #[serde(default)]
    pub websocket: bool,
}

/// A secret that the host draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretSpec {
    /// Characters, 16 to 128.
    #[serde(default = "SecretSpec::default_length")]
    pub length: u16,
    /// Which characters.
    #[serde(default)]
    pub alphabet: Alphabet,
}

impl SecretSpec {
    /// Forty alphanumeric characters carry 238 bits.
    const fn default_length() -> u16 {
        40
    }
}

impl Default for SecretSpec {
    fn default() -> Self {
        Self { length: Self::default_length(), alphabet: Alphabet::default() }
    }
}

/// The characters of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Alphabet {
    /// `A-Z a-z 0-9`: safe in URLs, shells and connection strings.
    #[default]
    Alphanumeric,
    /// `0-9 a-f`.
    Hex,
    /// `A-Z a-z 0-9 - _`.
    Base64Url,
}

impl Alphabet {
    /// The characters.
    #[must_use]
    pub const fn characters(self) -> &'static [u8] {
        match self {
            Self::Alphanumeric => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Self::Hex => b"0123456789abcdef",
            Self::Base64Url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        }
    }
}

/// A value that an admin may set per tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SettingSpec {
    /// What it must look like.
    #[serde(default)]
    pub kind: SettingKind,
    /// The value when the admin sets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether a tenant cannot be deployed without a value.
    #[serde(default)]
    pub required: bool,
}

/// What a setting's value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SettingKind {
    /// One line of text.
    #[default]
    Text,
    /// A whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// An absolute `http` or `https` address.
    Url,
}

/// Commands of the product that Freehold runs at set moments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Hooks {
    /// Brings the database's schema to this release. Runs before the product is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrate: Option<Hook>,
    /// Makes the tenant's first admin. Gets `{"email","name","password"}` as JSON on standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onboard: Option<Hook>,
}

impl Hooks {
    /// The hooks that are there, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Hook)> {
        [("migrate", &self.migrate), ("onboard", &self.onboard)]
            .into_iter()
            .filter_map(|(name, hook)| hook.as_ref().map(|hook| (name, hook)))
    }
}

/// A command inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Hook {
    /// The service whose image, environment and networks it uses.
    pub service: ServiceName,
    /// Program and arguments, without variables: the service's environment is there to be read.
    pub command: Vec<Argument>,
    /// In a container of its own, or in the one that runs.
    #[serde(default)]
    pub mode: HookMode,
    /// How long it may take.
    #[serde(default = "Hook::default_timeout_secs")]
    pub timeout_seconds: u32,
}

impl Hook {
    /// How long a hook may take that names no time, in seconds.
    pub const DEFAULT_TIMEOUT_SECS: u32 = 300;

    const fn default_timeout_secs() -> u32 {
        Self::DEFAULT_TIMEOUT_SECS
    }
}

/// Where a hook's command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HookMode {
    /// `docker compose run --rm`: a container of its own that is removed afterwards. The command
    /// follows the image's entrypoint.
    #[default]
    Run,
    /// `docker compose exec`: inside the running container.
    Exec,
}

/// One literal argument of a command: one line of at most 4 KiB, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Argument(String);
text_id!(Argument);

impl std::str::FromStr for Argument {
    type Err = crate::ids::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() <= 4096 && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(crate::ids::ParseIdError::new(
                "command argument",
                "use one line of at most 4096 bytes without control characters",
                text,
            ))
        }
    }
}

/// The tenant's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Database {
    /// The service that runs it.
    pub service: ServiceName,
    /// Which kind: it says how to dump and restore.
    pub kind: DatabaseKind,
    /// The role that owns the data.
    pub user: DatabaseName,
    /// The database inside the server.
    pub database: DatabaseName,
    /// A command that succeeds when the server answers; `pg_isready` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_command: Option<Vec<Argument>>,
}

/// The kinds of database that Freehold can dump and restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DatabaseKind {
    /// PostgreSQL, with its client programs in the image.
    Postgres,
}

/// Where the product says that it is healthy: a 2xx answer to GET.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HealthEndpoint {
    /// The role of the port to ask.
    pub port: RoleName,
    /// The path to get.
    pub path: UrlPath,
}

/// What a tenant needs of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Resources {
    /// Memory in MiB. The services' limits together stay within it.
    #[serde(default = "Resources::default_memory_mb")]
    pub memory_mb: u32,
    /// Thousandths of a processor.
    #[serde(default = "Resources::default_cpu_millis")]
    pub cpu_millis: u32,
    /// Disk in GiB.
    #[serde(default = "Resources::default_disk_gb")]
    pub disk_gb: u32,
}

impl Resources {
    const fn default_memory_mb() -> u32 {
        4096
    }
    const fn default_cpu_millis() -> u32 {
        1000
    }
    const fn default_disk_gb() -> u32 {
        20
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            memory_mb: Self::default_memory_mb(),
            cpu_millis: Self::default_cpu_millis(),
            disk_gb: Self::default_disk_gb(),
        }
    }
}
