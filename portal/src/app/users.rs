//! What owners want of users.

use freehold_protocol::ids::{Email, ParseIdError, TenantSlug};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    changed::Changed,
    check_generation,
    owners::{self, Loses},
    role::Role,
    tenant_input::Fields,
    tokens::limit,
};
use crate::{
    api::users::{self as wire, MAX_USERS},
    db::{
        Read, Tx,
        audit::{self, Entry},
        sessions,
        users::{self, UserRow},
    },
    domain::{ids::UserId, session::Ending},
    error::{AppError, Kind},
};

/// A login as it is stored: capital letters count as small ones.
///
/// # Errors
/// What is no e-mail address.
pub fn parse_login(text: &str) -> Result<Email, ParseIdError> {
    text.parse::<Email>()?.as_str().to_ascii_lowercase().parse()
}

/// The user with an identifier.
///
/// # Errors
/// When there is none.
pub fn find(read: &Read<'_>, id: UserId) -> Result<UserRow, AppError> {
    users::by_id(read, id)?.ok_or_else(|| AppError::not_found("user", id))
}

/// Writes down what was done to a user.
pub(super) fn record(
    tx: &Tx<'_>,
    actor: &str,
    action: &str,
    user: &UserRow,
    more: &[(&str, Value)],
) -> Result<(), AppError> {
    let mut detail = Map::new();
    detail.insert("login".to_owned(), json!(user.login));
    detail.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let (object_id, detail) = (&user.id.to_string(), Value::Object(detail));
    audit::append(tx, &Entry { actor, action, object_kind: "user", object_id, detail })
}

/// Writes down an update of a user.
pub(super) fn record_update(
    tx: &Tx<'_>,
    actor: &str,
    before: &UserRow,
    after: &UserRow,
) -> Result<(), AppError> {
    let state = |user: &UserRow| {
        json!({
            "login": user.login,
            "name": user.name,
            "role": user.role.as_str(),
            "tenant": user.tenant,
        })
    };
    let changed = Changed::between(&state(before), &state(after)).fields();
    record(tx, actor, "user.update", after, &[("changed", changed)])
}

/// Refuses that an enabled owner ceases to be one when nobody else is.
fn refuse_if_last_owner(tx: &Tx<'_>, user: &UserRow) -> Result<(), AppError> {
    if user.role == Role::Owner && user.disabled_at.is_none() {
        owners::refuse_to_lose_last(tx, Loses::User(user.id))?;
    }
    Ok(())
}

/// A password that was hashed before the transaction, which must not wait for it.
#[derive(Clone)]
pub struct Hashed {
    /// The PHC string.
    pub hash: String,
    /// Whether it must be changed at the next login.
    pub due: bool,
}

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hashed(due: {})", self.due)
    }
}

/// What a new user is to be, as far as it can be told without the database.
#[derive(Debug)]
pub struct NewUser {
    /// Its login.
    pub login: Email,
    name: String,
    role: Role,
    tenant: Option<TenantSlug>,
}

impl NewUser {
    /// Reads it.
    ///
    /// # Errors
    /// Every wrong field at once.
    pub fn parse(request: &wire::CreateUser) -> Result<Self, AppError> {
        let mut fields = Fields::default();
        let login = parse_login(&request.login)
            .map_err(|error| fields.refuse("/login", error.to_string()))
            .ok();
        if let Some(name) = &request.name {
            fields.person_text("/name", name);
        }
        let role = fields.parse::<Role>("/role", &request.role);
        let tenant = fields.parse_optional("/tenant", request.tenant.as_deref());
        if request.keep_password && request.password.is_none() {
            fields.refuse("/keepPassword", "it goes with a password");
        }
        fields.done()?;
        let (Some(login), Some(role)) = (login, role) else {
            return Err(AppError::bug("a refused field was not noted"));
        };
        let name = request.name.clone().unwrap_or_else(|| login.to_string());
        Ok(Self { login, name, role, tenant })
    }
}

/// An owner wants a new user.
#[derive(Debug)]
pub struct CreateUser {
    /// What it is to be.
    pub user: NewUser,
    /// Its first password.
    pub password: Hashed,
    /// Who asks.
    pub actor: String,
}

