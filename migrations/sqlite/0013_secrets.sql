-- The secrets that a run was asked for with, apart from its parameters: no other table has their values. When the run ends, each value is
-- overwritten and then removed; the name stays, so that a re-run knows what to ask for.
CREATE TABLE run_secrets (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (key),
    name TEXT NOT NULL,
    value BLOB,
    UNIQUE (run, name)
) STRICT;
