//! What a job brings for the tenant's app: the values of [`Delivered`] variables, sealed for one host,
//! one job and one attempt. It stands beside the work: the work is what was asked for and approved, and
//! is the same at every attempt; this is drawn anew each time that a job is handed out.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    blueprint::{
        Blueprint,
        delivered::{Delivered, Need},
        values::check_env_value,
    },
    ids::{AgentId, JobId, PortalId, Sha256Digest, TenantId},
    keys::SealPublicKey,
    seal::{self, SealContext, SealError, SealKey},
    secret::Secret,
};

/// Longest sealed text, in bytes: all values at their longest, as JSON, sealed, in base64, and some.
pub const MAX_SEALED_ENV_BYTES: usize = 40 * 1024;

/// The values for one tenant's app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppEnv(BTreeMap<Delivered, Secret>);

/// An [`AppEnv`] that only one host can open, for one attempt of one job.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealedEnv(String);

/// What a [`SealedEnv`] is bound to. Under any other it does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvContext {
    /// The portal that sealed it.
    pub portal: PortalId,
    /// The agent that may open it.
    pub agent: AgentId,
    /// The tenant whose app it is for.
    pub tenant: TenantId,
    /// The job that brings it.
    pub job: JobId,
    /// The attempt.
    pub attempt: u32,
}

/// Why values were not sealed, opened or taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppEnvError {
    /// The sealed text is too long.
    #[error("the sealed values have {bytes} bytes, and {MAX_SEALED_ENV_BYTES} is the limit")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Sealing or opening did not work.
    #[error(
        "the sealed values do not open with this key for this portal, agent, tenant, job and attempt"
    )]
    Seal(#[from] SealError),
    /// What was sealed is not a set of delivered variables.
    #[error("what was sealed is not a set of variables that are known here")]
    Malformed,
    /// The blueprint needs a value that is not there.
    #[error("the blueprint needs {0}, and it has no value")]
    Missing(Delivered),
    /// A value for a variable that the blueprint does not use.
    #[error("the blueprint does not use {0}, and a value was sent for it")]
    Unused(Delivered),
    /// A value that no `.env` can carry.
    #[error("the value of {name} {why}")]
    Value {
        /// The variable.
        name: Delivered,
        /// What is wrong with it; never the value itself.
        why: &'static str,
    },
}

/// By what a report says which API key a job has brought: a digest of it, bound to the job so that no two
/// reports show that they are about the same key. The key itself is random enough not to be guessed from it.
#[must_use]
pub fn key_mark(job: JobId, key: &Secret) -> Sha256Digest {
    let text = Secret::new(format!("freehold tenant key of job {job}\n{}", key.expose()));
    Sha256Digest::of(text.expose().as_bytes())
}

impl AppEnv {
    /// The mark of the API key among the values, when there is one.
    #[must_use]
    pub fn key_mark(&self, job: JobId) -> Option<Sha256Digest> {
        self.0.get(&Delivered::TenantKey).map(|key| key_mark(job, key))
    }

    /// Sets a value.
    pub fn set(&mut self, name: Delivered, value: Secret) {
        self.0.insert(name, value);
    }

    /// The values.
    #[must_use]
    pub const fn values(&self) -> &BTreeMap<Delivered, Secret> {
        &self.0
    }

    /// Whether there is no value at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that the values are what a blueprint needs, and no more.
    ///
    /// # Errors
    /// The first that is missing, unused or not fit for a `.env`.
    pub fn check(&self, blueprint: &Blueprint) -> Result<(), AppEnvError> {
        let used = blueprint.delivered();
        for (name, need) in &used {
            if *need == Need::Required && !self.0.contains_key(name) {
                return Err(AppEnvError::Missing(*name));
            }
        }
        for (name, value) in &self.0 {
            if !used.contains_key(name) {
                return Err(AppEnvError::Unused(*name));
            }
            if value.expose().is_empty() {
                return Err(AppEnvError::Missing(*name));
            }
            check_env_value(value.expose())
                .map_err(|why| AppEnvError::Value { name: *name, why })?;
        }
        Ok(())
    }

    /// The values as JSON, for the host's 0600 file and for sealing.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        let plain: BTreeMap<Delivered, &str> =
            self.0.iter().map(|(name, value)| (*name, value.expose())).collect();
        // A map of texts under texts is always JSON.
        Secret::new(serde_json::to_string(&plain).unwrap_or_default())
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`AppEnvError::Malformed`]; the parser's own message could quote a value.
    pub fn from_json(json: &[u8]) -> Result<Self, AppEnvError> {
        let plain: BTreeMap<Delivered, String> =
            serde_json::from_slice(json).map_err(|_| AppEnvError::Malformed)?;
        Ok(Self(plain.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()))
    }

    /// Seals the values.
    ///
    /// # Errors
    /// When the key is not usable, or the values are too long together.
    pub fn seal(&self, to: &SealPublicKey, context: EnvContext) -> Result<SealedEnv, AppEnvError> {
        seal::seal(to, &context.into(), &self.to_json())?.try_into()
    }
}

impl SealedEnv {
    /// Opens the values.
    ///
    /// # Errors
    /// When they were sealed for another key or context, or are not what they should be.
    pub fn open(&self, key: &SealKey, context: EnvContext) -> Result<AppEnv, AppEnvError> {
        let json = key.open(&context.into(), &self.0)?;
        AppEnv::from_json(json.expose().as_bytes())
    }
}

impl From<EnvContext> for SealContext {
    fn from(context: EnvContext) -> Self {
        let EnvContext { portal, agent, tenant, job, attempt } = context;
        Self::AppEnv { portal, agent, tenant, job, attempt }
    }
}

impl TryFrom<String> for SealedEnv {
    type Error = AppEnvError;
    fn try_from(text: String) -> Result<Self, AppEnvError> {
        if text.len() > MAX_SEALED_ENV_BYTES {
            return Err(AppEnvError::TooLong { bytes: text.len() });
        }
        Ok(Self(text))
    }
}

impl From<SealedEnv> for String {
    fn from(sealed: SealedEnv) -> Self {
        sealed.0
    }
}

impl fmt::Debug for SealedEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedEnv({} bytes)", self.0.len())
    }
}
