-- Users: an id of ours beside Kakao's member number, what the person shares and agreed to, and the link to Kakao.
CREATE TABLE users (
    id                       uuid        PRIMARY KEY,
    kakao_id                 bigint      UNIQUE CHECK (kakao_id > 0),
    nickname                 text,
    name                     text,
    picture                  text,
    email                    text,
    email_verified           boolean     NOT NULL DEFAULT false,
    phone_number             text,
    gender                   text,
    birthdate                text,
    age_range                text,
    roles                    jsonb       NOT NULL DEFAULT '[]',
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,
    last_login_at            timestamptz NOT NULL,
    -- Since when the operator keeps this user out.
    disabled_at              timestamptz,
    -- Since when the account is deleted: the id stays, the person is gone.
    deleted_at               timestamptz,
    -- Logins from before this are void, whatever ended them. Their rows are ended afterwards.
    logins_valid_from        timestamptz,
    -- Tokens that were issued before this are void: the feed tells resource servers. Earlier than the above if the user kept a
    -- login while all others were ended.
    tokens_valid_from        timestamptz,

    -- Consent as data: the items that were granted and those that could still be asked for (each space-separated), and the
    -- terms of Kakao Sync.
    kakao_scope              text,
    needs_agreement          text,
    service_terms            jsonb,
    -- When Kakao last refused this person for being under 14.
    under_age_at             timestamptz,

    -- The link to Kakao. An event counts only if it is later than what it is about: that makes the order in which events
    -- arrive, and arrive again, meaningless.
    unlinked_at              timestamptz,
    unlink_reason            text,
    -- Encrypted with a key derived from secrets.master_key; never in clear.
    kakao_refresh_token      bytea,
    kakao_refresh_expires_at timestamptz,
    kakao_token_at           timestamptz,
    profile_read_at          timestamptz,
    profile_stale_at         timestamptz,
    -- When the jobs that ask Kakao tried last.
    profile_tried_at         timestamptz,
    kakao_renewed_at         timestamptz
);
CREATE INDEX users_tokens_valid_from ON users (tokens_valid_from) WHERE tokens_valid_from IS NOT NULL;
CREATE INDEX users_profile_stale ON users (profile_stale_at) WHERE profile_stale_at IS NOT NULL;
CREATE INDEX users_kakao_refresh_expires_at ON users (kakao_refresh_expires_at) WHERE kakao_refresh_expires_at IS NOT NULL;

-- Login attempts that a callback has claimed. One that nobody completes has no row at all.
CREATE TABLE login_attempts (
    id          bytea       PRIMARY KEY,
    claimed_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    failure     text,
    kakao_fault text
);
CREATE INDEX login_attempts_expires_at ON login_attempts (expires_at);

-- Browser sessions: one user in one browser, across clients. The cookie holds 256 random bits, the row their SHA-256.
CREATE TABLE browser_sessions (
    id              uuid        PRIMARY KEY,
    token_hash      bytea       NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id         uuid        NOT NULL REFERENCES users (id),
    -- When the person logged in at Kakao; null if Kakao did not say.
    auth_time       timestamptz,
    -- When Kakao vouched for the person; see grants.logged_in_at.
    logged_in_at    timestamptz NOT NULL,
    last_used_at    timestamptz NOT NULL,
    idle_expires_at timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    ended_at        timestamptz
);
CREATE INDEX browser_sessions_user_id ON browser_sessions (user_id);
CREATE INDEX browser_sessions_expires_at ON browser_sessions (expires_at);

