-- Runs that wait for a person before a phase (CONTRACT.md, `approval`).
-- While one waits, its status is `running` and it is nobody's: its lease has no owner and does not run out, so it outlives
-- every server. The answer stays for the worker that takes the run up again.

ALTER TABLE runs ADD COLUMN gate TEXT
    CHECK (gate IS NULL OR (status = 'running' AND gate IN ('waiting', 'approved', 'rejected')));
ALTER TABLE runs ADD COLUMN asked    INTEGER CHECK ((gate IS NULL) = (asked IS NULL));  -- the seq of the frame that asks
ALTER TABLE runs ADD COLUMN question TEXT    CHECK ((gate IS NULL) = (question IS NULL));
ALTER TABLE runs ADD COLUMN answer   TEXT;                                              -- JSON

-- What the engine looks for: runs that were answered, or are to be cancelled.
CREATE INDEX runs_gate ON runs (key) WHERE gate IS NOT NULL;

-- What a person looks at before the answer, and after the run: found without reading the lines in between.
CREATE INDEX frames_review ON frames (run, attempt, kind, seq) WHERE kind IN ('finding', 'patch');
