-- Tokens of a user that were issued before this are void; the revocation feed tells siblings.
ALTER TABLE users ADD COLUMN not_before timestamptz;
CREATE INDEX users_not_before ON users (not_before) WHERE not_before IS NOT NULL;
