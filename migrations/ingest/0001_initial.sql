-- ingest.db: what tenants' apps send. A file of its own, with a writer of its own, so that a flood of logs never delays
-- a job. It can be lost without harm to any tenant: a missing file is made anew.
--
-- Tenants have a small number here, so that lines and their index stay small. Times are milliseconds, days are days
-- since 1970-01-01 (UTC).

CREATE TABLE tenants (
    id     INTEGER NOT NULL PRIMARY KEY,
    -- Its identifier in the portal's database. A slug may come back for somebody else; an identifier never does.
    tenant TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE counters (
    name  TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Numbers of lines are given out here and never again, also when all lines are gone: readers hold them as positions.
INSERT INTO counters (name, value) VALUES ('next_line', 1);

-- Batches that were taken, so that one that is sent again changes nothing and gets the same answer.
CREATE TABLE batches (
    tenant_id   INTEGER NOT NULL REFERENCES tenants (id),
    kind        TEXT NOT NULL CHECK (kind IN ('logs', 'usage')),
    batch       TEXT NOT NULL,
    -- SHA-256 of the body, unpacked.
    digest      BLOB NOT NULL,
    answer      TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, kind, batch)
) STRICT, WITHOUT ROWID;
CREATE INDEX batches_by_age ON batches (received_at);

CREATE TABLE log_lines (
    -- In the order of arrival.
    id          INTEGER NOT NULL PRIMARY KEY,
    -- No REFERENCES: it would be looked up for each of fifty thousand lines a second.
    tenant_id   INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    -- 1 trace, 5 debug, 9 info, 13 warn, 17 error, 21 fatal: the severity numbers of OpenTelemetry.
    level       INTEGER NOT NULL,
    message     TEXT NOT NULL,
    -- JSON as it was sent.
    context     TEXT,
    user_id     TEXT,
    ip          TEXT
) STRICT;
CREATE INDEX log_lines_by_time ON log_lines (tenant_id, at, id);

-- What each tenant has sent on each day, for its quota.
CREATE TABLE traffic (
    tenant_id INTEGER NOT NULL REFERENCES tenants (id),
    day       INTEGER NOT NULL,
    items     INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day)
) STRICT, WITHOUT ROWID;

-- Usage, added up per day as it comes.
CREATE TABLE usage_days (
    tenant_id INTEGER NOT NULL REFERENCES tenants (id),
    day       INTEGER NOT NULL,
    metric    TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('counter', 'gauge')),
    count     INTEGER NOT NULL,
    sum       REAL NOT NULL,
    min       REAL NOT NULL,
    max       REAL NOT NULL,
    last      REAL NOT NULL,
    last_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day, metric, kind)
) STRICT, WITHOUT ROWID;

-- What each tenant's app last said about itself.
CREATE TABLE health (
    tenant_id   INTEGER NOT NULL PRIMARY KEY REFERENCES tenants (id),
    status      TEXT NOT NULL CHECK (status IN ('healthy', 'degraded', 'unhealthy')),
    -- Since when it has this status.
    since       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    version     TEXT,
    message     TEXT,
    -- JSON object: name to {"status", "message"}.
    checks      TEXT NOT NULL
) STRICT;
