-- API keys that jobs bring into tenants' own environment.
-- 1: made for a deploy, and brought by it; 0: made by an admin, who was shown it once.
ALTER TABLE tenant_keys ADD COLUMN delivered INTEGER NOT NULL DEFAULT 0 CHECK (delivered IN (0, 1));
-- The key under the master key, for as long as a job may have to bring it again.
ALTER TABLE tenant_keys ADD COLUMN sealed BLOB;
-- How long the key before it stays good once this one is in use, in seconds.
ALTER TABLE tenant_keys ADD COLUMN grace_secs INTEGER;
-- The last job that carried it, and when one of them was reported as done.
ALTER TABLE tenant_keys ADD COLUMN sent_with TEXT;
ALTER TABLE tenant_keys ADD COLUMN delivered_at INTEGER;