impl CreateUser {
    /// Writes it down.
    ///
    /// # Errors
    /// A taken login, an unknown tenant, or too many users.
    pub fn apply(self, tx: &Tx<'_>) -> Result<UserRow, AppError> {
        let NewUser { login, name, role, tenant } = self.user;
        if users::count(tx)? >= MAX_USERS {
            return Err(AppError::conflict(
                "too_many_users",
                format!("there are {MAX_USERS} users, which is the most there may be"),
            )
            .advice("remove users that are not needed"));
        }
        let id = UserId::from_uuid(Uuid::now_v7());
        let user = UserRow {
            id,
            login,
            name,
            role,
            tenant: limit(tx, role, tenant.as_ref())?,
            tenant_slug: tenant,
            password: self.password.hash,
            password_at: tx.now(),
            password_due: self.password.due,
            disabled_at: None,
            settings: Map::new(),
            last_login_at: None,
            generation: 1,
            created_by: self.actor.clone(),
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        users::insert(tx, &user)?;
        let more = [("role", json!(role.as_str())), ("tenant", json!(user.tenant))];
        record(tx, &self.actor, "user.create", &user, &more)?;
        Ok(user)
    }
}

/// An owner wants a user changed.
#[derive(Debug)]
pub struct UpdateUser {
    /// Which.
    pub id: UserId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// As it was written.
    pub request: wire::UpdateUser,
    /// The user that asks, when it is one and no token.
    pub by: Option<UserId>,
    /// Who asks.
    pub actor: String,
}

impl UpdateUser {
    /// Changes it; a new role or limit holds from the next request on.
    ///
    /// # Errors
    /// Wrong fields, 412, a taken login, the own role, or the last owner.
    pub fn apply(self, tx: &Tx<'_>) -> Result<UserRow, AppError> {
        let before = find(tx, self.id)?;
        check_generation(self.generation, before.generation)?;
        let mut user = before.clone();
        let mut fields = Fields::default();
        if let Some(text) = &self.request.login {
            match parse_login(text) {
                Ok(login) => user.login = login,
                Err(error) => fields.refuse("/login", error.to_string()),
            }
        }
        if let Some(name) = self.request.name {
            fields.person_text("/name", &name);
            user.name = name;
        }
        if let Some(role) = fields.parse_optional("/role", self.request.role.as_deref()) {
            user.role = role;
        }
        match &self.request.tenant {
            None => {}
            Some(None) => (user.tenant, user.tenant_slug) = (None, None),
            Some(Some(text)) => user.tenant_slug = fields.parse("/tenant", text),
        }
        fields.done()?;
        if matches!(self.request.tenant, Some(Some(_))) {
            user.tenant = limit(tx, user.role, user.tenant_slug.as_ref())?;
        } else if user.tenant.is_some() && user.role == Role::Owner {
            return Err(AppError::invalid(
                "/role",
                "an owner looks after the whole portal: send \"tenant\": null with it",
            ));
        }
        let other_reach = (user.role, user.tenant) != (before.role, before.tenant);
        if other_reach && self.by == Some(user.id) {
            return Err(AppError::new(
                Kind::Forbidden,
                "own_role",
                "nobody changes their own role or limit",
            )
            .advice("ask another owner"));
        }
        if other_reach && user.role != Role::Owner {
            refuse_if_last_owner(tx, &before)?;
        }
        users::update(tx, &user)?;
        record_update(tx, &self.actor, &before, &user)?;
        find(tx, self.id)
    }
}

/// Whether a user may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may not, and all its sessions end.
    Disabled,
    /// It may.
    Enabled,
}

/// An owner wants a user disabled or enabled again.
#[derive(Debug)]
pub struct SetAccess {
    /// Which.
    pub id: UserId,
    /// To what.
    pub to: Access,
    /// Who asks.
    pub actor: String,
}

impl SetAccess {
    /// Does so. What is so already is left as it is.
    ///
    /// # Errors
    /// The last owner.
    pub fn apply(self, tx: &Tx<'_>) -> Result<UserRow, AppError> {
        let mut user = find(tx, self.id)?;
        match (self.to, user.disabled_at) {
            (Access::Disabled, None) => disable(tx, &mut user, &self.actor, &[])?,
            (Access::Enabled, Some(_)) => {
                user.disabled_at = None;
                users::update(tx, &user)?;
                record(tx, &self.actor, "user.enable", &user, &[])?;
            }
            (Access::Disabled, Some(_)) | (Access::Enabled, None) => {}
        }
        find(tx, self.id)
    }
}

fn disable(
    tx: &Tx<'_>,
    user: &mut UserRow,
    actor: &str,
    more: &[(&str, Value)],
) -> Result<(), AppError> {
    refuse_if_last_owner(tx, user)?;
    user.disabled_at = Some(tx.now());
    users::update(tx, user)?;
    let ended = sessions::end_of_user(tx, user.id, None, Ending::Disabled)?;
    let mut all = vec![("sessionsEnded", json!(ended))];
    all.extend_from_slice(more);
    record(tx, actor, "user.disable", user, &all)
}

/// Disables the users that were limited to a tenant which is going.
///
/// # Errors
/// When the database fails.
pub(super) fn disable_of_tenant(
    tx: &Tx<'_>,
    tenant: freehold_protocol::ids::TenantId,
    actor: &str,
) -> Result<(), AppError> {
    for mut user in users::of_tenant(tx, tenant)? {
        disable(tx, &mut user, actor, &[("why", json!("its tenant was forgotten"))])?;
    }
    Ok(())
}

/// An owner gives a user a new password, because the old one is lost or known to others.
#[derive(Debug)]
pub struct ResetPassword {
    /// Whose.
    pub id: UserId,
    /// The new one.
    pub password: Hashed,
    /// Who asks.
    pub actor: String,
}

impl ResetPassword {
    /// Sets it; all sessions of the user end.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn apply(self, tx: &Tx<'_>) -> Result<UserRow, AppError> {
        let user = find(tx, self.id)?;
        users::set_password(tx, user.id, &user.password, &self.password.hash, self.password.due)?;
        let ended = sessions::end_of_user(tx, user.id, None, Ending::Reset)?;
        record(tx, &self.actor, "user.reset_password", &user, &[("sessionsEnded", json!(ended))])?;
        find(tx, self.id)
    }
}

/// An owner wants a user gone.
#[derive(Debug)]
pub struct DeleteUser {
    /// Which.
    pub id: UserId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// Who asks.
    pub actor: String,
}

impl DeleteUser {
    /// Deletes it with its sessions; the audit log keeps what it has done.
    ///
    /// # Errors
    /// 412, or the last owner.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let user = find(tx, self.id)?;
        check_generation(self.generation, user.generation)?;
        refuse_if_last_owner(tx, &user)?;
        users::delete(tx, user.id)?;
        record(tx, &self.actor, "user.delete", &user, &[("role", json!(user.role.as_str()))])
    }
}
