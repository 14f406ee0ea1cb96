//! Defaults, file, environment and flags, laid over each other.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{Config, check::check};

/// Where the file is unless `--config` says otherwise. Only there may it be missing.
pub const DEFAULT_PATH: &str = "/etc/freehold/agent.toml";
/// Every variable that starts with it must be a known key.
pub const ENV_PREFIX: &str = "FREEHOLD_AGENT_";
/// Variables with the prefix that are not configuration keys: where the file is, and what
/// `run` passes to its children.
const OTHER_VARIABLES: &[&str] = &["CONFIG"];
/// The tables whose keys the operator chooses.
const OPEN_TABLES: &[&str] = &["programs", "ports"];
/// Largest configuration file that is read.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration {path:?} is not valid TOML: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        message: String,
    },
    /// A key is unknown or a value has the wrong type.
    #[error("{origin}: {message}")]
    Value {
        /// The file, variable or flag.
        origin: String,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl ConfigError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => {
                "check the path and its permissions, or give another with --config"
            }
            Self::Syntax { .. } => {
                "the commented example is in /usr/share/doc/freehold-agent/agent.toml"
            }
            Self::Value { .. } => {
                "every key is explained in /usr/share/doc/freehold-agent/agent.toml and docs/agent.md"
            }
        }
    }
}

/// Loads the configuration.
///
/// `path` is `--config` (`None`: the default path, which may be missing), `environment` every
/// variable of the process, `set` the `--set key=value` flags in order.
///
/// # Errors
/// See [`ConfigError`]; the message names the key and where it stands.
pub fn load(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    set: &[String],
) -> Result<Config, ConfigError> {
    let mut table = read_file(path)?;
    let file = path.unwrap_or(Path::new(DEFAULT_PATH)).display().to_string();
    // Judged alone first, so that a mistake in the file is told as one of the file.
    parse(table.clone(), &file)?;
    let keys = known_keys();
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
        if OTHER_VARIABLES.contains(&rest) {
            continue;
        }
        let key = key_of_variable(rest, &keys).ok_or_else(|| ConfigError::Value {
            origin: format!("environment variable {name}"),
            message: "no such setting".into(),
        })?;
        lay_over(&mut table, &key, &text, &keys, &format!("environment variable {name}"))?;
    }
    for flag in set {
        let origin = format!("--set {flag}");
        let (key, text) = flag.split_once('=').ok_or_else(|| ConfigError::Value {
            origin: origin.clone(),
            message: "write it as key=value, for example nginx.http_port=8080".into(),
        })?;
        lay_over(&mut table, key.trim(), text.trim(), &keys, &origin)?;
    }
    let config = parse(table, &file)?;
    check(&config).map_err(|message| ConfigError::Value { origin: file, message })?;
    Ok(config)
}

fn read_file(path: Option<&Path>) -> Result<Table, ConfigError> {
    let file = path.unwrap_or(Path::new(DEFAULT_PATH));
    let failed = |source| ConfigError::Read { path: file.to_owned(), source };
    let text = match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_none() => String::new(),
        Err(error) => return Err(failed(error)),
        Ok(data) if data.len() > MAX_FILE_BYTES => {
            return Err(failed(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes"))));
        }
        Ok(_) => fs::read_to_string(file).map_err(failed)?,
    };
    text.parse::<Table>().map_err(|error| ConfigError::Syntax {
        path: file.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

fn parse(table: Table, origin: &str) -> Result<Config, ConfigError> {
    table.try_into::<Config>().map_err(|error| ConfigError::Value {
        origin: origin.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

/// Every key with its default, as `section.key`.
fn known_keys() -> BTreeMap<String, Value> {
    let defaults = Table::try_from(Config::default()).expect("the defaults are TOML");
    let mut keys = BTreeMap::new();
    for (name, value) in defaults {
        match value {
            Value::Table(section) => {
                for (key, value) in section {
                    keys.insert(format!("{name}.{key}"), value);
                }
            }
            value => {
                keys.insert(name, value);
            }
        }
    }
    keys
}

/// `NGINX_HTTP_PORT` → `nginx.http_port`, and `PROGRAMS_DOCKER` → `programs.docker`.
fn key_of_variable(rest: &str, keys: &BTreeMap<String, Value>) -> Option<String> {
    let wanted = rest.to_ascii_lowercase();
    if let Some(key) = keys.keys().find(|key| key.replace('.', "_") == wanted) {
        return Some(key.clone());
    }
    OPEN_TABLES.iter().find_map(|table| {
        let entry = wanted.strip_prefix(table)?.strip_prefix('_')?;
        // Programs and roles are written with hyphens, which a variable's name cannot hold.
        (!entry.is_empty()).then(|| format!("{table}.{}", entry.replace('_', "-")))
    })
}

/// Puts one value given as text over the table, in the type that the key has.
fn lay_over(
    table: &mut Table,
    key: &str,
    text: &str,
    keys: &BTreeMap<String, Value>,
    origin: &str,
) -> Result<(), ConfigError> {
    let wrong = |message: String| ConfigError::Value { origin: origin.to_owned(), message };
    let open = key.split_once('.').filter(|(name, rest)| {
        OPEN_TABLES.contains(name) && !rest.is_empty() && !rest.contains('.')
    });
    let value = match (keys.get(key), open) {
        (Some(Value::Integer(_)), _) => Value::Integer(
            text.parse().map_err(|_| wrong(format!("\"{text}\" is not a whole number")))?,
        ),
        (Some(Value::Boolean(_)), _) => Value::Boolean(
            text.parse().map_err(|_| wrong(format!("\"{text}\" is not true or false")))?,
        ),
        (Some(Value::Array(_)), _) => Value::Array(
            text.split_whitespace().map(|word| Value::String(word.to_owned())).collect(),
        ),
        (Some(_), _) | (None, Some(_)) => Value::String(text.to_owned()),
        (None, None) => return Err(wrong(format!("there is no setting \"{key}\""))),
    };
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, name)) => {
            let section =
                table.entry(section).or_insert_with(|| Value::Table(Table::new())).as_table_mut();
            section
                .ok_or_else(|| wrong("the file holds a value where a section belongs".into()))?
                .insert(name.to_owned(), value);
        }
    }
    Ok(())
}
