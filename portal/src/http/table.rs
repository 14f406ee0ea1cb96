//! The table of routes: one row per operation, from which parsing, permissions and the OpenAPI document
//! come. A row that lacks a part does not compile.
//!
//! ```text
//! Get ["hosts", name] => GetHost(name: HostName), Read, "What there is", Spec::gives::<HostView>();
//! ```
//! method, address below the table's own, variant of the enum, what a caller must show, a line for people,
//! what is asked and answered.

use std::{fmt::Display, str::FromStr};

use freehold_protocol::ids::ParseIdError;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{route::RouteError, server::Method, spec::Spec};
use crate::app::role::Permission;

/// How callers of a table prove themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// By an API token or the access token of a session, whose role has this permission.
    Admin(Permission),
    /// Otherwise.
    Other(Proof),
}

/// What proves a caller who is no admin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: anybody may ask.
    Nothing,
    /// What the body says: a one-time token's proof.
    Body,
    /// The HTTP message signature of an agent.
    Signature,
    /// The API key of a tenant.
    ApiKey,
    /// That it asks from the portal's own machine; else an admin's token that may read.
    Machine,
}

impl From<Permission> for Access {
    fn from(permission: Permission) -> Self {
        Self::Admin(permission)
    }
}

impl From<Proof> for Access {
    fn from(proof: Proof) -> Self {
        Self::Other(proof)
    }
}

/// A variable part of an address.
#[derive(Debug, Clone, Copy)]
pub struct PathPart {
    /// Its name in the template.
    pub name: &'static str,
    /// What it is.
    pub shape: fn(&mut SchemaGenerator) -> Schema,
}

/// One row, as data.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The address, variable parts in braces.
    pub path: &'static str,
    /// The variant.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Who may.
    pub access: Access,
    /// The variable parts of the address.
    pub parts: &'static [PathPart],
    /// What is asked and answered.
    pub spec: Spec,
}

impl Operation {
    /// Its name as programs spell it: `listHosts`.
    #[must_use]
    pub fn id(&self) -> String {
        let (first, rest) = self.name.split_at(1);
        format!("{}{rest}", first.to_ascii_lowercase())
    }
}

/// The schema of a type.
pub fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A part of an address as the type that only parses. No name of ours has a character that an
/// address must encode, so that an encoded one is simply not a name.
pub(super) fn part<T: FromStr<Err = ParseIdError> + Display>(text: &str) -> Result<T, RouteError> {
    if text.is_empty() {
        return Err(RouteError::Unknown);
    }
    text.parse().map_err(RouteError::BadPart)
}

/// A segment of an address as it stands in a template.
macro_rules! segment {
    ($fixed:literal) => {
        $fixed
    };
    ($variable:ident) => {
        concat!("{", stringify!($variable), "}")
    };
}
pub(super) use segment;

/// Declares a table and the enum of its routes.
macro_rules! routes {
    (
        $(#[$about:meta])*
        pub enum $table:ident: $access:ident under $under:literal {
            $(
                $method:ident [$($segment:tt),+] => $variant:ident $(($($part:ident: $kind:ty),+))?,
                $who:ident, $summary:literal, $spec:expr;
            )+
        }
        $(with { $($inner:ident($inner_table:ty)),+ $(,)? })?
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $table {
            $(
                #[doc = concat!("`", stringify!($method), " ", $under $(, "/", $crate::http::table::segment!($segment))+, "`: ", $summary)]
                $variant $(($($kind),+))?,
            )+
            $($(
                #[doc = concat!("What [`", stringify!($inner_table), "`] has.")]
                $inner($inner_table),
            )+)?
        }

        impl $table {
            /// What a caller must be allowed to do, or show: the one table of permissions per route.
            #[must_use]
            pub const fn permission(&self) -> $access {
                match self {
                    $(Self::$variant { .. } => $access::$who,)+
                    $($(Self::$inner(route) => route.permission(),)+)?
                }
            }

            /// The address with its variable parts in braces.
            #[must_use]
            pub const fn template(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => concat!($under $(, "/", $crate::http::table::segment!($segment))+),)+
                    $($(Self::$inner(route) => route.template(),)+)?
                }
            }

            /// Finds a route by the segments below the table's address. Methods that the address has besides
            /// are added to `others`.
            pub(in crate::http) fn find(
                method: $crate::http::server::Method,
                segments: &[&str],
                others: &mut Vec<$crate::http::server::Method>,
            ) -> Result<Option<Self>, $crate::http::route::RouteError> {
                $(
                    if let [$($segment),+] = segments {
                        let route = Self::$variant $(($($crate::http::table::part($part)?),+))?;
                        if method == $crate::http::server::Method::$method {
                            return Ok(Some(route));
                        }
                        others.push($crate::http::server::Method::$method);
                    }
                )+
                $($(
                    if others.is_empty() && let Some(route) = <$inner_table>::find(method, segments, others)? {
                        return Ok(Some(Self::$inner(route)));
                    }
                )+)?
                Ok(None)
            }

            /// Every row.
            pub(in crate::http) fn operations(into: &mut Vec<$crate::http::table::Operation>) {
                $(into.push($crate::http::table::Operation {
                    method: $crate::http::server::Method::$method,
                    path: concat!($under $(, "/", $crate::http::table::segment!($segment))+),
                    name: stringify!($variant),
                    summary: $summary,
                    access: $access::$who.into(),
                    parts: &[$($($crate::http::table::PathPart {
                        name: stringify!($part),
                        shape: $crate::http::table::shape::<$kind>,
                    }),+)?],
                    spec: $spec,
                });)+
                $($(<$inner_table>::operations(into);)+)?
            }
        }
    };
}
pub(super) use routes;
