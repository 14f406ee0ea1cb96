-- Which of a job's envelopes a report answers: the same attempt may have been signed twice, when a key was
-- declared stolen. Reports from before this say nothing of it, and vouch for nothing.
ALTER TABLE reports ADD COLUMN job_digest TEXT;
