-- Interrupted runs that go on by themselves (`on_interrupt = "resume"`): as a new attempt, which whoever looks next asks for.
ALTER TABLE runs ADD COLUMN resume  INTEGER NOT NULL DEFAULT 0 CHECK (resume = 0 OR status = 'interrupted');
ALTER TABLE runs ADD COLUMN resumes INTEGER NOT NULL DEFAULT 0;  -- how many attempts in a row nobody has asked for
CREATE INDEX runs_resume ON runs (key) WHERE resume = 1;
