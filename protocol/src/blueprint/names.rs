//! Names inside a blueprint. Like the ones of [`crate::ids`], they exist only in valid form.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{ParseIdError, text_id};

/// First characters of variable names that steer compose, the engine or a process, so that a
/// blueprint may not declare them: a `.env` with `COMPOSE_FILE` would replace the whole stack.
const RESERVED_PREFIXES: &[&str] =
    &["FREEHOLD_", "COMPOSE_", "DOCKER_", "BUILDKIT_", "BUILDX_", "LD_", "LC_", "XDG_"];

/// Variables that every process has anyway: compose prefers them to the `.env` beside the stack.
const RESERVED_VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "OLDPWD",
    "LANG",
    "TERM",
    "TZ",
    "TMPDIR",
    "MAIL",
    "HOSTNAME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

fn is_label(text: &str, max: usize, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    (1..=max).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || inner.contains(b))
}

/// Defines a newtype over `String` that a predicate guards.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        text_id!($name);
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let ok: fn(&str) -> bool = $ok;
                if ok(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(ParseIdError::new($what, $rule, text))
                }
            }
        }
    };
}

name!(
    /// A service of the stack. It is also the service's DNS name inside the tenant's networks.
    ServiceName,
    "service name",
    "use 1 to 40 of a-z, 0-9, hyphen and underscore, starting with a letter, for example backend",
    |text| is_label(text, 40, b"-_")
);
name!(
    /// A named volume of the stack.
    VolumeName,
    "volume name",
    "use 1 to 40 of a-z, 0-9, hyphen and underscore, starting with a letter, for example db-data",
    |text| is_label(text, 40, b"-_")
);
name!(
    /// What a host port is for, such as `backend`, `frontend` or `redis-http`.
    RoleName,
    "port role",
    "use 1 to 30 of a-z, 0-9 and hyphen, starting with a letter, for example backend",
    |text| is_label(text, 30, b"-")
);
name!(
    /// The host name that a container sees of itself.
    ContainerHostname,
    "container host name",
    "use 1 to 40 of a-z, 0-9 and hyphen, starting with a letter, for example backend",
    |text| is_label(text, 40, b"-")
);
name!(
    /// The name of an environment variable inside a container.
    EnvName,
    "environment variable name",
    "use 1 to 128 of A-Z, a-z, 0-9 and underscore, not starting with a digit, for example PGHOST",
    |text| {
        (1..=128).contains(&text.len())
            && !text.as_bytes()[0].is_ascii_digit()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }
);
name!(
    /// The version that an author gives to a blueprint, for people to read.
    ReleaseVersion,
    "version",
    "use 1 to 64 of A-Z, a-z, 0-9, dot, plus, underscore and hyphen, for example 1.4.2",
    |text| {
        (1..=64).contains(&text.len())
            && text.as_bytes()[0].is_ascii_alphanumeric()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
    }
);
name!(
    /// A name inside the tenant's database: a role or a database.
    DatabaseName,
    "database name",
    "use 1 to 63 of a-z, 0-9 and underscore, starting with a letter, for example app",
    |text| {
        (1..=63).contains(&text.len())
            && text.as_bytes()[0].is_ascii_lowercase()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    }
);
name!(
    /// An absolute path inside a container: where a volume is mounted or a process works.
    ///
    /// The kernel's own file systems are excluded, and so is the root.
    ContainerPath,
    "path inside a container",
    "use an absolute path of plain segments outside /proc, /sys and /dev, for example /var/lib/app",
    |text| {
        text.len() <= 255
            && text.len() > 1
            && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment_ok))
            && !["/proc", "/sys", "/dev"].iter().any(|root| {
                text.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }
);
name!(
    /// A path of a URL, such as `/api`. Safe to stand in an nginx `location` as it is.
    UrlPath,
    "URL path",
    "use an absolute path of A-Z, a-z, 0-9 and ._~- without query, for example /api",
    |text| {
        text.len() <= 200
            && text.strip_prefix('/').is_some_and(|rest| {
                rest.is_empty() || rest.strip_suffix('/').unwrap_or(rest).split('/').all(url_segment_ok)
            })
    }
);
name!(
    /// The user that a container runs as: a number, or user and group as `1000:1000`. Never root.
    ///
    /// Names are resolved by files inside the image, so `app` could be root; numbers cannot.
    UserSpec,
    "container user",
    "use a numeric id from 1 to 65534, optionally with a group, for example 1000 or 1000:1000; leave `user` out to run as the image says",
    |text| {
        let id = |part: &str| {
            part.bytes().all(|b| b.is_ascii_digit())
                && !part.starts_with('0')
                && part.parse::<u32>().is_ok_and(|n| (1..=65_534).contains(&n))
        };
        text.split_once(':').map_or_else(|| id(text), |(user, group)| id(user) && id(group))
    }
);

