-- The programs that share the database, what they offer to runs, and what runs need (src/model/placement.rs).

CREATE TABLE instances (
    id           TEXT   COLLATE "C" PRIMARY KEY,
    owner        TEXT   COLLATE "C" NOT NULL UNIQUE,
    name         TEXT   COLLATE "C" NOT NULL,
    version      TEXT   COLLATE "C" NOT NULL,
    role         TEXT   COLLATE "C" NOT NULL CHECK (role IN ('serve', 'worker')),
    data_folder  TEXT   COLLATE "C" NOT NULL,
    labels       TEXT   COLLATE "C" NOT NULL,
    roots        TEXT   COLLATE "C" NOT NULL,
    slots        BIGINT NOT NULL CHECK (slots >= 0),
    started_at   BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,
    lost_at      BIGINT NOT NULL,
    draining_at  BIGINT,
    ended_at     BIGINT
);

CREATE TABLE instance_offers (
    instance  TEXT COLLATE "C" NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    kind      TEXT COLLATE "C" NOT NULL CHECK (kind IN ('label', 'folder')),
    value     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (instance, kind, value)
);

CREATE TABLE run_needs (
    run    BIGINT NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    kind   TEXT   COLLATE "C" NOT NULL CHECK (kind IN ('label', 'folder', 'files')),
    value  TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (run, kind, value)
);

ALTER TABLE runs ADD COLUMN data_folder TEXT COLLATE "C";
