//! Method and path → one value of a closed enum. Pure: no body, no database, no clock.
//!
//! Everything that can be asked of the portal over HTTP is a row of one of the tables that are joined here.
//! A path with the wrong method is told which methods it has.

use std::{borrow::Cow, fmt, str::FromStr};

use freehold_protocol::ids::ParseIdError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

pub use super::{
    admin_route::AdminRoute,
    outer_route::{AgentRoute, PortalRoute, TenantRoute},
};
use super::{server::Method, table::Operation};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Something of the portal as a process.
    Portal(PortalRoute),
    /// Something of the agent API.
    Agent(AgentRoute),
    /// Something of the admin API.
    Admin(AdminRoute),
    /// Something that tenants' apps call.
    Tenant(TenantRoute),
}

impl Route {
    /// The address with its variable parts in braces.
    #[must_use]
    pub const fn template(&self) -> &'static str {
        match self {
            Self::Portal(route) => route.template(),
            Self::Agent(route) => route.template(),
            Self::Admin(route) => route.template(),
            Self::Tenant(route) => route.template(),
        }
    }
}

/// Addresses that existing apps call, and where the rest of the API has them.
pub const ALIASES: [(&str, &str); 2] = [
    ("/api/licenses/validate", "/api/v1/licenses/validate"),
    ("/api/tenant-logs", "/api/v1/tenant-logs"),
];

/// The number of a blueprint's release, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseNumber(pub u32);

impl fmt::Display for ReleaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReleaseNumber {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let number = text.parse::<u32>().ok().filter(|n| *n > 0 && n.to_string() == text);
        number
            .map(Self)
            .ok_or_else(|| ParseIdError::new("release number", "use a whole number from 1", text))
    }
}

impl JsonSchema for ReleaseNumber {
    fn schema_name() -> Cow<'static, str> {
        "ReleaseNumber".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

/// Why there is no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteError {
    /// No such address.
    Unknown,
    /// A part of the address is not what it should be, so that there can be no such thing.
    BadPart(ParseIdError),
    /// The address has other methods.
    Method {
        /// Which.
        allowed: Vec<Method>,
    },
}

/// Finds the route of a request. HEAD is asked like GET.
///
/// # Errors
/// See [`RouteError`].
pub fn parse(method: Method, path: &str) -> Result<Route, RouteError> {
    let path = ALIASES.iter().find(|(alias, _)| *alias == path).map_or(path, |(_, meant)| meant);
    let segments: Vec<&str> =
        path.strip_prefix('/').ok_or(RouteError::Unknown)?.split('/').collect();
    let wanted = if method == Method::Head { Method::Get } else { method };
    let mut others = Vec::new();
    // An address stands in one table alone. What is asked most is looked for first.
    if let Some(route) = TenantRoute::find(wanted, &segments, &mut others)? {
        return Ok(Route::Tenant(route));
    }
    if others.is_empty()
        && let ["api", "v1", below @ ..] = &*segments
    {
        if let Some(route) = AgentRoute::find(wanted, below, &mut others)? {
            return Ok(Route::Agent(route));
        }
        if others.is_empty()
            && let Some(route) = AdminRoute::find(wanted, below, &mut others)?
        {
            return Ok(Route::Admin(route));
        }
    }
    if others.is_empty()
        && let Some(route) = PortalRoute::find(wanted, &segments, &mut others)?
    {
        return Ok(Route::Portal(route));
    }
    if others.is_empty() {
        return Err(RouteError::Unknown);
    }
    if others.contains(&Method::Get) {
        others.push(Method::Head);
    }
    Err(RouteError::Method { allowed: others })
}

/// Every operation of every table.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    PortalRoute::operations(&mut all);
    AdminRoute::operations(&mut all);
    TenantRoute::operations(&mut all);
    AgentRoute::operations(&mut all);
    all
}

#[cfg(test)]
#[path = "route_tests.rs"]
pub(super) mod tests;
