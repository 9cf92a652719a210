-- A run that goes on by itself is asked to in the transaction that interrupts it, so none waits for that any more; one that did when it was
-- upgraded says so and may be re-run. The column `resume` stays at 0: the checks of other columns name it, so SQLite does not let it go.
UPDATE runs SET resume = 0, error = coalesce(error, 'interrupted') || '; the server was upgraded since, so it does not go on by itself'
    WHERE resume = 1;
DROP INDEX runs_resume;

DROP INDEX runs_kept;
CREATE INDEX runs_kept ON runs (pipeline, finished_at, key)
    WHERE finished_at IS NOT NULL AND pinned = 0 AND deleted_at IS NULL;
