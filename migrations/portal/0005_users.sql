-- Users and their sessions; tokens and users that are limited to one tenant.

CREATE TABLE users (
    id            TEXT NOT NULL PRIMARY KEY,
    -- An e-mail address in lower case.
    login         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'owner')),
    -- The one tenant that the user may see; NULL for the whole portal. No foreign key: whoever was limited
    -- to a tenant that is gone sees nothing, and never everything.
    tenant_id     TEXT CHECK (tenant_id IS NULL OR role <> 'owner'),
    -- Argon2id as a PHC string.
    password      TEXT NOT NULL,
    password_at   INTEGER NOT NULL,
    -- Somebody else has chosen the password: nothing else may be done before it is changed.
    password_due  INTEGER NOT NULL CHECK (password_due IN (0, 1)),
    disabled_at   INTEGER,
    settings      TEXT NOT NULL DEFAULT '{}',
    last_login_at INTEGER,
    generation    INTEGER NOT NULL DEFAULT 1,
    created_by    TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    id           TEXT NOT NULL PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Where it was opened: an IPv4 address, or the /64 of an IPv6 address.
    network      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    -- It ends then however often it is refreshed.
    expires_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    ended_why    TEXT CHECK ((ended_why IS NULL) = (ended_at IS NULL))
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_by_age ON sessions (refreshed_at);

-- A session has many tokens in its time: an access token for each quarter of an hour, and a chain of refresh
-- tokens of which each is good for one use. Spent ones stay, so that a second use is recognized.
CREATE TABLE session_tokens (
    -- HMAC-SHA256 of the token under a subkey of the master key, lower-case hex.
    hash       TEXT NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at   INTEGER
) STRICT;
CREATE INDEX session_tokens_by_session ON session_tokens (session_id, kind, created_at);

ALTER TABLE api_tokens ADD COLUMN tenant_id TEXT CHECK (tenant_id IS NULL OR role <> 'owner');

-- A caller is a token or a user, so that there is no one table to refer to.
CREATE TABLE idempotency_keys_new (
    -- Identifier of the token or user.
    caller         TEXT NOT NULL,
    key            TEXT NOT NULL,
    -- Keyed digest of method, path and body: the key may not be used again for another request.
    request_digest TEXT NOT NULL,
    status         INTEGER NOT NULL,
    headers        TEXT NOT NULL DEFAULT '{}',
    body           TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT;
-- Digests were not keyed before: what is repeated across the upgrade is refused, and never done twice.
INSERT INTO idempotency_keys_new SELECT token_id, key, request_digest, status, headers, body, created_at FROM idempotency_keys;
DROP TABLE idempotency_keys;
ALTER TABLE idempotency_keys_new RENAME TO idempotency_keys;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
