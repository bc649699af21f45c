-- Consent as data. What the person could still be asked for (space-separated consent items), and the Kakao Sync terms.
ALTER TABLE users ADD COLUMN age_range TEXT;
ALTER TABLE users ADD COLUMN needs_agreement TEXT;
ALTER TABLE users ADD COLUMN service_terms TEXT;
-- When Kakao last refused this person for being under 14.
ALTER TABLE users ADD COLUMN under_age_at INTEGER;

-- The link to Kakao. An event counts only if it is later than what it is about: that makes the order in which events
-- arrive, and arrive again, meaningless.
ALTER TABLE users ADD COLUMN unlinked_at INTEGER;
ALTER TABLE users ADD COLUMN unlink_reason TEXT;
ALTER TABLE users ADD COLUMN kakao_token_at INTEGER;
ALTER TABLE users ADD COLUMN profile_read_at INTEGER;
ALTER TABLE users ADD COLUMN profile_stale_at INTEGER;
-- When the jobs that ask Kakao tried last.
ALTER TABLE users ADD COLUMN profile_tried_at INTEGER;
ALTER TABLE users ADD COLUMN kakao_renewed_at INTEGER;
CREATE INDEX users_profile_stale ON users (profile_stale_at) WHERE profile_stale_at IS NOT NULL;
CREATE INDEX users_kakao_refresh_expires_at ON users (kakao_refresh_expires_at) WHERE kakao_refresh_expires_at IS NOT NULL;

-- A deleted account: the id stays, the person is gone.
ALTER TABLE users ADD COLUMN deleted_at INTEGER;

-- What Kakao's webhooks told: stored, answered, then worked off. `dedupe` names an event that has an id.
CREATE TABLE webhook_events (
    id          BLOB        PRIMARY KEY,
    dedupe      BLOB       UNIQUE CHECK (length(dedupe) = 32),
    source      TEXT        NOT NULL,
    kind        TEXT        NOT NULL,
    kakao_id    INTEGER      NOT NULL,
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    detail      TEXT       NOT NULL DEFAULT '{}',
    attempts    integer     NOT NULL DEFAULT 0,
    next_at     INTEGER NOT NULL,
    done_at     INTEGER,
    outcome     text
);
CREATE INDEX webhook_events_due ON webhook_events (next_at) WHERE done_at IS NULL;
CREATE INDEX webhook_events_kakao_id ON webhook_events (kakao_id);
CREATE INDEX webhook_events_done_at ON webhook_events (done_at) WHERE done_at IS NOT NULL;

-- Accounts that were deleted here and must still be unlinked at Kakao. A row goes an hour after it is done, once no
-- token of Kakao's from before can log the person in again; one with `dead_at` waits for the operator.
CREATE TABLE kakao_unlinks (
    user_id       BLOB        PRIMARY KEY REFERENCES users (id),
    kakao_id      INTEGER      NOT NULL,
    -- Sealed like users.kakao_refresh_token.
    refresh_token BLOB,
    asked_at      INTEGER NOT NULL,
    attempts      integer     NOT NULL DEFAULT 0,
    next_at       INTEGER NOT NULL,
    dead_at       INTEGER,
    done_at       INTEGER,
    last_fault    text
);
CREATE INDEX kakao_unlinks_due ON kakao_unlinks (next_at) WHERE dead_at IS NULL AND done_at IS NULL;
CREATE INDEX kakao_unlinks_kakao_id ON kakao_unlinks (kakao_id);
