-- Plans, customers, licenses and the API keys of tenants.
--
-- Portable like version 1: texts, BIGINT milliseconds, JSON as text. Sets of names are sorted JSON arrays. Whatever
-- license validation depends on is counted in meta.licensing_generation, in the same transaction as the change.

CREATE TABLE plans (
    name            TEXT NOT NULL PRIMARY KEY,
    title           TEXT NOT NULL,
    products        TEXT NOT NULL,
    features        TEXT NOT NULL DEFAULT '[]',
    limits          TEXT NOT NULL DEFAULT '{}',
    -- NULL: as many as they like.
    max_users       INTEGER CHECK (max_users IS NULL OR max_users > 0),
    max_api_keys    INTEGER NOT NULL CHECK (max_api_keys BETWEEN 1 AND 100),
    -- What a tenant's blueprint may want of its host; NULL: whatever it wants.
    memory_mb       INTEGER CHECK (memory_mb IS NULL OR memory_mb > 0),
    cpu_millis      INTEGER CHECK (cpu_millis IS NULL OR cpu_millis > 0),
    disk_gb         INTEGER CHECK (disk_gb IS NULL OR disk_gb > 0),
    expiry_strategy TEXT NOT NULL CHECK (expiry_strategy IN ('restrict', 'grace', 'allow')),
    grace_days      INTEGER NOT NULL DEFAULT 0 CHECK (grace_days BETWEEN 0 AND 365),
    -- Takes no new licenses; those that it has go on.
    archived_at     INTEGER,
    generation      INTEGER NOT NULL DEFAULT 1,
    created_by      TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE customers (
    id              TEXT NOT NULL PRIMARY KEY,
    name            TEXT NOT NULL,
    email           TEXT,
    -- What the customer's apps send as organizationId.
    organization_id TEXT NOT NULL UNIQUE,
    notes           TEXT NOT NULL DEFAULT '',
    generation      INTEGER NOT NULL DEFAULT 1,
    created_by      TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE licenses (
    id                TEXT NOT NULL PRIMARY KEY,
    customer_id       TEXT NOT NULL REFERENCES customers (id),
    plan              TEXT NOT NULL REFERENCES plans (name),
    -- HMAC-SHA256 of the key under a subkey of the master key, lower-case hex; and the key itself under the master key.
    key_hash          TEXT NOT NULL UNIQUE,
    key_sealed        BLOB NOT NULL,
    key_hint          TEXT NOT NULL,
    -- How it differs from its plan, as domain::entitlement::Overrides writes it.
    overrides         TEXT NOT NULL DEFAULT '{}',
    status            TEXT NOT NULL CHECK (status IN
        ('pending_deployment', 'active', 'suspended', 'expired', 'revoked')),
    -- Since when it has this status, and why if somebody said so.
    status_at         INTEGER NOT NULL,
    status_reason     TEXT NOT NULL DEFAULT '',
    expires_at        INTEGER,
    activated_at      INTEGER,
    last_validated_at INTEGER,
    generation        INTEGER NOT NULL DEFAULT 1,
    created_by        TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL
) STRICT;
CREATE INDEX licenses_by_customer ON licenses (customer_id, id);
CREATE INDEX licenses_by_plan ON licenses (plan, id);
CREATE INDEX licenses_by_end ON licenses (status, expires_at);

ALTER TABLE tenants ADD COLUMN license_id TEXT REFERENCES licenses (id);
CREATE INDEX tenants_by_license ON tenants (license_id, id);

CREATE TABLE tenant_keys (
    id           TEXT NOT NULL PRIMARY KEY,
    tenant_id    TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- HMAC-SHA256 of the key under a subkey of the master key, lower-case hex.
    hash         TEXT NOT NULL UNIQUE,
    prefix       TEXT NOT NULL,
    last4        TEXT NOT NULL,
    -- The key that this one was made to replace.
    replaces     TEXT,
    created_by   TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    -- Set when it is replaced: until then both are good.
    valid_until  INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE INDEX tenant_keys_by_tenant ON tenant_keys (tenant_id, id);
