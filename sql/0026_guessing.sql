-- Who guesses passwords is slowed down, and nobody else is (the numbers and their reasons are in Sources/AuthService/Attempts.swift).
-- Everything counts here, so that it holds however many processes there are.

-- The first half says whose name it is about, the second where the tries come from: what is counted of one name is one range.
CREATE FUNCTION throttle_subject(who text, place text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
  SELECT substr(sha256(convert_to(lower(who COLLATE "C"), 'UTF8')), 1, 16) || substr(sha256(convert_to(place, 'UTF8')), 1, 16)
$$;

-- As throttle of 0009_accounts.sql, for tries that come from one place.
CREATE FUNCTION throttle(what text, who text, place text, allowed bigint, period interval) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  hash CONSTANT bytea := throttle_subject(who, place);
BEGIN
  IF allowed = 0 THEN
    RETURN 0;
  END IF;
  INSERT INTO throttles AS t (kind, subject, used, resets_at) VALUES (what, hash, 1, now() + period)
    ON CONFLICT (kind, subject) DO UPDATE SET
      used = CASE WHEN t.resets_at <= now() THEN 1 ELSE t.used + 1 END,
      resets_at = CASE WHEN t.resets_at <= now() OR t.used + 1 >= allowed THEN now() + period ELSE t.resets_at END
    WHERE t.resets_at <= now() OR t.used < allowed;
  IF FOUND THEN
    RETURN 0;
  END IF;
  RETURN (SELECT greatest(ceil(extract(epoch FROM t.resets_at - now())), 1) FROM throttles t WHERE t.kind = what AND t.subject = hash);
END $$;

CREATE OR REPLACE FUNCTION throttle(what text, who text, allowed bigint, period interval) RETURNS bigint
LANGUAGE sql SET search_path = public, pg_temp AS $$
  SELECT throttle(what, who, '', allowed, period)
$$;

-- Forgets what was counted of a name, from wherever it came.
CREATE OR REPLACE FUNCTION unthrottle(what text, who text) RETURNS boolean
LANGUAGE sql SET search_path = public, pg_temp AS $$
  WITH forgotten AS (
    DELETE FROM throttles WHERE kind = what
      AND subject BETWEEN substr(throttle_subject(who, ''), 1, 16) || decode(repeat('00', 16), 'hex')
        AND substr(throttle_subject(who, ''), 1, 16) || decode(repeat('ff', 16), 'hex')
    RETURNING 1
  )
  SELECT EXISTS (SELECT FROM forgotten)
$$;

-- Hashes -----------------------------------------------------------------------------------------------------------------

-- For whom a password hash is being computed: one at a time for each name. A row that its process did not live to remove counts for
-- some seconds.
CREATE UNLOGGED TABLE hashes_in_work (
  name    bytea PRIMARY KEY CHECK (octet_length(name) = 32),
  -- `proof`: whether a password is right; `reset`: a new one.
  purpose text NOT NULL CHECK (purpose IN ('proof', 'reset')),
  until   timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Takes the turn of a name. NULL if it is taken; otherwise what the hash that is in work is for.
CREATE FUNCTION claim_hash(who text, what text) RETURNS text
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  hash CONSTANT bytea := sha256(convert_to(lower(who COLLATE "C"), 'UTF8'));
BEGIN
  INSERT INTO hashes_in_work AS h (name, purpose, until) VALUES (hash, what, now() + interval '15 seconds')
    ON CONFLICT (name) DO UPDATE SET purpose = what, until = now() + interval '15 seconds' WHERE h.until <= now();
  IF FOUND THEN
    RETURN NULL;
  END IF;
  RETURN coalesce((SELECT purpose FROM hashes_in_work WHERE name = hash), what);
END $$;

CREATE FUNCTION release_hash(who text) RETURNS boolean LANGUAGE sql SET search_path = public, pg_temp AS $$
  WITH released AS (DELETE FROM hashes_in_work WHERE name = sha256(convert_to(lower(who COLLATE "C"), 'UTF8')) RETURNING 1)
  SELECT EXISTS (SELECT FROM released)
$$;

-- Attempts ---------------------------------------------------------------------------------------------------------------

-- Where an account's owner has logged in: an IPv4 address, or the /64 of an IPv6 one.
CREATE TABLE login_places (
  user_id       bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  network       cidr NOT NULL,
  last_login_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, network)
);
CREATE INDEX login_places_last_login_at ON login_places (last_login_at);

CREATE FUNCTION pg_temp.place(ip text) RETURNS cidr LANGUAGE plpgsql AS $$
BEGIN
  RETURN network(set_masklen(ip::inet, CASE family(ip::inet) WHEN 4 THEN 32 ELSE 64 END));
EXCEPTION WHEN OTHERS THEN
  RETURN NULL; -- a proxy may have said something else
END $$;
INSERT INTO login_places (user_id, network, last_login_at)
  SELECT user_id, network, max(last_used_at)
  FROM (SELECT user_id, pg_temp.place(ip) AS network, last_used_at FROM sessions WHERE ip IS NOT NULL) s
  WHERE network IS NOT NULL
  GROUP BY user_id, network;

-- Counts an attempt to prove a password, and takes the turn of its name for the hash.
--
-- `wait`: the seconds until another attempt, 0 if the password may be looked at. `slow`: the same, for a place of the owner's: the
-- password is looked at nevertheless, but a wrong one is told to wait. `is_counted`: it was counted among those of all strangers.
CREATE FUNCTION login_attempt(
  who text, client text, network text, is_known boolean, allowed bigint, period interval, OUT wait bigint, OUT slow bigint,
  OUT is_counted boolean
) LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  slow := 0;
  is_counted := false;
  IF claim_hash(who, 'proof') IS NOT NULL THEN
    wait := 1;
    RETURN;
  END IF;
  IF is_known THEN
    wait := throttle('login', who, 'known ' || client, 20 * allowed, period);
    IF wait = 0 THEN
      slow := throttle('login', who, client, allowed, period);
    END IF;
  ELSE
    wait := throttle('login', who, client, allowed, period);
    IF wait = 0 THEN
      wait := throttle('login', who, 'network ' || network, 3 * allowed, period);
    END IF;
    IF wait = 0 THEN
      wait := throttle('login', who, 'everywhere', 10 * allowed, period);
      is_counted := wait = 0;
      IF wait > 0 AND throttle('login', who, 'first ' || network, 1, interval '1 day') = 0 THEN
        wait := 0;
      END IF;
    END IF;
  END IF;
  IF wait > 0 THEN
    PERFORM release_hash(who);
  END IF;
END $$;

-- As login_attempt, for somebody who is logged in and says their password again: `who` is their username. What a session fails in is counted
-- for itself.
CREATE FUNCTION session_attempt(who text, session bigint, allowed bigint, period interval) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wait bigint;
BEGIN
  IF claim_hash(who, 'proof') IS NOT NULL THEN
    RETURN 1;
  END IF;
  wait := throttle('login', 'session ' || session, allowed, period);
  IF wait > 0 THEN
    PERFORM release_hash(who);
  END IF;
  RETURN wait;
END $$;

-- Takes back what was counted of an attempt with the right password. What others have tried from elsewhere stays counted.
CREATE FUNCTION forgive_login(who text, client text, network text, is_counted boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  place text;
BEGIN
  -- Row by row in the order in which attempts lock them.
  FOREACH place IN ARRAY ARRAY['known ' || client, client] LOOP
    DELETE FROM throttles WHERE kind = 'login' AND subject = throttle_subject(who, place);
  END LOOP;
  IF is_counted THEN
    FOREACH place IN ARRAY ARRAY['network ' || network, 'everywhere'] LOOP
      UPDATE throttles SET used = greatest(used - 1, 0) WHERE kind = 'login' AND subject = throttle_subject(who, place);
    END LOOP;
  END IF;
  DELETE FROM throttles WHERE kind = 'login' AND subject = throttle_subject(who, 'first ' || network);
  RETURN true;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON hashes_in_work, login_places TO chatty_auth;
GRANT EXECUTE ON FUNCTION throttle_subject, throttle(text, text, text, bigint, interval), claim_hash, release_hash, login_attempt,
  session_attempt, forgive_login
  TO chatty_auth;
GRANT EXECUTE ON FUNCTION throttle_subject TO chatty_operator;
GRANT SELECT (user_id, network, last_login_at), DELETE ON login_places TO chatty_worker;
