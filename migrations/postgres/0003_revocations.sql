-- Logins from before this are void, whatever ended them, and so are tokens that were issued before; the feed tells others.
ALTER TABLE users ADD COLUMN logins_valid_from timestamptz;
CREATE INDEX users_logins_valid_from ON users (logins_valid_from) WHERE logins_valid_from IS NOT NULL;
