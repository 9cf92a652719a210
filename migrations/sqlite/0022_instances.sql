-- The programs that share the database, what they offer to runs, and what runs need (src/model/placement.rs).

CREATE TABLE instances (
    id           TEXT    PRIMARY KEY,           -- new for each process
    owner        TEXT    NOT NULL UNIQUE,       -- what it writes into runs.lease_owner
    name         TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    role         TEXT    NOT NULL CHECK (role IN ('serve', 'worker')),
    data_folder  TEXT    NOT NULL,              -- the id of its data folder, which outlives it
    labels       TEXT    NOT NULL,              -- JSON, to show them
    roots        TEXT    NOT NULL,              -- JSON, the folders that runs may work in
    slots        INTEGER NOT NULL CHECK (slots >= 0),
    started_at   INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL,              -- the last heartbeat
    lost_at      INTEGER NOT NULL,              -- when it counts as lost unless there is another heartbeat
    draining_at  INTEGER,                       -- since when it takes no runs
    ended_at     INTEGER                        -- when it ended in order, or was found to have ended
);

-- What an instance has, besides its data folder: labels, and folders that runs asked for.
CREATE TABLE instance_offers (
    instance  TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL CHECK (kind IN ('label', 'folder')),
    value     TEXT NOT NULL,
    PRIMARY KEY (instance, kind, value)
) WITHOUT ROWID;

-- What the current attempt of a run needs. Runs from before this migration need nothing.
CREATE TABLE run_needs (
    run    INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    kind   TEXT    NOT NULL CHECK (kind IN ('label', 'folder', 'files')),
    value  TEXT    NOT NULL,
    PRIMARY KEY (run, kind, value)
) WITHOUT ROWID;

-- The data folder with the files of the run's last attempt.
ALTER TABLE runs ADD COLUMN data_folder TEXT;
