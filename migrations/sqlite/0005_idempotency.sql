-- An Idempotency-Key is kept for a day: those that are older are found and taken away with each new one.
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
