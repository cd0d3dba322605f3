-- Which names and addresses are the same: one rule of ours, whatever collation the database was made with. Under Turkish rules lower('INFO')
-- is not 'info', and both could register.
--
-- Case is that of ASCII, which COLLATE "C" folds and nothing else; every name that can be registered is ASCII. Of usernames `.`, `_` and
-- `-` do not count either: nobody is to be taken for another. A login names its account more exactly: without regard to case alone.

ALTER TABLE users
  -- It came by registration: until its address is confirmed, it only claims it, and others may as well. Whoever owns the address confirms
  -- one of the claims, and the others go.
  ADD COLUMN by_registration boolean NOT NULL DEFAULT false,
  -- Its name or its address is too like an older account's, from before this rule. It stays; no third can come.
  ADD COLUMN is_twin boolean NOT NULL DEFAULT false;

UPDATE users u SET by_registration = true
  WHERE u.verified_at IS NULL
    AND EXISTS (SELECT FROM email_tokens t WHERE t.user_id = u.id AND t.purpose = 'verify' AND t.created_at = u.created_at);

UPDATE users u SET is_twin = true
  FROM (
    SELECT id, row_number() OVER (PARTITION BY translate(lower(username COLLATE "C"), '._-', '') ORDER BY id) AS by_name,
      row_number() OVER (PARTITION BY lower(email COLLATE "C") ORDER BY id) AS by_address
    FROM users
  ) twins
  WHERE twins.id = u.id AND (twins.by_name > 1 OR twins.by_address > 1);

DROP INDEX users_username_key;
CREATE UNIQUE INDEX users_username_key ON users (translate(lower(username COLLATE "C"), '._-', '')) WHERE NOT is_twin;
DROP INDEX users_email_key;
CREATE UNIQUE INDEX users_email_key ON users (lower(email COLLATE "C")) WHERE NOT is_twin AND (verified_at IS NOT NULL OR NOT by_registration);

-- For look-ups, which find every account.
CREATE INDEX users_username ON users (lower(username COLLATE "C"));
CREATE INDEX users_email ON users (lower(email COLLATE "C"));

GRANT INSERT (by_registration) ON users TO chatty_auth;
GRANT SELECT (by_registration) ON users TO chatty_operator;
