-- Rows of a log that were drawn anew: which frame each of them is now. What a log frame that `replaces` another says, to be found
-- without reading all frames after it.
CREATE TABLE redraws (
    run  INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    row  INTEGER NOT NULL,                     -- the seq of the row's first frame
    seq  INTEGER NOT NULL,                     -- the seq of the last frame that replaces it
    PRIMARY KEY (run, row)
) WITHOUT ROWID;
