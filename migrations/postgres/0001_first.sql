-- Users: an id of ours beside Kakao's member number, and what the person shares.
CREATE TABLE users (
    id                       uuid        PRIMARY KEY,
    kakao_id                 bigint      UNIQUE CHECK (kakao_id > 0),
    nickname                 text,
    name                     text,
    picture                  text,
    email                    text,
    email_verified           boolean     NOT NULL DEFAULT false,
    phone_number             text,
    roles                    jsonb       NOT NULL DEFAULT '[]',
    disabled_at              timestamptz,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,
    last_login_at            timestamptz NOT NULL,
    -- Sealed with a key derived from secrets.master_key; never in clear.
    kakao_refresh_token      bytea,
    kakao_refresh_expires_at timestamptz,
    kakao_scope              text
);

-- Login attempts that a callback has claimed. One that nobody finishes has no row at all.
CREATE TABLE login_attempts (
    id          bytea       PRIMARY KEY,
    claimed_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    failure     text,
    kakao_fault text
);
CREATE INDEX login_attempts_expires_at ON login_attempts (expires_at);

-- Grants: one login at one client, its one-time code, and the generation of its refresh token.
-- A refresh changes no indexed column, so that Postgres can update in place (HOT), for which pages keep some room.
CREATE TABLE grants (
    id              uuid        PRIMARY KEY,
    user_id         uuid        NOT NULL REFERENCES users (id),
    client_id       text        NOT NULL,
    scope           text        NOT NULL,
    attempt_id      bytea       UNIQUE,
    code_hash       bytea       UNIQUE CHECK (length(code_hash) = 32),
    code_expires_at timestamptz,
    code_spent_at   timestamptz,
    redirect_uri    text,
    challenge       text,
    nonce           text,
    auth_time       timestamptz NOT NULL,
    generation      bigint      NOT NULL DEFAULT 0 CHECK (generation >= 0),
    refreshed_at    timestamptz NOT NULL,
    idle_expires_at timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    end_reason      text,
    created_at      timestamptz NOT NULL,
    -- When Kakao vouched for the person in the login that this comes of: before users.logins_valid_from it is void.
    logged_in_at    timestamptz NOT NULL,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    -- Generation 0: its code is not exchanged yet. A grant that began without a code has tokens at once.
    CHECK ((generation = 0) = (code_hash IS NOT NULL AND code_spent_at IS NULL)),
    CHECK ((code_hash IS NULL) = (code_expires_at IS NULL)),
    CHECK ((code_hash IS NULL) = (redirect_uri IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX grants_user_id ON grants (user_id);
CREATE INDEX grants_expires_at ON grants (expires_at);

-- Signing keys: next (not activated), current (activated, not superseded), previous (superseded, until expires_at).
CREATE TABLE signing_keys (
    kid            text        PRIMARY KEY,
    alg            text        NOT NULL,
    public_jwk     text        NOT NULL,
    private_sealed bytea       NOT NULL,
    created_at     timestamptz NOT NULL,
    published_at   timestamptz NOT NULL,
    activated_at   timestamptz,
    superseded_at  timestamptz,
    expires_at     timestamptz
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
