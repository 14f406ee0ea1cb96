//! Roles of users and API tokens, and what each may do: one table.

use std::{fmt, str::FromStr};

use freehold_protocol::ids::ParseIdError;

/// What a user or token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Looks at everything but users, tokens and the audit log.
    Viewer,
    /// Also publishes blueprints, creates tenants and queues work.
    Operator,
    /// Looks, and approves what others have asked for.
    Approver,
    /// Everything: hosts, users, tokens, keys, the audit log.
    Owner,
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Nobody need be known.
    Public,
    /// To look after oneself: who one is, the own password, the own settings.
    Oneself,
    /// To look.
    Read,
    /// To queue work and change tenants and blueprints.
    Operate,
    /// To approve what somebody else has asked for.
    Approve,
    /// To change who may do what: hosts, users, tokens, keys; to read the audit log.
    Own,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Owner];

    /// The spelling on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Owner => "owner",
        }
    }

    /// The table.
    #[must_use]
    pub const fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::Public | Permission::Oneself | Permission::Read => true,
            Permission::Operate => matches!(self, Self::Operator | Self::Owner),
            Permission::Approve => matches!(self, Self::Approver | Self::Owner),
            Permission::Own => matches!(self, Self::Owner),
        }
    }
}

impl Permission {
    /// The least roles that have it, for messages.
    #[must_use]
    pub const fn who(self) -> &'static str {
        match self {
            Self::Public | Self::Oneself | Self::Read => "any role",
            Self::Operate => "operator or owner",
            Self::Approve => "approver or owner",
            Self::Own => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| ParseIdError {
            what: "role",
            rule: "use viewer, operator, approver or owner",
            given: text.chars().take(80).collect::<String>().escape_debug().to_string(),
        })
    }
}
