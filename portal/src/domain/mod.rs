//! Rules without I/O: what may become what, and when.

pub mod audit;
pub mod capacity;
pub mod checkpoint;
pub mod disk;
pub mod entitlement;
pub mod ids;
pub mod ingest;
pub mod job;
pub mod license;
pub mod license_key;
pub mod lockout;
pub mod password;
pub mod person;
pub mod presence;
pub mod request;
pub mod session;
pub mod tenant;
pub mod validation;

/// Defines an enum whose members have one spelling in database, wire and pages.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }
        impl $name {
            /// Every member.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            /// The spelling in the database, on the wire and on pages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|member| member.as_str() == text).ok_or_else(|| {
                    let all: Vec<&str> = Self::ALL.iter().map(|member| member.as_str()).collect();
                    format!("{text:?} is not a {}: use one of {}", $what, all.join(", "))
                })
            }
        }
    };
}
pub(crate) use spelled;
