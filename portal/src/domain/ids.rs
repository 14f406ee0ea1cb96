//! Identifiers that agents never see.

use freehold_protocol::uuid_id;

uuid_id!(
    /// A customer.
    CustomerId,
    "customer id"
);
uuid_id!(
    /// A license. Its key is something else, and a secret.
    LicenseId,
    "license id"
);
uuid_id!(
    /// The public name of a tenant's API key (never the key itself).
    TenantKeyId,
    "tenant key id"
);
uuid_id!(
    /// Somebody who logs in with a password.
    UserId,
    "user id"
);
uuid_id!(
    /// What one login has begun: a chain of refresh tokens and the access tokens that they gave.
    SessionId,
    "session id"
);
