-- Browser sessions: one person in one browser, across clients. The cookie holds 256 random bits, the row their SHA-256.
CREATE TABLE sessions (
    id              BLOB PRIMARY KEY,
    token_hash      BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id         BLOB NOT NULL REFERENCES users (id),
    auth_time       INTEGER NOT NULL,
    -- When Kakao vouched for the person; see grants.logged_in_at.
    logged_in_at    INTEGER NOT NULL,
    last_used_at    INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ended_at        INTEGER
);
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- The session that a login belongs to, the resources it asked for (RFC 8707), and the browser it came from.
ALTER TABLE grants ADD COLUMN session_id BLOB;
ALTER TABLE grants ADD COLUMN resource TEXT;
ALTER TABLE grants ADD COLUMN user_agent TEXT;
CREATE INDEX grants_session_id ON grants (session_id);
-- The revocation feed reads what ended lately.
CREATE INDEX grants_ended_at ON grants (ended_at) WHERE ended_at IS NOT NULL;
