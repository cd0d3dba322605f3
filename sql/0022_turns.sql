-- Locks that nobody can hold who has no business with what they guard. Anybody could take an advisory lock, knowing its number, and a
-- service that somebody has got the better of could so keep everybody from deleting an account.

-- What is done by one at a time: who is at it has its row locked.
CREATE TABLE turns (
  name text PRIMARY KEY,
  -- A row lock asks for UPDATE on some column. This one is generated: all that can be set is what it is.
  lock boolean NOT NULL GENERATED ALWAYS AS (true) STORED
);
INSERT INTO turns (name) VALUES ('deletion');

GRANT SELECT, UPDATE (lock) ON turns TO chatty_auth, chatty_operator;

-- Until the transaction ends nobody else has this number (Sources/ServiceKit/Run/Once.swift); false, without waiting, if somebody has it.
-- A row cannot be locked here, as there is none yet. Where deploy/postgres/restrict.sql has taken the advisory locks from everybody, this
-- is the way to the one kind that a service has a use for.
CREATE FUNCTION take_key(number bigint) RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT pg_try_advisory_xact_lock(number)
$$;

GRANT EXECUTE ON FUNCTION take_key TO chatty_auth, chatty_posts, chatty_feed;
