-- What is read often is found without looking through all runs.

-- Deleted runs whose frames still have to go, in the order of their keys.
CREATE INDEX runs_gone ON runs (key) WHERE deleted_at IS NOT NULL;

-- The list by pipeline and status, newest first.
CREATE INDEX runs_pipeline_status ON runs (pipeline, status, key);

-- How many runs stand where, without those that were deleted. Kept by the database itself, so it is true whatever program writes.
CREATE TABLE run_counts (
    status  TEXT    PRIMARY KEY,
    runs    INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO run_counts (status, runs)
    SELECT known.value, (SELECT count(*) FROM runs WHERE status = known.value AND deleted_at IS NULL)
    FROM json_each('["pending", "running", "completed", "failed", "cancelled", "interrupted"]') AS known;

CREATE TRIGGER runs_count_new AFTER INSERT ON runs
BEGIN
    UPDATE run_counts SET runs = runs + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER runs_count_moves AFTER UPDATE OF status ON runs
WHEN OLD.status IS NOT NEW.status
BEGIN
    UPDATE run_counts SET runs = runs - 1 WHERE status = OLD.status;
    UPDATE run_counts SET runs = runs + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER runs_count_deleted AFTER UPDATE OF deleted_at ON runs
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    UPDATE run_counts SET runs = runs - 1 WHERE status = NEW.status;
END;

-- Counts of runs were the only use of it.
DROP INDEX runs_deleted;
