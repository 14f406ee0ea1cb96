-- The work of the last deploy of a tenant that was reported as done: a rotation of its app's key deploys that
-- again, whatever is wanted of the tenant by now. Jobs do not serve for it, since they are forgotten.
CREATE TABLE running_work (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    -- As protocol::job::Work writes it.
    work      TEXT NOT NULL
) STRICT;
INSERT INTO running_work (tenant_id, work)
    SELECT t.id, j.work FROM tenants t JOIN jobs j ON j.id = (SELECT d.id FROM jobs d
        WHERE d.tenant_id = t.id AND d.kind = 'deploy_tenant' AND d.state = 'succeeded'
        ORDER BY d.ended_at DESC, d.id DESC LIMIT 1)
    WHERE t.release_deployed IS NOT NULL;
