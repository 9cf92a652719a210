-- The latest time that a run's rows and frames have. Nothing of the run is ever written with an earlier one, whatever happens to the
-- machine's clock: so no duration is negative, and the times of a journal only grow.
ALTER TABLE runs ADD COLUMN clock INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET clock = max(
    created_at,
    queued_at,
    coalesce(started_at, 0),
    coalesce(finished_at, 0),
    coalesce((SELECT ts FROM frames WHERE frames.run = runs.key AND frames.seq = runs.head), 0)
);
