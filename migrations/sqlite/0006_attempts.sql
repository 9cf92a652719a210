-- What became of each attempt, so that earlier ones can be looked at without reading the journal.
ALTER TABLE attempts ADD COLUMN status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'interrupted'));
ALTER TABLE attempts ADD COLUMN started_at  INTEGER;
ALTER TABLE attempts ADD COLUMN finished_at INTEGER;
ALTER TABLE attempts ADD COLUMN error       TEXT;
-- The seq of its first frame. Its last one is before the first of the next attempt.
ALTER TABLE attempts ADD COLUMN first       INTEGER NOT NULL DEFAULT 1;

-- Whether this is what became of the phase in an earlier attempt, and the frames that tell its begin and its end in this one.
-- Phases from before this migration have no such frames noted; then the whole attempt is looked through.
ALTER TABLE phases ADD COLUMN carried INTEGER NOT NULL DEFAULT 0;
ALTER TABLE phases ADD COLUMN first   INTEGER;
ALTER TABLE phases ADD COLUMN last    INTEGER;

-- What is there already. The current attempt stands in its run; earlier ones are told by the frames of their runs, which are
-- read once, and only of runs that have been re-run.
CREATE TEMP TABLE told AS
    SELECT frames.run, frames.attempt, frames.seq, frames.ts, frames.kind,
           frames.data ->> 'to' AS became, frames.data ->> 'reason' AS reason,
           frames.data ->> 'name' AS phase, frames.data ->> 'message' AS message
    FROM runs JOIN frames ON frames.run = runs.key
    WHERE runs.attempt > 1 AND (
        frames.kind = 'status'
        OR (frames.kind = 'phase' AND frames.data ->> 'carried')
        OR (frames.kind = 'error' AND frames.phase IS NULL));
CREATE INDEX temp.told_of ON told (run, attempt, kind, seq);

UPDATE attempts SET
    status = coalesce((SELECT became FROM told
        WHERE told.run = attempts.run AND told.attempt = attempts.attempt AND kind = 'status' ORDER BY seq DESC LIMIT 1), status),
    started_at = (SELECT max(ts) FROM told
        WHERE told.run = attempts.run AND told.attempt = attempts.attempt AND kind = 'status' AND became = 'running'),
    finished_at = (SELECT max(ts) FROM told
        WHERE told.run = attempts.run AND told.attempt = attempts.attempt AND kind = 'status'
            AND became NOT IN ('pending', 'running')),
    error = coalesce(
        (SELECT message FROM told
            WHERE told.run = attempts.run AND told.attempt = attempts.attempt AND kind = 'error' ORDER BY seq DESC LIMIT 1),
        (SELECT reason FROM told
            WHERE told.run = attempts.run AND told.attempt = attempts.attempt AND kind = 'status'
                AND became IN ('failed', 'interrupted') ORDER BY seq DESC LIMIT 1)),
    first = coalesce((SELECT min(seq) FROM told
        WHERE told.run = attempts.run AND told.attempt = attempts.attempt AND kind = 'status'
            AND attempts.attempt > 1), first)
WHERE EXISTS (SELECT 1 FROM runs WHERE runs.key = attempts.run AND runs.attempt > attempts.attempt)
    OR attempts.attempt > 1;

UPDATE attempts SET (status, started_at, finished_at, error) =
    (SELECT status, started_at, finished_at, error FROM runs WHERE runs.key = attempts.run)
WHERE EXISTS (SELECT 1 FROM runs WHERE runs.key = attempts.run AND runs.attempt = attempts.attempt);

UPDATE phases SET carried = 1
WHERE EXISTS (SELECT 1 FROM told WHERE told.run = phases.run AND told.attempt = phases.attempt AND kind = 'phase'
    AND told.phase = phases.name);

DROP TABLE told;
