-- What the agent believes, what it was ordered, and what it still has to tell.
-- Released files never change; a later need is a new file.

-- The one enrollment in force. A new enrollment replaces it and starts a new chain.
CREATE TABLE enrollment (
    one         INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    portal_url  TEXT    NOT NULL,
    -- The signed receipt as JSON, and the digest of the first trust document.
    receipt     TEXT    NOT NULL,
    trust_pin   TEXT    NOT NULL,
    agent       TEXT    NOT NULL,
    enrolled_at INTEGER NOT NULL
) STRICT;

-- Every trust document of this enrollment, word for word; the highest version is in force.
CREATE TABLE trust (
    version  INTEGER NOT NULL PRIMARY KEY CHECK (version >= 1),
    envelope TEXT    NOT NULL,
    taken_at INTEGER NOT NULL
) STRICT;

-- Every job that was accepted, word for word, as a chain without gaps per agent and epoch.
CREATE TABLE chain (
    agent       TEXT    NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL CHECK (seq >= 1),
    digest      TEXT    NOT NULL,
    job         TEXT    NOT NULL,
    attempt     INTEGER NOT NULL CHECK (attempt >= 1),
    envelope    TEXT    NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (agent, epoch, seq)
) STRICT, WITHOUT ROWID;

-- One row per job and attempt: how it stands. `seq` gives the order of acceptance.
CREATE TABLE jobs (
    seq         INTEGER NOT NULL PRIMARY KEY,
    job         TEXT    NOT NULL,
    attempt     INTEGER NOT NULL CHECK (attempt >= 1),
    kind        TEXT    NOT NULL,
    tenant      TEXT,
    -- The payload's digest (the report names it) and the payload itself.
    digest      TEXT    NOT NULL,
    payload     TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'stuck', 'rested')),
    cancelled   INTEGER NOT NULL CHECK (cancelled IN (0, 1)),
    accepted_at INTEGER NOT NULL,
    ended_at    INTEGER,
    -- The unsigned report as JSON, once it rests or is stuck.
    report      TEXT,
    UNIQUE (job, attempt)
) STRICT;
CREATE INDEX jobs_open ON jobs (state) WHERE state <> 'rested';

-- Events, kept until some time after their job rests: the portal may ask for them again.
CREATE TABLE events (
    job     TEXT    NOT NULL,
    attempt INTEGER NOT NULL,
    n       INTEGER NOT NULL CHECK (n >= 1),
    event   TEXT    NOT NULL,
    PRIMARY KEY (job, attempt, n)
) STRICT, WITHOUT ROWID;

-- What the portal still has to be told of each job. `next` is the first event that it lacks.
CREATE TABLE outbox (
    job       TEXT    NOT NULL,
    attempt   INTEGER NOT NULL,
    next      INTEGER NOT NULL CHECK (next >= 1),
    last      INTEGER NOT NULL CHECK (last >= 0),
    -- The signed report as JSON, from when the job rests until the portal has it.
    report    TEXT,
    tries     INTEGER NOT NULL CHECK (tries >= 0),
    -- Why it is not sent any more, when the portal refused it for good.
    set_aside TEXT,
    PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

-- Single values: `drained`, `portal_time`.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Answers of the portal that were refused, by reason.
CREATE TABLE refusals (
    code    TEXT    NOT NULL PRIMARY KEY,
    message TEXT    NOT NULL,
    times   INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
