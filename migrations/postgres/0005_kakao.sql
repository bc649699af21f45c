-- Consent as data. What the person could still be asked for (space-separated consent items), and the Kakao Sync terms.
ALTER TABLE users ADD COLUMN age_range text;
ALTER TABLE users ADD COLUMN needs_agreement text;
ALTER TABLE users ADD COLUMN service_terms jsonb;
-- When Kakao last refused this person for being under 14.
ALTER TABLE users ADD COLUMN under_age_at timestamptz;

-- The link to Kakao. An event counts only if it is later than what it is about: that makes the order in which events
-- arrive, and arrive again, meaningless.
ALTER TABLE users ADD COLUMN unlinked_at timestamptz;
ALTER TABLE users ADD COLUMN unlink_reason text;
ALTER TABLE users ADD COLUMN kakao_token_at timestamptz;
ALTER TABLE users ADD COLUMN profile_read_at timestamptz;
ALTER TABLE users ADD COLUMN profile_stale_at timestamptz;
-- When the jobs that ask Kakao tried last.
ALTER TABLE users ADD COLUMN profile_tried_at timestamptz;
ALTER TABLE users ADD COLUMN kakao_renewed_at timestamptz;
CREATE INDEX users_profile_stale ON users (profile_stale_at) WHERE profile_stale_at IS NOT NULL;
CREATE INDEX users_kakao_refresh_expires_at ON users (kakao_refresh_expires_at) WHERE kakao_refresh_expires_at IS NOT NULL;

-- A deleted account: the id stays, the person is gone.
ALTER TABLE users ADD COLUMN deleted_at timestamptz;

-- What Kakao's webhooks told: stored, answered, then worked off. `dedupe` names an event that has an id.
CREATE TABLE webhook_events (
    id          uuid        PRIMARY KEY,
    dedupe      bytea       UNIQUE CHECK (length(dedupe) = 32),
    source      text        NOT NULL,
    kind        text        NOT NULL,
    kakao_id    bigint      NOT NULL,
    at          timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    detail      jsonb       NOT NULL DEFAULT '{}',
    attempts    integer     NOT NULL DEFAULT 0,
    next_at     timestamptz NOT NULL,
    done_at     timestamptz,
    outcome     text
);
CREATE INDEX webhook_events_due ON webhook_events (next_at) WHERE done_at IS NULL;
CREATE INDEX webhook_events_kakao_id ON webhook_events (kakao_id);
CREATE INDEX webhook_events_done_at ON webhook_events (done_at) WHERE done_at IS NOT NULL;

-- Accounts that were deleted here and must still be unlinked at Kakao. A row goes an hour after it is done, once no
-- token of Kakao's from before can log the person in again; one with `dead_at` waits for the operator.
CREATE TABLE kakao_unlinks (
    user_id       uuid        PRIMARY KEY REFERENCES users (id),
    kakao_id      bigint      NOT NULL,
    -- Sealed like users.kakao_refresh_token.
    refresh_token bytea,
    asked_at      timestamptz NOT NULL,
    attempts      integer     NOT NULL DEFAULT 0,
    next_at       timestamptz NOT NULL,
    dead_at       timestamptz,
    done_at       timestamptz,
    last_fault    text
);
CREATE INDEX kakao_unlinks_due ON kakao_unlinks (next_at) WHERE dead_at IS NULL AND done_at IS NULL;
CREATE INDEX kakao_unlinks_kakao_id ON kakao_unlinks (kakao_id);
