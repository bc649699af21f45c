-- Client assertions (RFC 7523) that were shown, until they expire: each is good once.
CREATE TABLE client_assertions (
    id         bytea PRIMARY KEY CHECK (length(id) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX client_assertions_expires_at ON client_assertions (expires_at);

-- Back-channel logout: an ended login is its own outbox entry, until its client was told.
ALTER TABLE grants ADD COLUMN logout_told_at timestamptz;
ALTER TABLE grants ADD COLUMN logout_next_at timestamptz;
ALTER TABLE grants ADD COLUMN logout_attempts integer NOT NULL DEFAULT 0;
CREATE INDEX grants_logout_due ON grants (client_id) WHERE ended_at IS NOT NULL AND logout_told_at IS NULL;
