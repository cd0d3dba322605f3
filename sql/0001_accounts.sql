-- Who there is, and who is logged in.

-- Every function of the schema is a trigger's: nobody has to be able to call one.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE users (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  username        text NOT NULL CHECK (username ~ '^[A-Za-z0-9_.-]{3,32}$'),
  email           text NOT NULL CHECK (octet_length(email) <= 254 AND email LIKE '_%@_%' AND email !~ '[[:space:][:cntrl:]]'),
  -- In the format of crypt(5), which names its method: a hash that another program made stays good.
  hashed_password text NOT NULL,
  role            text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'moderator', 'admin')),
  verified_at     timestamptz,
  -- A state of its own beside verified_at, so that lifting a block restores what was before.
  blocked_at      timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now(),
  is_active       boolean NOT NULL GENERATED ALWAYS AS (verified_at IS NOT NULL AND blocked_at IS NULL) STORED
);

-- text_pattern_ops: one index for equality and for the search by prefix, whatever the database's collation.
CREATE UNIQUE INDEX users_username_key ON users (lower(username) text_pattern_ops);
CREATE UNIQUE INDEX users_email_key ON users (lower(email) text_pattern_ops);

CREATE TABLE sessions (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id      bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  refresh_hash bytea NOT NULL UNIQUE CHECK (octet_length(refresh_hash) = 32),
  created_at   timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL,
  ended_at     timestamptz,
  -- What the client said of itself, to be shown to the session's owner. Text, since a proxy may say more than an address.
  ip           text,
  user_agent   text
);
CREATE INDEX sessions_user_id ON sessions (user_id, id);

-- The sessions whose access tokens count. Every statement that runs for a caller asks here, so the end of a session, a block and
-- a change of role act on the next request. A service reads this view and neither of its tables' secrets.
CREATE VIEW active_sessions AS
  SELECT s.id, s.user_id, u.username, u.role
  FROM sessions s JOIN users u ON u.id = s.user_id
  WHERE s.ended_at IS NULL AND s.expires_at > now() AND u.is_active;

-- Links that were mailed: the SHA-256 of what is in the link, since whoever has the link has the account.
CREATE TABLE email_tokens (
  token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  purpose    text NOT NULL CHECK (purpose IN ('verify')),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at    timestamptz
);
CREATE INDEX email_tokens_user_id ON email_tokens (user_id);
