-- What starts runs: the runs of schedules, due times that were skipped, pauses, and what became of the deliveries of hooks.

-- Which schedule of its pipeline asked for a run: its name, expression and time zone, as in `schedules`.
ALTER TABLE runs ADD COLUMN schedule TEXT;
CREATE INDEX runs_of_schedule ON runs (pipeline, schedule)
    WHERE schedule IS NOT NULL AND status IN ('pending', 'running');

-- Due times that passed without a run, written in the transaction that moves `done`.
ALTER TABLE schedules ADD COLUMN skipped     INTEGER NOT NULL DEFAULT 0;  -- how many
ALTER TABLE schedules ADD COLUMN skipped_at  INTEGER;                     -- the last of them
ALTER TABLE schedules ADD COLUMN skip_kind   TEXT;                        -- why: src/model/trigger.rs
ALTER TABLE schedules ADD COLUMN skip_detail TEXT;
ALTER TABLE schedules ADD COLUMN last_run    TEXT;                        -- the id of the last run that was asked for

-- Schedules that start nothing until they are resumed. Both names are '*' for all schedules, also later ones.
CREATE TABLE schedule_pauses (
    pipeline   TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    paused_at  INTEGER NOT NULL,
    paused_by  TEXT    NOT NULL,
    reason     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (pipeline, name)
) WITHOUT ROWID;

-- What became of each call of a hook. Bounded in number and age with each row that is added (src/store/sqlite/triggers.rs).
-- `trust` has a quota each, so that callers without the secret push out none of those with it: 0 has proved the secret, 1 has
-- not, 2 named no hook. Of 1 and 2, calls that are alike are one row.
CREATE TABLE hook_deliveries (
    key       INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,            -- the last call
    since     INTEGER NOT NULL,            -- the first call
    calls     INTEGER NOT NULL DEFAULT 1,
    trust     INTEGER NOT NULL CHECK (trust IN (0, 1, 2)),
    pipeline  TEXT    NOT NULL,
    forge     TEXT    NOT NULL,
    event     TEXT,
    delivery  TEXT,                        -- the forge's id of it
    result    TEXT    NOT NULL CHECK (result IN ('started', 'duplicate', 'ignored', 'refused')),
    code      TEXT,                        -- of the problem, if it was refused
    reason    TEXT,
    run       TEXT                         -- the run's id; the run may be gone
);
CREATE INDEX hook_deliveries_pipeline ON hook_deliveries (pipeline, key);
CREATE INDEX hook_deliveries_result ON hook_deliveries (result, key);
CREATE INDEX hook_deliveries_both ON hook_deliveries (pipeline, result, key);
CREATE INDEX hook_deliveries_trust ON hook_deliveries (trust, key);
CREATE INDEX hook_deliveries_age ON hook_deliveries (at);
