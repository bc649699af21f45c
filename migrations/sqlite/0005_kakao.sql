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
