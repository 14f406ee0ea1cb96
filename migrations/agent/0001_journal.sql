-- The agent's journal: what it was told to do, how far it got, and what it has made.
-- Released files never change; a later need is a new file.

-- One row per run of a job. `seq` gives the order in which jobs began on this host.
CREATE TABLE sagas (
    seq         INTEGER NOT NULL PRIMARY KEY,
    job         TEXT    NOT NULL,
    attempt     INTEGER NOT NULL CHECK (attempt >= 1),
    kind        TEXT    NOT NULL,
    tenant      TEXT,
    status      TEXT    NOT NULL CHECK (status IN
                  ('running', 'unwinding', 'done', 'rolled_back', 'stuck')),
    -- The plan as JSON. It is the first record: recovery never plans again.
    plan        TEXT    NOT NULL,
    plan_digest TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    UNIQUE (job, attempt)
) STRICT;

-- Two jobs of one tenant never run at the same time, and none runs over a stuck one.
CREATE UNIQUE INDEX sagas_one_per_tenant ON sagas (tenant)
    WHERE status IN ('running', 'unwinding', 'stuck');

CREATE INDEX sagas_open ON sagas (status) WHERE status IN ('running', 'unwinding', 'stuck');

-- What happened to each saga, in order, as JSON. The status follows from these rows alone;
-- `sagas.status` is the same thing, kept for searching.
CREATE TABLE saga_records (
    saga   INTEGER NOT NULL REFERENCES sagas (seq),
    n      INTEGER NOT NULL CHECK (n >= 1),
    at     INTEGER NOT NULL,
    record TEXT    NOT NULL,
    PRIMARY KEY (saga, n)
) STRICT, WITHOUT ROWID;

-- Host ports that belong to tenants. A port is `leaving` while a running job has put another in
-- its place: nobody else may take it before that job has succeeded.
CREATE TABLE ports (
    port    INTEGER NOT NULL PRIMARY KEY CHECK (port BETWEEN 1024 AND 65535),
    tenant  TEXT    NOT NULL,
    role    TEXT    NOT NULL,
    state   TEXT    NOT NULL CHECK (state IN ('held', 'leaving')),
    -- The saga that reserved it.
    saga    INTEGER NOT NULL REFERENCES sagas (seq)
) STRICT;

CREATE UNIQUE INDEX ports_one_per_role ON ports (tenant, role) WHERE state = 'held';

-- What is deployed here. Written when a job succeeds, never before.
CREATE TABLE tenants (
    tenant     TEXT    NOT NULL PRIMARY KEY,
    slug       TEXT    NOT NULL UNIQUE,
    domain     TEXT    NOT NULL,
    project    TEXT    NOT NULL UNIQUE,
    state      TEXT    NOT NULL CHECK (state IN ('deployed', 'kept')),
    -- The whole record as JSON.
    record     TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- A site serves one tenant. A tenant whose data alone is kept has no site.
CREATE UNIQUE INDEX tenants_one_per_domain ON tenants (domain) WHERE state = 'deployed';
