-- Who may use the server, and what they did. Secrets are kept as digests only.

CREATE TABLE access_tokens (
    id          TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    digest      BLOB    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL,
    expires_at  INTEGER,
    used_at     INTEGER
);

CREATE TABLE access_sessions (
    id          TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    digest      BLOB    NOT NULL UNIQUE,       -- of the cookie
    key_digest  BLOB,                          -- of the value that pages send with changes; NULL where no script ran at the login
    parent      TEXT    NOT NULL,              -- the token it was made with: its id, or a digest of the server's own
    address     TEXT,
    agent       TEXT,
    created_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
);

CREATE TABLE login_codes (
    digest      BLOB    PRIMARY KEY,
    name        TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    parent      TEXT    NOT NULL,              -- that of the session it makes
    expires_at  INTEGER NOT NULL
) WITHOUT ROWID;

-- Who did what. It keeps neither a key of a run nor a reference to one: it stays when runs go.
CREATE TABLE audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    actor    TEXT    NOT NULL,
    via      TEXT    NOT NULL,
    address  TEXT,
    action   TEXT    NOT NULL,
    run      TEXT,
    outcome  TEXT    NOT NULL,
    detail   TEXT
);

CREATE INDEX audit_run ON audit (run, id) WHERE run IS NOT NULL;
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_action ON audit (action, id);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;

-- Who or what asked for an attempt, as JSON.
ALTER TABLE attempts ADD COLUMN origin TEXT;
