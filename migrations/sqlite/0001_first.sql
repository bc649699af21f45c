-- Users: an id of ours beside Kakao's member number, and what the person shares.
CREATE TABLE users (
    id                       BLOB    PRIMARY KEY,
    kakao_id                 INTEGER UNIQUE CHECK (kakao_id > 0),
    nickname                 TEXT,
    name                     TEXT,
    picture                  TEXT,
    email                    TEXT,
    email_verified           BOOLEAN NOT NULL DEFAULT false,
    phone_number             TEXT,
    roles                    TEXT    NOT NULL DEFAULT '[]',
    disabled_at              INTEGER,
    created_at               INTEGER NOT NULL,
    updated_at               INTEGER NOT NULL,
    last_login_at            INTEGER NOT NULL,
    -- Sealed with a key derived from secrets.master_key; never in clear.
    kakao_refresh_token      BLOB,
    kakao_refresh_expires_at INTEGER,
    kakao_scope              TEXT
);

-- Login attempts that a callback has claimed. One that nobody finishes has no row at all.
CREATE TABLE login_attempts (
    id                       BLOB    PRIMARY KEY,
    claimed_at               INTEGER NOT NULL,
    expires_at               INTEGER NOT NULL,
    failure                  TEXT,
    kakao_fault              TEXT
);
CREATE INDEX login_attempts_expires_at ON login_attempts (expires_at);

-- Grants: one login at one client, its one-time code, and the generation of its refresh token.
-- Times are microseconds since the Unix epoch.
CREATE TABLE grants (
    id                       BLOB    PRIMARY KEY,
    user_id                  BLOB    NOT NULL REFERENCES users (id),
    client_id                TEXT    NOT NULL,
    scope                    TEXT    NOT NULL,
    attempt_id               BLOB    UNIQUE,
    code_hash                BLOB    UNIQUE CHECK (length(code_hash) = 32),
    code_expires_at          INTEGER,
    code_spent_at            INTEGER,
    redirect_uri             TEXT,
    challenge                TEXT,
    nonce                    TEXT,
    auth_time                INTEGER NOT NULL,
    generation               INTEGER NOT NULL DEFAULT 0 CHECK (generation >= 0),
    refreshed_at             INTEGER NOT NULL,
    idle_expires_at          INTEGER NOT NULL,
    expires_at               INTEGER NOT NULL,
    ended_at                 INTEGER,
    end_reason               TEXT,
    created_at               INTEGER NOT NULL,
    -- When Kakao vouched for the person in the login that this comes of: before users.logins_valid_from it is void.
    logged_in_at             INTEGER NOT NULL,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    -- Generation 0: its code is not exchanged yet. A grant that began without a code has tokens at once.
    CHECK ((generation = 0) = (code_hash IS NOT NULL AND code_spent_at IS NULL)),
    CHECK ((code_hash IS NULL) = (code_expires_at IS NULL)),
    CHECK ((code_hash IS NULL) = (redirect_uri IS NULL))
);
CREATE INDEX grants_user_id ON grants (user_id);
CREATE INDEX grants_expires_at ON grants (expires_at);

-- Signing keys: next (not activated), current (activated, not superseded), previous (superseded, until expires_at).
CREATE TABLE signing_keys (
    kid                      TEXT    PRIMARY KEY,
    alg                      TEXT    NOT NULL,
    public_jwk               TEXT    NOT NULL,
    private_sealed           BLOB    NOT NULL,
    created_at               INTEGER NOT NULL,
    published_at             INTEGER NOT NULL,
    activated_at             INTEGER,
    superseded_at            INTEGER,
    expires_at               INTEGER
);
CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (alg)
    WHERE activated_at IS NOT NULL AND superseded_at IS NULL;
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (alg) WHERE activated_at IS NULL;

-- What an operator asks about later (docs/audit.md). No secret, no profile datum.
CREATE TABLE audit_events (
    id                       BLOB    PRIMARY KEY,
    at                       INTEGER NOT NULL,
    kind                     TEXT    NOT NULL,
    user_id                  BLOB,
    client_id                TEXT,
    grant_id                 BLOB,
    -- request, command, or service: a job of ours.
    initiator                TEXT    NOT NULL,
    request_id               TEXT,
    detail                   TEXT    NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_events_at ON audit_events (at);

-- Which replica runs a periodic job, and until when.
CREATE TABLE job_leases (
    name                     TEXT    PRIMARY KEY,
    holder                   BLOB    NOT NULL,
    until                    INTEGER NOT NULL
);
