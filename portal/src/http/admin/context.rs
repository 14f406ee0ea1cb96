//! What a handler works with. The database is behind it: whatever a handler reads or writes, the caller's
//! limits are checked in the same transaction.

use std::sync::Arc;

use freehold_protocol::{ids::TenantId, time::Timestamp};

use crate::{
    api::IDEMPOTENCY_KEEP_SECS,
    app::{
        keyed_hash::{self, Keyed},
        password_hash::PasswordHasher,
        queue_job::JobRules,
    },
    db::{Db, Read, Tx, idempotency},
    error::{AppError, Kind},
    http::{
        auth::Caller,
        input,
        login_guard::LoginGuard,
        respond::{self, Answer},
        scope::{self, Guard},
        server::Request,
    },
    ingest::Ingest,
    keys::{KeyRing, PortalKeys},
};

/// Most kept answers that one request sweeps away.
const SWEEP: u32 = 100;

/// What a handler works with.
#[derive(Debug)]
pub(in crate::http) struct Context<'r> {
    db: &'r Db,
    guard: Guard,
    /// What apps have sent. It is read by tenant, after [`Context::read`] has found the tenant.
    pub(super) ingest: &'r Ingest,
    pub(super) ring: &'r KeyRing,
    pub(super) keys: Arc<PortalKeys>,
    pub(super) url: &'r str,
    pub(super) rules: JobRules,
    /// Whether somebody else than who asked must approve.
    pub(super) four_eyes: bool,
    pub(super) hasher: &'r PasswordHasher,
    pub(super) guard_of_logins: &'r LoginGuard,
    pub(super) caller: &'r Caller,
    pub(super) request: &'r Request,
}

/// What of the portal a handler may use without asking who wants it.
#[derive(Debug)]
pub(in crate::http) struct Parts<'r> {
    pub(in crate::http) ingest: &'r Ingest,
    pub(in crate::http) ring: &'r KeyRing,
    pub(in crate::http) keys: Arc<PortalKeys>,
    pub(in crate::http) url: &'r str,
    pub(in crate::http) rules: JobRules,
    pub(in crate::http) four_eyes: bool,
    pub(in crate::http) hasher: &'r PasswordHasher,
    pub(in crate::http) guard_of_logins: &'r LoginGuard,
}

impl<'r> Context<'r> {
    /// For a caller who may do what was asked, as far as the limits of `guard` go.
    ///
    /// # Errors
    /// 403 or 404 beyond those limits.
    pub(in crate::http) fn new(
        db: &'r Db,
        guard: Guard,
        parts: Parts<'r>,
        caller: &'r Caller,
        request: &'r Request,
    ) -> Result<Self, AppError> {
        // Before a word of the request is read, so that nothing is told of what is not the caller's.
        if guard.tenant().is_some() {
            db.read(|read| guard.check(read))?;
        }
        let Parts { ingest, ring, keys, url, rules, four_eyes, hasher, guard_of_logins } = parts;
        Ok(Self {
            db,
            guard,
            ingest,
            ring,
            keys,
            url,
            rules,
            four_eyes,
            hasher,
            guard_of_logins,
            caller,
            request,
        })
    }

    pub(super) fn actor(&self) -> String {
        self.caller.actor()
    }

    /// The time now.
    pub(super) fn now(&self) -> Timestamp {
        self.db.now()
    }

    /// The one tenant that lists may show.
    pub(super) const fn tenant(&self) -> Option<TenantId> {
        self.guard.tenant()
    }

    /// Reads within the caller's limits.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Read<'_>) -> Result<T, AppError>,
    ) -> Result<T, AppError> {
        self.db.read(|view| {
            self.guard.check(view)?;
            read(view)
        })
    }

    /// Writes within the caller's limits.
    pub(super) fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Tx<'_>) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        let guard = self.guard.clone();
        self.db.write(move |tx| {
            guard.check(tx)?;
            write(tx)
        })
    }

    /// The database itself, for what is more than one transaction and no tenant's.
    ///
    /// # Errors
    /// 403 for a caller who is limited to a tenant.
    pub(super) fn whole_portal(&self) -> Result<&'r Db, AppError> {
        match self.guard.tenant() {
            None => Ok(self.db),
            Some(_) => Err(scope::beyond_tenant()),
        }
    }

    /// Runs a creation. With an `Idempotency-Key`, its answer is kept in the same transaction, and
    /// a repeat gets that answer without doing anything.
    pub(super) fn create(
        &self,
        create: impl FnOnce(&Tx<'_>) -> Result<Answer, AppError> + Send + 'static,
    ) -> Result<Answer, AppError> {
        let Some(key) = input::idempotency_key(&self.request.head)? else {
            return self.write(create);
        };
        let head = &self.request.head;
        let mut asked = format!("{} {}\n", head.method(), head.path()).into_bytes();
        asked.extend_from_slice(&self.request.body);
        // Keyed: a body may hold a password, which could be guessed from a plain digest.
        let keyed = Keyed::new(self.keys.master(), "freehold/v1/idempotency-hmac");
        let digest = keyed_hash::hex(&keyed.hash(&asked));
        let caller = self.caller.id();
        self.write(move |tx| {
            idempotency::purge(tx, IDEMPOTENCY_KEEP_SECS, SWEEP)?;
            if let Some(kept) = idempotency::get(tx, &caller, &key)? {
                return repeat(&kept, &digest);
            }
            let answer = create(tx)?;
            idempotency::put(tx, &caller, &key, &kept(&answer, digest)?)?;
            Ok(answer)
        })
    }
}

fn kept(answer: &Answer, request_digest: String) -> Result<idempotency::Kept, AppError> {
    let headers = serde_json::json!({
        "generation": answer.generation,
        "location": answer.location,
        "secret": answer.secret,
        "empty": answer.body.is_none(),
    });
    let body = if answer.secret { String::new() } else { answer.body.clone().unwrap_or_default() };
    Ok(idempotency::Kept {
        request_digest,
        status: answer.status,
        headers: serde_json::to_string(&headers)?,
        body,
    })
}

fn repeat(kept: &idempotency::Kept, digest: &str) -> Result<Answer, AppError> {
    if kept.request_digest != digest {
        return Err(AppError::new(
            Kind::Invalid,
            "idempotency_key_reused",
            "this Idempotency-Key was used for another request",
        )
        .advice("use a fresh key for every intention, and the same key only to repeat it"));
    }
    let headers: serde_json::Value = serde_json::from_str(&kept.headers)?;
    let is = |name: &str| headers[name].as_bool() == Some(true);
    if is("secret") {
        return Err(AppError::conflict(
            "already_created",
            "this request was done already; its answer held a secret, which is not kept",
        )
        .advice("revoke what it has made and create it anew with a fresh Idempotency-Key"));
    }
    Ok(Answer {
        status: kept.status,
        body: (!is("empty")).then(|| kept.body.clone()),
        generation: headers["generation"].as_u64(),
        location: headers["location"].as_str().map(str::to_owned),
        secret: false,
        media: respond::JSON,
    })
}
