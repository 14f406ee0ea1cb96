-- The portal's database, version 3: hosts that never return, jobs whose report may still come, reports that answer
-- no job of this database, and the order in which history is thinned out.

-- Since when an admin has given the host up; NULL again once an agent has enrolled.
ALTER TABLE hosts ADD COLUMN revoked_at INTEGER;

-- Since when nothing is known of what its host holds of it, because the host was revoked. Whatever an agent
-- says of the tenant ends it.
ALTER TABLE tenants ADD COLUMN unknown_since INTEGER;

-- Set while a job rests as failed only because its report never came: the report may still settle it.
ALTER TABLE jobs ADD COLUMN lost_at INTEGER;

-- Reports, signed by the host's executor, of jobs that this database does not know as given: an older backup was
-- restored. Kept to be looked at; nothing follows from them.
CREATE TABLE orphan_reports (
    host_id     TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    digest      TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    failure     TEXT,
    ended_at    INTEGER NOT NULL,
    envelope    TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (host_id, digest)
) STRICT;

CREATE INDEX jobs_by_end ON jobs (ended_at) WHERE ended_at IS NOT NULL;
