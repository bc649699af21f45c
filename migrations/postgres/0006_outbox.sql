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
