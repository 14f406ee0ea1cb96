-- What a tenant has on the disk of its host, by its agent's last count.
ALTER TABLE tenants ADD COLUMN disk_used_bytes INTEGER;
ALTER TABLE tenants ADD COLUMN disk_measured_at INTEGER;
-- Whether the audit log has last told that this is more than the plan of its license gives, and when it told.
ALTER TABLE tenants ADD COLUMN disk_told_over INTEGER NOT NULL DEFAULT 0 CHECK (disk_told_over IN (0, 1));
ALTER TABLE tenants ADD COLUMN disk_told_at INTEGER;
