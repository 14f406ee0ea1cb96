-- Provision requests: somebody asks for a tenant, somebody else approves it.

CREATE TABLE requests (
    id            TEXT NOT NULL PRIMARY KEY,
    status        TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'deployed', 'failed', 'rejected', 'withdrawn')),
    -- A customer that goes takes its requests with it, of which none is open then.
    customer_id   TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    license_id    TEXT NOT NULL REFERENCES licenses (id) ON DELETE CASCADE,
    -- No foreign keys: a request that is closed outlives its host, its tenant and its job. The tenant's identifier
    -- is drawn with the request; the tenant itself is there from the approval on.
    host_id       TEXT NOT NULL,
    host          TEXT NOT NULL,
    tenant_id     TEXT NOT NULL UNIQUE,
    job_id        TEXT,
    model         TEXT NOT NULL CHECK (model IN ('dedicated')),
    slug          TEXT NOT NULL,
    name          TEXT NOT NULL,
    domain        TEXT NOT NULL,
    blueprint     TEXT NOT NULL,
    release       INTEGER NOT NULL,
    -- What the release wants of its host.
    memory_mb     INTEGER NOT NULL,
    cpu_millis    INTEGER NOT NULL,
    disk_gb       INTEGER NOT NULL,
    -- The work as protocol::job::Work writes it, and its digest as protocol::approval computes it.
    work          TEXT NOT NULL,
    digest        TEXT NOT NULL,
    justification TEXT NOT NULL,
    -- Who asked: the name in the audit log, and the identifier of the user or token.
    requested_by  TEXT NOT NULL,
    requester     TEXT NOT NULL,
    decided_by    TEXT,
    decided_at    INTEGER,
    comment       TEXT NOT NULL DEFAULT '',
    -- Whether it was approved although the host falls short.
    short         INTEGER NOT NULL DEFAULT 0 CHECK (short IN (0, 1)),
    failure       TEXT,
    generation    INTEGER NOT NULL DEFAULT 1,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
-- While nobody has decided, the name and the address are held. From the approval on the tenant has them.
CREATE UNIQUE INDEX requests_slug ON requests (slug) WHERE status = 'pending';
CREATE UNIQUE INDEX requests_domain ON requests (domain) WHERE status = 'pending';
CREATE UNIQUE INDEX requests_by_job ON requests (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX requests_by_status ON requests (status, id);
CREATE INDEX requests_by_license ON requests (license_id);
CREATE INDEX requests_by_customer ON requests (customer_id);

-- Since when a tenant has ever run. Releases that come and go do not change it.
ALTER TABLE tenants ADD COLUMN deployed_at INTEGER;
UPDATE tenants SET deployed_at = updated_at
 WHERE release_deployed IS NOT NULL OR status IN ('active', 'suspended', 'removed') OR kept_volumes <> '[]';

-- The user or token that has made a token: who stands behind it. Until now only its name was noted, which a later
-- token may have as well; the newest of that name that was there before is taken.
ALTER TABLE api_tokens ADD COLUMN made_by TEXT;
UPDATE api_tokens SET made_by = CASE
    WHEN created_by LIKE 'user:%' THEN (SELECT u.id FROM users u WHERE 'user:' || u.login = api_tokens.created_by)
    WHEN created_by LIKE 'token:%' THEN (SELECT p.id FROM api_tokens p
        WHERE 'token:' || p.name = api_tokens.created_by AND p.id < api_tokens.id ORDER BY p.id DESC LIMIT 1)
    END;
