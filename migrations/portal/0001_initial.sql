-- The portal's database, version 1.
--
-- Written so that PostgreSQL takes it after INTEGER is read as BIGINT and STRICT is dropped: identifiers are texts
-- (UUID version 7, so they sort by age), times are milliseconds since 1970, JSON is text, nothing leans on rowid or
-- AUTOINCREMENT. Every state is spelled in a CHECK; every change of state names the old state in its WHERE.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Append-only. `hash` covers the row and the hash before it, so that a row cannot be changed or taken out unseen.
CREATE TABLE audit (
    n           INTEGER NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    action      TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    detail      TEXT NOT NULL,
    prev_hash   TEXT NOT NULL,
    hash        TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_object ON audit (object_kind, object_id, n);

CREATE TABLE hosts (
    id           TEXT NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    state        TEXT NOT NULL CHECK (state IN ('new', 'enrolled', 'conflict')),
    labels       TEXT NOT NULL DEFAULT '{}',
    tenant_limit INTEGER CHECK (tenant_limit IS NULL OR tenant_limit > 0),
    port_ranges  TEXT NOT NULL DEFAULT '{}',
    drained      INTEGER NOT NULL DEFAULT 0 CHECK (drained IN (0, 1)),
    agent_id     TEXT REFERENCES agents (id),
    generation   INTEGER NOT NULL DEFAULT 1,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;

-- A new enrollment of a host draws a new agent; the old row stays, revoked.
CREATE TABLE agents (
    id             TEXT NOT NULL PRIMARY KEY,
    host_id        TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    identity_key   TEXT NOT NULL,
    report_key     TEXT NOT NULL,
    seal_key       TEXT NOT NULL,
    version        TEXT NOT NULL,
    -- The chain as the portal signed it.
    head_epoch     INTEGER NOT NULL,
    head_seq       INTEGER NOT NULL,
    head_hash      TEXT NOT NULL,
    -- The chain as the executor last said that it has it.
    acked_epoch    INTEGER NOT NULL,
    acked_seq      INTEGER NOT NULL,
    trust_version  INTEGER NOT NULL,
    last_seen_at   INTEGER,
    -- When the next poll should have come.
    expected_at    INTEGER,
    clock_skew_ms  INTEGER NOT NULL DEFAULT 0,
    draining       INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1)),
    -- What the agent showed when its chain went beyond ours; taken over when an admin resumes the host.
    conflict_at    INTEGER,
    conflict_head  TEXT,
    conflict_proof TEXT,
    created_at     INTEGER NOT NULL,
    revoked_at     INTEGER
) STRICT;
CREATE INDEX agents_by_host ON agents (host_id);

-- `token_sealed` is there only until the token is used, revoked or expired.
CREATE TABLE enrollments (
    id           TEXT NOT NULL PRIMARY KEY,
    host_id      TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    token_sealed BLOB,
    created_by   TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    used_at      INTEGER,
    revoked_at   INTEGER,
    -- Digest of the three public keys that used it: the same agent may ask again.
    used_by_keys TEXT,
    agent_id     TEXT
) STRICT;
CREATE INDEX enrollments_by_host ON enrollments (host_id, created_at);

CREATE TABLE inventories (
    host_id     TEXT NOT NULL PRIMARY KEY REFERENCES hosts (id) ON DELETE CASCADE,
    agent_id    TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    facts       TEXT NOT NULL,
    tenants     TEXT NOT NULL,
    ports       TEXT NOT NULL
) STRICT;

