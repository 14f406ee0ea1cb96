-- Adds $COUNT licenses and as many API keys, which nobody has, to a database with one of each.
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $COUNT)
INSERT INTO licenses (id, customer_id, plan, key_hash, key_sealed, key_hint, status, status_at, created_by, created_at, updated_at)
SELECT printf('01000000-0000-7000-8000-%012x', i), customer_id, plan, printf('%064x', i), key_sealed, key_hint, status, status_at,
       created_by, created_at, updated_at
  FROM n, licenses;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $COUNT)
INSERT INTO tenant_keys (id, tenant_id, hash, prefix, last4, created_by, created_at)
SELECT printf('01000000-0000-7000-8000-%012x', i), tenant_id, printf('%064x', i), prefix, last4, created_by, created_at
  FROM n, tenant_keys;
