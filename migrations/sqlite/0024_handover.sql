-- What the next server needs to take over a run whose server has ended: the sockets of the supervisors of its commands,
-- and how far what they print is journaled (docs/design/handover.md).

-- Whether the server that has claimed the run starts no command before its supervisor is in `supervisors`.
ALTER TABLE runs ADD COLUMN hands_over INTEGER NOT NULL DEFAULT 0;

CREATE TABLE supervisors (
    run           INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    phase         TEXT    NOT NULL,
    attempt       INTEGER NOT NULL,
    execution     INTEGER NOT NULL,              -- 1, and one more with each retry
    socket        TEXT    NOT NULL,              -- empty: the execution has no supervisor yet
    spool_offset  INTEGER NOT NULL DEFAULT 0,    -- the records before it are journaled
    first_seq     INTEGER NOT NULL DEFAULT 0,    -- of the write that has set the offset
    known_rows    TEXT,                          -- JSON: where the frames of the last rows are, for redraws
    report        TEXT,                          -- JSON: what the command has reported for the engine
    usage         TEXT,                          -- JSON: what the attempt has used of its limits
    PRIMARY KEY (run, phase)
);
