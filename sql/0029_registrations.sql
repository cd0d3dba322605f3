-- Registrations that carried an Idempotency-Key, for a day: one that is sent again gets the first answer again. Somebody who registers is
-- nobody yet, so a key counts with what it was sent with (Sources/AuthService/Handlers.swift).

CREATE TABLE registration_keys (
  -- SHA-256 of the key, the username and the address. The password is not in it: a quick hash of it would be a gift to a thief.
  request    bytea PRIMARY KEY CHECK (octet_length(request) = 32),
  user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX registration_keys_user_id ON registration_keys (user_id);
CREATE INDEX registration_keys_created_at ON registration_keys (created_at);

GRANT SELECT, INSERT (request, user_id), UPDATE (user_id, created_at) ON registration_keys TO chatty_auth;
GRANT SELECT (request, created_at), DELETE ON registration_keys TO chatty_worker;
