-- Notifications that are to be delivered (a pipeline's `[[notify]]`). A row is made in the transaction that ends the attempt, or asks a
-- person, and goes with the last of its tries, whose outcome the run's journal tells.
CREATE TABLE deliveries (
    key       INTEGER PRIMARY KEY AUTOINCREMENT,
    run       INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    attempt   INTEGER NOT NULL,
    seq       INTEGER NOT NULL,            -- the run's head with what is told
    position  INTEGER NOT NULL,            -- which of the pipeline's receivers
    event     TEXT    NOT NULL CHECK (event IN ('run.finished', 'run.waiting')),
    receiver  TEXT    NOT NULL,            -- JSON, as the pipeline has it: names of secrets, never their values
    title     TEXT    NOT NULL,            -- the pipeline's
    snapshot  TEXT    NOT NULL,            -- JSON, the run as it was then
    tries     INTEGER NOT NULL DEFAULT 0,  -- those that have ended
    due_at    INTEGER NOT NULL,            -- when the next try is due; while one is made, when it is given up for lost
    token     INTEGER NOT NULL DEFAULT 0,  -- one more with each try: what an older one says of its end is refused
    UNIQUE (run, seq, position)            -- each is made once
);
CREATE INDEX deliveries_due ON deliveries (due_at);