-- Grants: what one client was given by one login, its one-time code, and the generation of its refresh token.
-- A refresh changes no indexed column, so that Postgres can update in place (HOT), for which pages keep some room.
CREATE TABLE grants (
    id              uuid        PRIMARY KEY,
    user_id         uuid        NOT NULL REFERENCES users (id),
    client_id       text        NOT NULL,
    scope           text        NOT NULL,
    -- The resources that it asked for (RFC 8707).
    resource        text,
    -- The browser session that it belongs to, and the browser as it names itself.
    session_id      uuid,
    user_agent      text,
    attempt_id      bytea       UNIQUE,
    code_hash       bytea       UNIQUE CHECK (length(code_hash) = 32),
    code_expires_at timestamptz,
    code_spent_at   timestamptz,
    redirect_uri    text,
    challenge       text,
    nonce           text,
    -- When the person logged in at Kakao; null if Kakao did not say.
    auth_time       timestamptz,
    generation      bigint      NOT NULL DEFAULT 0 CHECK (generation >= 0),
    refreshed_at    timestamptz NOT NULL,
    -- When it was noted that the answer with this generation was a 503: from then on the one before it is good for a moment.
    unanswered_at   timestamptz,
    idle_expires_at timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    end_reason      text,
    created_at      timestamptz NOT NULL,
    -- When Kakao vouched for the person in the login that this comes of: before users.logins_valid_from it is void. Later, if
    -- the user kept this login while all others were ended.
    logged_in_at    timestamptz NOT NULL,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    -- Generation 0: its code is not exchanged yet. A grant that began without a code has tokens at once.
    CHECK ((generation = 0) = (code_hash IS NOT NULL AND code_spent_at IS NULL)),
    CHECK ((code_hash IS NULL) = (code_expires_at IS NULL)),
    CHECK ((code_hash IS NULL) = (redirect_uri IS NULL))
) WITH (fillfactor = 80);
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
    kid            text        PRIMARY KEY,
    alg            text        NOT NULL,
    public_jwk     text        NOT NULL,
    -- Null once only the public half is kept.
    private_key_encrypted bytea,
    created_at     timestamptz NOT NULL,
    published_at   timestamptz NOT NULL,
    activated_at   timestamptz,
    superseded_at  timestamptz,
    expires_at     timestamptz,
    -- Until when an ID token that it signed is understood as a hint.
    hints_until    timestamptz
);
CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (alg)
    WHERE activated_at IS NOT NULL AND superseded_at IS NULL;
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (alg) WHERE activated_at IS NULL;

-- What an operator asks about later (docs/audit.md). No secret, no profile datum.
CREATE TABLE audit_events (
    id         uuid        PRIMARY KEY,
    at         timestamptz NOT NULL,
    kind       text        NOT NULL,
    user_id    uuid,
    client_id  text,
    grant_id   uuid,
    -- request, command, or service: a job of ours.
    initiator  text        NOT NULL,
    request_id text,
    detail     jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_events_at ON audit_events (at);

-- Which replica runs a periodic job, and until when.
CREATE TABLE job_leases (
    name   text        PRIMARY KEY,
    holder uuid        NOT NULL,
    until  timestamptz NOT NULL
);

-- Client assertions (RFC 7523) that were shown, until they expire: each is good once.
CREATE TABLE client_assertions (
    id         bytea PRIMARY KEY CHECK (length(id) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX client_assertions_expires_at ON client_assertions (expires_at);

-- What is still to be done outside of the transaction that asked for it, attempt after attempt: events of Kakao's
-- webhooks to process, deleted accounts to unlink at Kakao, ended grants to tell clients of. src/store/outbox.rs has the
-- queues.
CREATE TABLE outbox (
    queue         text        NOT NULL,
    -- Names the item in its queue: it is there once.
    key           uuid        NOT NULL,
    -- Whom it is about: a Kakao account, or a client. Empty once that is to be forgotten.
    lane          text        NOT NULL,
    -- NULL once it is done.
    payload       jsonb,
    created_at    timestamptz NOT NULL,
    -- Counted before the work: an attempt that takes the process with it counts.
    attempts      integer     NOT NULL DEFAULT 0,
    next_at       timestamptz NOT NULL,
    -- Until then whoever claimed it is at it. When that is over, the attempt has ended without a word.
    claimed_until timestamptz,
    done_at       timestamptz,
    outcome       text,
    -- Since then it waits for the operator.
    set_aside_at  timestamptz,
    last_error    text,
    -- When the row goes.
    expires_at    timestamptz,
    PRIMARY KEY (queue, key)
);
CREATE INDEX outbox_due ON outbox (queue, next_at) WHERE done_at IS NULL;
CREATE INDEX outbox_lane ON outbox (queue, lane);
CREATE INDEX outbox_expires_at ON outbox (expires_at) WHERE expires_at IS NOT NULL;
