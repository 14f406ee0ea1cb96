-- Since when the report of a job is asked for again that its agent counts as told and this database lacks.
ALTER TABLE jobs ADD COLUMN report_asked_at INTEGER;
