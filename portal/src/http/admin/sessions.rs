//! `/api/v1/auth`: what is asked before it is known who asks.

use std::sync::Arc;

use freehold_protocol::secret::Secret;
use uuid::Uuid;

use super::users;
use crate::{
    api::users::{Login, RefreshToken, SessionTokens, SessionView},
    app::{
        password_hash::PasswordHasher,
        sessions::{self as app, Logout, NoteFailure, OpenSession, Opened, Refresh, Shown},
        users::parse_login,
    },
    db::{Db, sessions, sessions::SessionRow, users as db_users},
    domain::{
        ids::UserId,
        password::MAX_CHARS,
        session::{TokenKind, over_at},
    },
    error::{AppError, Kind},
    http::{
        input,
        login_guard::{LoginGuard, Try},
        respond::Answer,
        server::Request,
        throttle::{Throttle, network},
    },
    keys::PortalKeys,
};

/// Most bytes of a password that is looked at: so many characters of four bytes.
const MAX_PASSWORD_BYTES: usize = 4 * MAX_CHARS;

/// What these requests need of the portal.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Door<'r> {
    pub(in crate::http) db: &'r Db,
    pub(in crate::http) keys: &'r Arc<PortalKeys>,
    pub(in crate::http) hasher: &'r PasswordHasher,
    pub(in crate::http) guard: &'r LoginGuard,
    pub(in crate::http) throttle: &'r Throttle,
    pub(in crate::http) request: &'r Request,
}

/// A session; `is_current` says whether the caller has it.
pub(super) fn view(row: &SessionRow, is_current: bool) -> SessionView {
    SessionView {
        id: row.id,
        network: row.network.clone(),
        created_at: row.created_at,
        last_used_at: row.refreshed_at,
        idle_ends_at: over_at(row.refreshed_at, row.expires_at),
        expires_at: row.expires_at,
        current: is_current,
    }
}

fn answer(opened: &Opened) -> Result<Answer, AppError> {
    let tokens = SessionTokens {
        access_token: opened.access.expose().to_owned(),
        access_expires_at: opened.access_expires_at,
        refresh_token: opened.refresh.expose().to_owned(),
        refresh_expires_at: opened.refresh_expires_at,
        session: view(&opened.session, true),
        user: users::view(&opened.user),
    };
    Ok(Answer::ok(&tokens)?.secret())
}

impl Door<'_> {
    fn network(&self) -> String {
        network(self.request.peer).to_string()
    }

    /// `POST /auth/login`
    pub(in crate::http) fn login(&self) -> Result<Answer, AppError> {
        let Login { login, password } = input::body(self.request)?;
        let password = Secret::new(password);
        let network = self.network();
        // What is no address is nobody's login, and is answered like one that nobody has.
        let login = parse_login(&login).ok();
        let (user, is_known) = self.db.read(|read| {
            let user = match &login {
                Some(login) => db_users::by_login(read, login)?,
                None => None,
            };
            // Looked up for nobody, too: the same work whoever it is.
            let id = user.as_ref().map_or_else(|| UserId::from_uuid(Uuid::nil()), |user| user.id);
            Ok((user, sessions::knows_network(read, id, &network)?))
        })?;
        let key = login.as_ref().map_or("", |login| login.as_str());
        let attempt = self.guard.begin(key, self.request.peer, is_known, self.db.now())?;
        let is_right = if password.expose().len() > MAX_PASSWORD_BYTES {
            Ok(false)
        } else {
            self.hasher.is_password(&password, user.as_ref().map(|user| user.password.as_str()))
        };
        let is_right = is_right.inspect_err(|_| self.guard.undecided(&attempt))?;
        let opened = match user {
            Some(user) if is_right && user.disabled_at.is_none() => {
                self.guard.succeeded(&attempt);
                let renewed = PasswordHasher::is_outdated(&user.password)
                    .then(|| self.hasher.hash(&password))
                    .transpose()?;
                let shown = Shown { stored: user.password, renewed };
                let open = OpenSession { user: user.id, shown, network };
                let keys = Arc::clone(self.keys);
                self.db.write(move |tx| open.apply(tx, keys.master()))
            }
            user => {
                self.note(&attempt, user.map(|user| user.id), network)?;
                Err(app::login_failed())
            }
        }?;
        answer(&opened)
    }

    fn note(&self, attempt: &Try, user: Option<UserId>, network: String) -> Result<(), AppError> {
        let Try { failures, wait_secs, .. } = *attempt;
        tracing::warn!(%network, failures, known = user.is_some(), "a login failed");
        if !self.guard.is_audited(failures, self.db.now()) {
            return Ok(());
        }
        self.db.write(move |tx| NoteFailure { user, network, failures, wait_secs }.apply(tx))
    }

    /// The hash of the refresh token in the body; a text that is none costs no look at the database.
    fn refresh_token(&self) -> Result<String, AppError> {
        let RefreshToken { refresh_token } = input::body(self.request)?;
        if app::is_well_formed(TokenKind::Refresh, &refresh_token) {
            return Ok(app::hash(self.keys.master(), &refresh_token));
        }
        Err(self.counted(AppError::new(
            Kind::Unauthenticated,
            "refresh_malformed",
            "the refresh token is not whole: its checksum is wrong",
        )))
    }

    fn counted(&self, error: AppError) -> AppError {
        self.throttle.counted(error, self.request.peer, self.db.now())
    }

    /// `POST /auth/refresh`
    pub(in crate::http) fn refresh(&self) -> Result<Answer, AppError> {
        let refresh = Refresh { hash: self.refresh_token()?, network: self.network() };
        let keys = Arc::clone(self.keys);
        let opened = self.db.write(move |tx| refresh.apply(tx, keys.master()))?;
        answer(&opened.map_err(|error| self.counted(error))?)
    }

    /// `POST /auth/logout`
    pub(in crate::http) fn logout(&self) -> Result<Answer, AppError> {
        let logout = Logout { hash: self.refresh_token()? };
        self.db.write(move |tx| logout.apply(tx)).map_err(|error| self.counted(error))?;
        Ok(Answer::no_content())
    }
}
