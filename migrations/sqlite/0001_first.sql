-- Users: an id of ours beside Kakao's member number, what the person shares and agreed to, and the link to Kakao.
CREATE TABLE users (
    id                       BLOB    PRIMARY KEY,
    kakao_id                 INTEGER UNIQUE CHECK (kakao_id > 0),
    nickname                 TEXT,
    name                     TEXT,
    picture                  TEXT,
    email                    TEXT,
    email_verified           BOOLEAN NOT NULL DEFAULT false,
    phone_number             TEXT,
    gender                   TEXT,
    birthdate                TEXT,
    age_range                TEXT,
    roles                    TEXT    NOT NULL DEFAULT '[]',
    created_at               INTEGER NOT NULL,
    updated_at               INTEGER NOT NULL,
    last_login_at            INTEGER NOT NULL,
    -- Since when the operator keeps this user out.
    disabled_at              INTEGER,
    -- Since when the account is deleted: the id stays, the person is gone.
    deleted_at               INTEGER,
    -- Logins from before this are void, whatever ended them. Their rows are ended afterwards.
    logins_valid_from        INTEGER,
    -- Tokens that were issued before this are void: the feed tells resource servers. Earlier than the above if the user kept a
    -- login while all others were ended.
    tokens_valid_from        INTEGER,

    -- Consent as data: the items that were granted and those that could still be asked for (each space-separated), and the
    -- terms of Kakao Sync.
    kakao_scope              TEXT,
    needs_agreement          TEXT,
    service_terms            TEXT,
    -- When Kakao last refused this person for being under 14.
    under_age_at             INTEGER,

    -- The link to Kakao. An event counts only if it is later than what it is about: that makes the order in which events
    -- arrive, and arrive again, meaningless.
    unlinked_at              INTEGER,
    unlink_reason            TEXT,
    -- Encrypted with a key derived from secrets.master_key; never in clear.
    kakao_refresh_token      BLOB,
    kakao_refresh_expires_at INTEGER,
    kakao_token_at           INTEGER,
    profile_read_at          INTEGER,
    profile_stale_at         INTEGER,
    -- When the jobs that ask Kakao tried last.
    profile_tried_at         INTEGER,
    kakao_renewed_at         INTEGER
);
CREATE INDEX users_tokens_valid_from ON users (tokens_valid_from) WHERE tokens_valid_from IS NOT NULL;
CREATE INDEX users_profile_stale ON users (profile_stale_at) WHERE profile_stale_at IS NOT NULL;
CREATE INDEX users_kakao_refresh_expires_at ON users (kakao_refresh_expires_at) WHERE kakao_refresh_expires_at IS NOT NULL;

-- Login attempts that a callback has claimed. One that nobody completes has no row at all.
CREATE TABLE login_attempts (
    id          BLOB    PRIMARY KEY,
    claimed_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    failure     TEXT,
    kakao_fault TEXT
);
CREATE INDEX login_attempts_expires_at ON login_attempts (expires_at);

-- Browser sessions: one user in one browser, across clients. The cookie holds 256 random bits, the row their SHA-256.
CREATE TABLE browser_sessions (
    id              BLOB    PRIMARY KEY,
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id         BLOB    NOT NULL REFERENCES users (id),
    -- When the person logged in at Kakao; null if Kakao did not say.
    auth_time       INTEGER,
    -- When Kakao vouched for the person; see grants.logged_in_at.
    logged_in_at    INTEGER NOT NULL,
    last_used_at    INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ended_at        INTEGER
);
CREATE INDEX browser_sessions_user_id ON browser_sessions (user_id);
CREATE INDEX browser_sessions_expires_at ON browser_sessions (expires_at);