fn segment_ok(segment: &str) -> bool {
    !segment.is_empty()
        && segment != "."
        && segment != ".."
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+@-".contains(&b))
}

fn url_segment_ok(segment: &str) -> bool {
    !segment.is_empty()
        && segment != "."
        && segment != ".."
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
}

/// A variable that a blueprint may use in a value: a secret, a setting or a fact of Freehold.
///
/// The name also stands in the tenant's `.env`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VarName(String);
text_id!(VarName);

impl VarName {
    /// The fact that holds the host port of a role: `FREEHOLD_PORT_REDIS_HTTP` for `redis-http`.
    #[must_use]
    pub fn of_port(role: &RoleName) -> Self {
        Self(format!("FREEHOLD_PORT_{}", role.as_str().replace('-', "_").to_ascii_uppercase()))
    }

    /// Whether the name belongs to Freehold, so that a blueprint may use but not declare it.
    #[must_use]
    pub fn is_fact(&self) -> bool {
        self.0.starts_with("FREEHOLD_")
    }

    /// Whether a blueprint may declare a secret or setting of this name.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        RESERVED_VARIABLES.contains(&self.0.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| self.0.starts_with(prefix))
    }

    pub(crate) fn fact(name: &'static str) -> Self {
        Self(name.to_owned())
    }
}

impl FromStr for VarName {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bytes = text.as_bytes();
        if (1..=64).contains(&bytes.len())
            && bytes[0].is_ascii_uppercase()
            && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseIdError::new(
                "variable name",
                "use 1 to 64 of A-Z, 0-9 and underscore, starting with a letter, for example JWT_SECRET",
                text,
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_ok<T: FromStr<Err = ParseIdError>>(texts: &[&str]) {
        for text in texts {
            if let Err(error) = text.parse::<T>() {
                panic!("{error}");
            }
        }
    }

    fn none_ok<T: FromStr<Err = ParseIdError>>(texts: &[&str]) {
        for text in texts {
            assert!(text.parse::<T>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn names_good_and_bad() {
        all_ok::<ServiceName>(&["db", "a", "redis-http", "my_db"]);
        none_ok::<ServiceName>(&["", "-a", "a-", "A", "1a", "a.b", "a b", "a\n", &"a".repeat(41)]);
        all_ok::<ContainerPath>(&["/data", "/var/lib/postgresql/data", "/a.b/c_d", "/process"]);
        none_ok::<ContainerPath>(&[
            "", "/", "data", "./data", "/a/../b", "/a//b", "/a/", "/proc", "/proc/1", "/sys/x",
            "/dev", "/a:b", "/a b", "/$HOME",
        ]);
        all_ok::<UrlPath>(&["/", "/api", "/api/", "/api/v1/health", "/a.b-c_d~e"]);
        none_ok::<UrlPath>(&[
            "", "api", "//", "/a//b", "/a/../b", "/a b", "/a;", "/a{", "/a?b", "/$x", "/\n",
        ]);
        all_ok::<UserSpec>(&["1000", "1000:1000", "70"]);
        none_ok::<UserSpec>(&[
            "", "0", "root", "0:0", "1000:0", "00", "01", "65535", "1:", ":1", "1:2:3", "+1",
        ]);
        all_ok::<EnvName>(&["PATH", "_x", "a1"]);
        none_ok::<EnvName>(&["", "1A", "A-B", "A=B", "A B", "Ä"]);
    }

    #[test]
    fn variables_know_who_owns_them() {
        none_ok::<VarName>(&["", "a", "1A", "A-B", "Ab", "_A", "A$"]);
        let var = |text: &str| text.parse::<VarName>().unwrap();
        for text in ["FREEHOLD_X", "COMPOSE_FILE", "DOCKER_HOST", "PATH", "LD_PRELOAD"] {
            assert!(var(text).is_reserved(), "{text}");
        }
        assert!(!var("PGPASSWORD").is_reserved());
        let role: RoleName = "redis-http".parse().unwrap();
        assert_eq!(VarName::of_port(&role).as_str(), "FREEHOLD_PORT_REDIS_HTTP");
    }
}
