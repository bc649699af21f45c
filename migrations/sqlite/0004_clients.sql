-- Client assertions (RFC 7523) that were shown, until they expire: each is good once.
CREATE TABLE client_assertions (
    id         BLOB PRIMARY KEY CHECK (length(id) = 32),
    expires_at INTEGER NOT NULL
);
CREATE INDEX client_assertions_expires_at ON client_assertions (expires_at);
