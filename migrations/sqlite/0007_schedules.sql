-- How far the schedules of pipelines are done: due times up to `done` have their run, or are forgotten. A due time's run is
-- created in the transaction that moves the mark, and only from where it was believed to be: so there is one, however many look.
CREATE TABLE schedules (
    pipeline  TEXT    NOT NULL,
    schedule  TEXT    NOT NULL,               -- which of the pipeline's: its name, expression and time zone
    done      INTEGER NOT NULL,
    PRIMARY KEY (pipeline, schedule)
) WITHOUT ROWID;