-- Grants: what one client was given by one login, its one-time code, and the generation of its refresh token.
-- Times are microseconds since the Unix epoch.
CREATE TABLE grants (
    id              BLOB    PRIMARY KEY,
    user_id         BLOB    NOT NULL REFERENCES users (id),
    client_id       TEXT    NOT NULL,
    scope           TEXT    NOT NULL,
    -- The resources that it asked for (RFC 8707).
    resource        TEXT,
    -- The browser session that it belongs to, and the browser as it names itself.
    session_id      BLOB,
    user_agent      TEXT,
    attempt_id      BLOB    UNIQUE,
    code_hash       BLOB    UNIQUE CHECK (length(code_hash) = 32),
    code_expires_at INTEGER,
    code_spent_at   INTEGER,
    redirect_uri    TEXT,
    challenge       TEXT,
    nonce           TEXT,
    -- When the person logged in at Kakao; null if Kakao did not say.
    auth_time       INTEGER,
    generation      INTEGER NOT NULL DEFAULT 0 CHECK (generation >= 0),
    refreshed_at    INTEGER NOT NULL,
    unanswered_at   INTEGER,
    idle_expires_at INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    end_reason      TEXT,
    created_at      INTEGER NOT NULL,
    -- When Kakao vouched for the person in the login that this comes of: before users.logins_valid_from it is void. Later, if
    -- the user kept this login while all others were ended.
    logged_in_at    INTEGER NOT NULL,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    -- Generation 0: its code is not exchanged yet. A grant that began without a code has tokens at once.
    CHECK ((generation = 0) = (code_hash IS NOT NULL AND code_spent_at IS NULL)),
    CHECK ((code_hash IS NULL) = (code_expires_at IS NULL)),
    CHECK ((code_hash IS NULL) = (redirect_uri IS NULL))
);
-- In batches, one behind the other, the grants of a user are ended whose logins are void.
CREATE INDEX grants_user_id ON grants (user_id, id);
-- How many there are of a user at a client.
CREATE INDEX grants_not_ended ON grants (user_id, client_id, created_at) WHERE ended_at IS NULL;
-- A grant whose code nobody exchanges goes soon.
CREATE INDEX grants_unspent ON grants (code_expires_at) WHERE code_hash IS NOT NULL AND code_spent_at IS NULL;
CREATE INDEX grants_session_id ON grants (session_id);
CREATE INDEX grants_expires_at ON grants (expires_at);
-- The revocation feed reads what ended lately.
CREATE INDEX grants_ended_at ON grants (ended_at) WHERE ended_at IS NOT NULL;

-- Signing keys: next (not activated), current (activated, not superseded), previous (superseded, until expires_at).
CREATE TABLE signing_keys (
    kid            TEXT    PRIMARY KEY,
    alg            TEXT    NOT NULL,
    public_jwk     TEXT    NOT NULL,
    -- Null once only the public half is kept.
    private_key_encrypted BLOB,
    created_at     INTEGER NOT NULL,
    published_at   INTEGER NOT NULL,
    activated_at   INTEGER,
    superseded_at  INTEGER,
    expires_at     INTEGER,
    -- Until when an ID token that it signed is understood as a hint.
    hints_until    INTEGER
);
CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (alg)
    WHERE activated_at IS NOT NULL AND superseded_at IS NULL;
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (alg) WHERE activated_at IS NULL;

-- What an operator asks about later (docs/audit.md). No secret, no profile datum.
CREATE TABLE audit_events (
    id         BLOB    PRIMARY KEY,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    user_id    BLOB,
    client_id  TEXT,
    grant_id   BLOB,
    -- request, command, or service: a job of ours.
    initiator  TEXT    NOT NULL,
    request_id TEXT,
    detail     TEXT    NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_events_at ON audit_events (at);

-- Which replica runs a periodic job, and until when.
CREATE TABLE job_leases (
    name   TEXT    PRIMARY KEY,
    holder BLOB    NOT NULL,
    until  INTEGER NOT NULL
);

-- Client assertions (RFC 7523) that were shown, until they expire: each is good once.
CREATE TABLE client_assertions (
    id         BLOB    PRIMARY KEY CHECK (length(id) = 32),
    expires_at INTEGER NOT NULL
);
CREATE INDEX client_assertions_expires_at ON client_assertions (expires_at);

-- What is still to be done outside of the transaction that asked for it, attempt after attempt: events of Kakao's
-- webhooks to process, deleted accounts to unlink at Kakao, ended grants to tell clients of. src/store/outbox.rs has the
-- queues.
CREATE TABLE outbox (
    queue         TEXT    NOT NULL,
    -- Names the item in its queue: it is there once.
    key           BLOB    NOT NULL,
    -- Whom it is about: a Kakao account, or a client. Empty once that is to be forgotten.
    lane          TEXT    NOT NULL,
    -- NULL once it is done.
    payload       TEXT,
    created_at    INTEGER NOT NULL,
    -- Counted before the work: an attempt that takes the process with it counts.
    attempts      INTEGER NOT NULL DEFAULT 0,
    next_at       INTEGER NOT NULL,
    -- Until then whoever claimed it is at it. When that is over, the attempt has ended without a word.
    claimed_until INTEGER,
    done_at       INTEGER,
    outcome       TEXT,
    -- Since then it waits for the operator.
    set_aside_at  INTEGER,
    last_error    TEXT,
    -- When the row goes.
    expires_at    INTEGER,
    PRIMARY KEY (queue, key)
);
CREATE INDEX outbox_due ON outbox (queue, next_at) WHERE done_at IS NULL;
CREATE INDEX outbox_lane ON outbox (queue, lane);
CREATE INDEX outbox_expires_at ON outbox (expires_at) WHERE expires_at IS NOT NULL;
