-- Requests that were done already: what a client that lost the answer gets when it sends one again (Sources/ServiceKit/Run/Once.swift).

CREATE TABLE idempotency_keys (
  -- 0 for somebody without a token. No foreign key: these rows may not make anybody wait for a user's row.
  user_id     bigint NOT NULL,
  key         text NOT NULL CHECK (key ~ '^[!-~]{1,255}$'),
  -- SHA-256 of the request, so that the key of one is not taken for another.
  fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
  answer      bytea NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, key)
);
-- A row counts for a day; after that chatty-worker removes it.
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- An answer repeats what its user wrote, and goes with them.
CREATE FUNCTION idempotency_keys_of_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  DELETE FROM idempotency_keys k USING removed r WHERE k.user_id = r.id;
  RETURN NULL;
END $$;
CREATE TRIGGER remove_answers AFTER DELETE ON users REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION idempotency_keys_of_removed();

GRANT SELECT, INSERT (user_id, key, fingerprint, answer), UPDATE (fingerprint, answer, created_at) ON idempotency_keys
  TO chatty_posts, chatty_feed;
GRANT SELECT (user_id, key, created_at), DELETE ON idempotency_keys TO chatty_worker;