CREATE TABLE blueprints (
    name        TEXT NOT NULL PRIMARY KEY,
    description TEXT NOT NULL DEFAULT '',
    created_by  TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE releases (
    id         TEXT NOT NULL PRIMARY KEY,
    blueprint  TEXT NOT NULL REFERENCES blueprints (name),
    number     INTEGER NOT NULL CHECK (number > 0),
    digest     TEXT NOT NULL,
    source     TEXT NOT NULL,
    model      TEXT NOT NULL,
    notes      TEXT NOT NULL DEFAULT '',
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (blueprint, number)
) STRICT;

CREATE TABLE tenants (
    id                   TEXT NOT NULL PRIMARY KEY,
    slug                 TEXT NOT NULL,
    name                 TEXT NOT NULL,
    domain               TEXT NOT NULL,
    host_id              TEXT NOT NULL REFERENCES hosts (id),
    blueprint            TEXT NOT NULL REFERENCES blueprints (name),
    -- Release numbers of `blueprint`: what is to run, and what the last report says does run.
    release_wanted       INTEGER NOT NULL,
    release_deployed     INTEGER,
    status               TEXT NOT NULL CHECK (status IN
        ('pending', 'provisioning', 'active', 'suspended', 'failed', 'cancelled', 'removing', 'removed')),
    settings             TEXT NOT NULL DEFAULT '{}',
    admin_email          TEXT,
    admin_name           TEXT,
    -- Whether the tenant's first admin has been onboarded.
    onboarded            INTEGER NOT NULL DEFAULT 0 CHECK (onboarded IN (0, 1)),
    certificate          TEXT NOT NULL,
    endpoints            TEXT NOT NULL DEFAULT '{}',
    ports                TEXT NOT NULL DEFAULT '{}',
    health               TEXT,
    health_at            INTEGER,
    kept_volumes         TEXT NOT NULL DEFAULT '[]',
    -- The onboarding's temporary password under the master key; erased when it has been shown.
    credentials_sealed   BLOB,
    credentials_at       INTEGER,
    credentials_shown_at INTEGER,
    generation           INTEGER NOT NULL DEFAULT 1,
    created_by           TEXT NOT NULL,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    removed_at           INTEGER
) STRICT;
-- A removed tenant frees its name and its address.
CREATE UNIQUE INDEX tenants_slug ON tenants (slug) WHERE status <> 'removed';
CREATE UNIQUE INDEX tenants_domain ON tenants (domain) WHERE status <> 'removed';
CREATE INDEX tenants_by_host ON tenants (host_id, status);

CREATE TABLE jobs (
    id                  TEXT NOT NULL PRIMARY KEY,
    host_id             TEXT NOT NULL REFERENCES hosts (id),
    tenant_id           TEXT REFERENCES tenants (id),
    kind                TEXT NOT NULL,
    -- The work with its parameters, as protocol::job::Work writes it.
    work                TEXT NOT NULL,
    state               TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'running', 'succeeded', 'failed',
        'rolled_back', 'rollback_failed', 'cancelled', 'expired', 'dead')),
    attempt             INTEGER NOT NULL CHECK (attempt > 0),
    -- The attempt after which a failure that a retry may mend ends in `dead`.
    max_attempts        INTEGER NOT NULL CHECK (max_attempts > 0),
    not_before          INTEGER NOT NULL,
    expires_at          INTEGER NOT NULL,
    expiry_secs         INTEGER NOT NULL,
    timeout_secs        INTEGER NOT NULL,
    actor               TEXT NOT NULL,
    -- Set from the dispatch on: who has it, where in that agent's chain, and until when it is leased.
    agent_id            TEXT,
    epoch               INTEGER,
    seq                 INTEGER,
    digest              TEXT,
    lease_until         INTEGER,
    lease_lost_at       INTEGER,
    step                TEXT NOT NULL DEFAULT '',
    undoing             INTEGER NOT NULL DEFAULT 0 CHECK (undoing IN (0, 1)),
    progress_at         INTEGER,
    cancel_requested_at INTEGER,
    cancel_reason       TEXT,
    resume_requested_at INTEGER,
    failure             TEXT,
    result              TEXT,
    generation          INTEGER NOT NULL DEFAULT 1,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    started_at          INTEGER,
    ended_at            INTEGER
) STRICT;
CREATE INDEX jobs_by_host ON jobs (host_id, state, id);
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, state, id);
CREATE INDEX jobs_by_state ON jobs (state, id);

-- Every job envelope ever given to an agent: the chain. It outlives its jobs.
CREATE TABLE envelopes (
    agent_id   TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL CHECK (seq > 0),
    digest     TEXT NOT NULL,
    job_id     TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    envelope   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (agent_id, epoch, seq)
) STRICT;
CREATE INDEX envelopes_by_job ON envelopes (job_id, attempt);

CREATE TABLE events (
    job_id      TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt     INTEGER NOT NULL,
    n           INTEGER NOT NULL CHECK (n > 0),
    at          INTEGER NOT NULL,
    step        TEXT NOT NULL,
    what        TEXT NOT NULL,
    message     TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (job_id, attempt, n)
) STRICT;

-- Reports word for word. A stuck job that was resumed has more than one per attempt.
CREATE TABLE reports (
    job_id      TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt     INTEGER NOT NULL,
    digest      TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    envelope    TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (job_id, attempt, digest)
) STRICT;

CREATE TABLE api_tokens (
    id           TEXT NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    -- HMAC-SHA256 of the token under a subkey of the master key, lower-case hex.
    hash         TEXT NOT NULL UNIQUE,
    prefix       TEXT NOT NULL,
    last4        TEXT NOT NULL,
    created_by   TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE idempotency_keys (
    token_id       TEXT NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
    key            TEXT NOT NULL,
    -- Digest of method, path and body: the key may not be used again for another request.
    request_digest TEXT NOT NULL,
    status         INTEGER NOT NULL,
    headers        TEXT NOT NULL DEFAULT '{}',
    body           TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (token_id, key)
) STRICT;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
