-- The newest request for the end of a run, as JSON, from when somebody asks until the run has ended. `cancel_by` stays the first one.
ALTER TABLE runs ADD COLUMN cancel TEXT;
