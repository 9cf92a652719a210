-- What the database refuses, whatever program writes and however: the moves that CONTRACT.md does not know.
-- OR REPLACE takes rows away without asking the triggers of DELETE, and puts a column's default where NULL is given. So what a row would
-- push out is looked for before, and no condition is met by NULL.
-- Rows of `frames` that are put in are not looked at: the least that a trigger does for each costs a third of what it takes to write it.

-- An attempt is added by the move that asks for it, and by nothing else.
DROP TRIGGER runs_status_moves;
CREATE TRIGGER runs_status_moves BEFORE UPDATE OF status, attempt ON runs
WHEN CASE OLD.status
        WHEN 'pending' THEN NEW.status IN ('running', 'cancelled') AND NEW.attempt = OLD.attempt
        WHEN 'running' THEN NEW.status IN ('completed', 'failed', 'cancelled', 'interrupted') AND NEW.attempt = OLD.attempt
        ELSE NEW.status = 'pending' AND NEW.attempt = OLD.attempt + 1
    END IS NOT TRUE
BEGIN
    SELECT RAISE(ABORT, 'no such change of status');
END;

CREATE TRIGGER runs_begin BEFORE INSERT ON runs
WHEN NEW.status IS NOT 'pending' OR NEW.attempt IS NOT 1 OR NEW.head IS NOT 0
    OR EXISTS (SELECT 1 FROM runs WHERE key = NEW.key OR id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'a run begins once: pending, in its first attempt, with nothing in its journal');
END;

-- A row's key has four names.
CREATE TRIGGER runs_keep_their_names BEFORE UPDATE OF key, rowid, oid, _rowid_, id ON runs
WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id
BEGIN
    SELECT RAISE(ABORT, 'a run keeps its key and its id');
END;

-- The index runs_group_running says the same, but to OR REPLACE it says which run is to go.
CREATE TRIGGER runs_one_of_a_group BEFORE UPDATE OF status, concurrency_group ON runs
WHEN NEW.status = 'running' AND EXISTS (SELECT 1 FROM runs AS other
    WHERE other.concurrency_group = NEW.concurrency_group AND other.status = 'running' AND other.key <> OLD.key)
BEGIN
    SELECT RAISE(ABORT, 'one run of a group is carried out at a time');
END;

CREATE TRIGGER runs_heads_grow BEFORE UPDATE OF head ON runs
WHEN NEW.head IS NULL OR NEW.head < OLD.head
BEGIN
    SELECT RAISE(ABORT, 'a journal does not become shorter');
END;

CREATE TRIGGER runs_tokens_grow BEFORE UPDATE OF lease_token ON runs
WHEN NEW.lease_token IS NULL OR NEW.lease_token < OLD.lease_token
BEGIN
    SELECT RAISE(ABORT, 'each claim has a larger number than the one before');
END;

CREATE TRIGGER attempts_begin BEFORE INSERT ON attempts
WHEN NEW.status IS NOT 'pending' OR EXISTS (SELECT 1 FROM attempts WHERE run = NEW.run AND attempt = NEW.attempt)
BEGIN
    SELECT RAISE(ABORT, 'an attempt begins once, pending');
END;

-- As its run, but that what comes after its end is another attempt.
CREATE TRIGGER attempts_status_moves BEFORE UPDATE OF status ON attempts
WHEN CASE OLD.status
        WHEN 'pending' THEN NEW.status IN ('running', 'cancelled')
        WHEN 'running' THEN NEW.status IN ('completed', 'failed', 'cancelled', 'interrupted')
    END IS NOT TRUE
BEGIN
    SELECT RAISE(ABORT, 'no such change of an attempt');
END;

CREATE TRIGGER attempts_keep_their_place BEFORE UPDATE OF run, attempt ON attempts
WHEN NEW.run IS NOT OLD.run OR NEW.attempt IS NOT OLD.attempt
BEGIN
    SELECT RAISE(ABORT, 'an attempt keeps its place');
END;

CREATE TRIGGER attempts_stay BEFORE DELETE ON attempts
WHEN (SELECT deleted_at FROM runs WHERE key = OLD.run) IS NULL
BEGIN
    SELECT RAISE(ABORT, 'an attempt stays as long as its run');
END;

CREATE TRIGGER phases_begin BEFORE INSERT ON phases
WHEN NEW.state IS NOT 'pending' OR NEW.carried IS NOT 0
    OR EXISTS (SELECT 1 FROM phases WHERE run = NEW.run AND attempt = NEW.attempt AND position = NEW.position)
BEGIN
    SELECT RAISE(ABORT, 'a phase begins once, pending');
END;

-- What an earlier attempt has done is carried over at once.
CREATE TRIGGER phases_state_moves BEFORE UPDATE OF state ON phases
WHEN CASE
        WHEN OLD.state = 'pending' AND NEW.carried = 1 THEN NEW.state IN ('completed', 'failed', 'skipped')
        WHEN OLD.state = 'pending' THEN NEW.state IN ('started', 'skipped')
        WHEN OLD.state = 'started' THEN NEW.state IN ('completed', 'failed') AND NEW.carried = 0
    END IS NOT TRUE
BEGIN
    SELECT RAISE(ABORT, 'no such change of a phase');
END;

CREATE TRIGGER phases_keep_their_place BEFORE UPDATE OF run, attempt, position, name ON phases
WHEN NEW.run IS NOT OLD.run OR NEW.attempt IS NOT OLD.attempt OR NEW.position IS NOT OLD.position OR NEW.name IS NOT OLD.name
BEGIN
    SELECT RAISE(ABORT, 'a phase keeps its place');
END;

CREATE TRIGGER phases_stay BEFORE DELETE ON phases
WHEN (SELECT deleted_at FROM runs WHERE key = OLD.run) IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a phase stays as long as its run');
END;
