-- How much of the file each tenant's ids of batches take: one tenant that sends millions of tiny batches must not
-- fill the file and thereby drive the lines of all others out of it.

ALTER TABLE tenants ADD COLUMN batch_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE tenants SET batch_bytes = (SELECT coalesce(sum(length(answer) + 2 * length(batch) + 120), 0)
                                    FROM batches WHERE tenant_id = tenants.id);

-- The same sum as `batches::kept_bytes`: the id stands in the table and in the index, 120 bytes are all else.
CREATE TRIGGER batch_is_noted AFTER INSERT ON batches BEGIN
    UPDATE tenants SET batch_bytes = batch_bytes + length(NEW.answer) + 2 * length(NEW.batch) + 120
     WHERE id = NEW.tenant_id;
END;
CREATE TRIGGER batch_is_forgotten AFTER DELETE ON batches BEGIN
    UPDATE tenants SET batch_bytes = batch_bytes - length(OLD.answer) - 2 * length(OLD.batch) - 120
     WHERE id = OLD.tenant_id;
END;

-- The oldest ids of one tenant and kind.
DROP INDEX batches_by_age;
CREATE INDEX batches_by_age ON batches (tenant_id, kind, received_at);
