-- Runs that go: by the rules of retention, or because someone asked for it.
-- One small write marks a run as deleted. From then on nobody sees it, and nothing brings it back; its frames go afterwards, some at a time,
-- and its row goes last. So a crash in between leaves a note of what is still to be done.

ALTER TABLE runs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1));
ALTER TABLE runs ADD COLUMN pins   INTEGER NOT NULL DEFAULT 0;  -- how often that has changed, so that late news of it are known
ALTER TABLE runs ADD COLUMN deleted_at INTEGER
    CHECK (deleted_at IS NULL OR (status NOT IN ('pending', 'running') AND resume = 0 AND pinned = 0));

-- What retention looks through: runs that may go, a pipeline's oldest first.
CREATE INDEX runs_kept ON runs (pipeline, finished_at, key)
    WHERE finished_at IS NOT NULL AND resume = 0 AND pinned = 0 AND deleted_at IS NULL;
-- What is still to be taken away. The status, since counts of runs leave these out.
CREATE INDEX runs_deleted ON runs (status, key) WHERE deleted_at IS NOT NULL;

CREATE TRIGGER runs_stay_deleted BEFORE UPDATE OF deleted_at ON runs
WHEN OLD.deleted_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a deleted run does not come back');
END;

CREATE TRIGGER runs_go_when_deleted BEFORE DELETE ON runs
WHEN OLD.deleted_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a run is marked as deleted before it goes');
END;

-- A journal is only ever added to, until its run is deleted. That also keeps a run's row there until its last frame is gone.
CREATE TRIGGER frames_stay_whole BEFORE DELETE ON frames
WHEN (SELECT deleted_at FROM runs WHERE key = OLD.run) IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a frame stays as long as its run');
END;

-- A key outlives its run: the request that comes again within the day is told so, and starts nothing.
CREATE TABLE idempotency_keys_kept (
    key         TEXT    PRIMARY KEY,
    digest      BLOB    NOT NULL,              -- SHA-256 of what was asked for
    run         INTEGER REFERENCES runs (key) ON DELETE SET NULL,
    created_at  INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO idempotency_keys_kept (key, digest, run, created_at) SELECT key, digest, run, created_at FROM idempotency_keys;
DROP TABLE idempotency_keys;
ALTER TABLE idempotency_keys_kept RENAME TO idempotency_keys;
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
-- What deleting a run looks for.
CREATE INDEX idempotency_keys_run ON idempotency_keys (run);
