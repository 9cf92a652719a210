-- Runs, their attempts and phases, and the journal.
-- Times are milliseconds since 1970 in UTC. A run's key stays inside; outside it has its id, a UUIDv7.

CREATE TABLE runs (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT    NOT NULL UNIQUE,
    pipeline      TEXT    NOT NULL,
    status        TEXT    NOT NULL DEFAULT 'pending'
                  CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'interrupted')),
    phase         TEXT,
    attempt       INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    params        TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    queued_at     INTEGER NOT NULL,            -- the place in the queue: when this attempt was asked for
    started_at    INTEGER,
    finished_at   INTEGER,
    head          INTEGER NOT NULL DEFAULT 0,  -- the last seq of the journal
    error         TEXT,
    cancel_by     TEXT,                        -- who asked for the end, while the run is not yet there
    lease_owner   TEXT,
    lease_until   INTEGER,
    lease_token   INTEGER NOT NULL DEFAULT 0,  -- one more with each claim: an older worker's writes are refused
    CHECK ((status = 'running') = (lease_until IS NOT NULL))
);

-- What the engine looks for: runs that wait, in order, and leases that ran out. Finished runs are in neither.
CREATE INDEX runs_pending ON runs (queued_at, key) WHERE status = 'pending';
CREATE INDEX runs_running ON runs (lease_until) WHERE status = 'running';
CREATE INDEX runs_status ON runs (status, key);
CREATE INDEX runs_pipeline ON runs (pipeline, key);

-- The only moves there are (CONTRACT.md, "Status of a run"; src/model/status.rs says the same).
CREATE TRIGGER runs_status_moves BEFORE UPDATE OF status ON runs
WHEN NOT CASE OLD.status
        WHEN 'pending' THEN NEW.status IN ('running', 'cancelled')
        WHEN 'running' THEN NEW.status IN ('completed', 'failed', 'cancelled', 'interrupted')
        ELSE NEW.status = 'pending' AND NEW.attempt = OLD.attempt + 1
    END
BEGIN
    SELECT RAISE(ABORT, 'no such change of status');
END;

-- What each attempt was asked to do: the pipeline as it stood then, so that a changed file does not change a run.
CREATE TABLE attempts (
    run        INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    attempt    INTEGER NOT NULL,
    params     TEXT    NOT NULL,
    pipeline   TEXT    NOT NULL,
    queued_at  INTEGER NOT NULL,
    PRIMARY KEY (run, attempt)
) WITHOUT ROWID;

CREATE TABLE phases (
    run          INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    attempt      INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    state        TEXT    NOT NULL DEFAULT 'pending'
                 CHECK (state IN ('pending', 'started', 'completed', 'failed', 'skipped')),
    exit_code    INTEGER,
    started_at   INTEGER,
    finished_at  INTEGER,
    PRIMARY KEY (run, attempt, position)
) WITHOUT ROWID;

-- The journal. One B-tree in the order it is read: a run's frames lie together.
CREATE TABLE frames (
    run      INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    seq      INTEGER NOT NULL,
    ts       INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    phase    TEXT,
    kind     TEXT    NOT NULL,
    data     TEXT    NOT NULL,                 -- JSON
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

-- A journal is only ever added to.
CREATE TRIGGER frames_stay BEFORE UPDATE ON frames
BEGIN
    SELECT RAISE(ABORT, 'a frame does not change');
END;

-- Requests that came with an Idempotency-Key.
CREATE TABLE idempotency_keys (
    key         TEXT    PRIMARY KEY,
    digest      BLOB    NOT NULL,              -- SHA-256 of what was asked for
    run         INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL
) WITHOUT ROWID;
