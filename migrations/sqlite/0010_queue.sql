-- The order in which runs are taken, and the groups of which one run at a time is carried out (src/model/queue.rs).
ALTER TABLE runs ADD COLUMN priority          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN concurrency_group TEXT;
ALTER TABLE runs ADD COLUMN supersedes        INTEGER NOT NULL DEFAULT 0;  -- earlier runs of the group are cancelled

DROP INDEX runs_pending;
CREATE INDEX runs_pending ON runs (priority DESC, queued_at, key) WHERE status = 'pending';

-- Whatever a program does: two runs of a group are not carried out at once.
CREATE UNIQUE INDEX runs_group_running ON runs (concurrency_group) WHERE status = 'running';

CREATE INDEX runs_group_active ON runs (concurrency_group, queued_at)
    WHERE concurrency_group IS NOT NULL AND status IN ('pending', 'running');
CREATE INDEX runs_superseding ON runs (concurrency_group, queued_at)
    WHERE supersedes = 1 AND status IN ('pending', 'running');
