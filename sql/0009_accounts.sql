-- What an account needs after its registration: sessions that are refreshed, links that do more than verify, and limits on guessing
-- and on mail, which count here so that they hold however many processes there are.

-- A refresh token has two halves: one names its session for as long as that lasts, the other is a secret that is good once. Whoever
-- has the first half without the present secret holds a token that was used before. So nothing has to be kept of old tokens, and
-- nobody can end a session who never had a token of it.
ALTER TABLE sessions ADD COLUMN family_hash bytea UNIQUE CHECK (octet_length(family_hash) = 32);
-- Nothing is looked up by it any more, and without the index a rotation is an update within one page (HOT).
ALTER TABLE sessions DROP CONSTRAINT sessions_refresh_hash_key;

ALTER TABLE email_tokens
  -- The address that a link of this purpose makes the account's.
  ADD COLUMN email text,
  DROP CONSTRAINT email_tokens_purpose_check,
  ADD CONSTRAINT email_tokens_purpose_check CHECK (purpose IN ('verify', 'change_email', 'reset')),
  ADD CONSTRAINT email_tokens_email_check CHECK ((email IS NOT NULL) = (purpose = 'change_email'));

-- How often something has been tried, by whom or on whom. The subject is hashed: people type passwords where a name is asked for.
CREATE TABLE throttles (
  kind      text NOT NULL CHECK (kind IN ('login', 'mail_from', 'mail_to')),
  subject   bytea NOT NULL CHECK (octet_length(subject) = 32),
  used      integer NOT NULL,
  resets_at timestamptz NOT NULL,
  PRIMARY KEY (kind, subject)
) WITH (fillfactor = 50);

-- Counts one try. So many are allowed in a period, and when the last of them is taken a whole period has to pass: tries in between
-- are refused and count for nothing, so that nobody can keep another out for ever.
--
-- Returns the seconds to wait, 0 if the try may go on. With 0 allowed there is no limit.
CREATE FUNCTION throttle(what text, who text, allowed bigint, period interval) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  hash CONSTANT bytea := sha256(convert_to(lower(who), 'UTF8'));
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

-- Forgets the tries that were counted; whether there were any.
CREATE FUNCTION unthrottle(what text, who text) RETURNS boolean
LANGUAGE sql SET search_path = public, pg_temp AS $$
  WITH forgotten AS (
    DELETE FROM throttles WHERE kind = what AND subject = sha256(convert_to(lower(who), 'UTF8')) RETURNING 1
  )
  SELECT EXISTS (SELECT FROM forgotten)
$$;

-- Grants ---------------------------------------------------------------------------------------------------------------

GRANT UPDATE (email, hashed_password), DELETE ON users TO chatty_auth;
GRANT INSERT (family_hash), UPDATE (refresh_hash, last_used_at, expires_at, ip, user_agent) ON sessions TO chatty_auth;
GRANT INSERT (email), DELETE ON email_tokens TO chatty_auth;
GRANT SELECT, INSERT, UPDATE, DELETE ON throttles TO chatty_auth;
GRANT EXECUTE ON FUNCTION throttle, unthrottle TO chatty_auth;

-- The worker sweeps out what has been over for long; it sees when, and nothing else.
GRANT SELECT (id, ended_at, expires_at), DELETE ON sessions TO chatty_worker;
GRANT SELECT (user_id, created_at, expires_at, used_at), DELETE ON email_tokens TO chatty_worker;
GRANT SELECT (kind, subject, resets_at), DELETE ON throttles TO chatty_worker;

GRANT UPDATE (hashed_password) ON users TO chatty_operator;
GRANT UPDATE (ended_at) ON sessions TO chatty_operator;
GRANT SELECT (kind, subject), DELETE ON throttles TO chatty_operator;
GRANT EXECUTE ON FUNCTION unthrottle TO chatty_operator;
GRANT DELETE ON outbox TO chatty_operator;
