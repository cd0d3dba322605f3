-- Links in mails: who may ask for them, what a new address takes, and when an account that nobody confirms is over.

ALTER TABLE email_tokens
  DROP CONSTRAINT email_tokens_purpose_check,
  -- `restore_email` gives an account the address back that it had before.
  ADD CONSTRAINT email_tokens_purpose_check CHECK (purpose IN ('verify', 'change_email', 'restore_email', 'reset')),
  DROP CONSTRAINT email_tokens_email_check,
  ADD CONSTRAINT email_tokens_email_check CHECK ((email IS NOT NULL) = (purpose IN ('change_email', 'restore_email')));

-- Whose mailbox an address is, as far as mails are counted: a+b@example.org is delivered to a@example.org.
CREATE FUNCTION mailbox_of(email text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT lower(regexp_replace(email, '^([^+@]+)\+[^@]*@', '\1@') COLLATE "C")
$$;

-- Does what somebody has asked for who may not learn whether there is such an account: writes the mail with the link, if there is one
-- that it is for and it has not had too many. The row of the outbox, which the worker has claimed, holds the request.
--
-- It runs as the schema's owner: the worker reads neither addresses nor the hashes of links.
CREATE FUNCTION answer_mail_request(row_id bigint, claim_number bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  request jsonb;
  account record;
BEGIN
  DELETE FROM outbox WHERE id = row_id AND claim = claim_number AND payload->>'template' = 'request' RETURNING payload INTO request;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  -- The account that has the address, and of those that only claim it the newest.
  SELECT id, username, email INTO account FROM users u
    WHERE lower(u.email COLLATE "C") = lower(request->>'address' COLLATE "C") AND u.blocked_at IS NULL
      AND (u.verified_at IS NULL OR request->>'purpose' = 'reset')
    ORDER BY u.verified_at IS NULL AND u.by_registration, u.email = request->>'address' DESC, u.id DESC
    LIMIT 1
    FOR SHARE;
  IF NOT FOUND OR throttle(
    'mail_to', (request->>'purpose') || ' ' || mailbox_of(account.email), (request->>'allowed')::bigint, interval '1 hour') > 0
  THEN
    RETURN false;
  END IF;
  INSERT INTO email_tokens (token_hash, user_id, purpose, expires_at)
    VALUES (sha256(convert_to(request->>'token', 'UTF8')), account.id, request->>'purpose',
      now() + CASE request->>'purpose' WHEN 'reset' THEN interval '1 hour' ELSE interval '2 days' END);
  INSERT INTO outbox (kind, payload)
    VALUES ('mail', jsonb_build_object('template', request->>'purpose', 'to', account.email, 'username', account.username,
      'user_id', account.id, 'token', request->>'token'));
  RETURN true;
END $$;

-- A new link brings an account's end two days nearer to nobody's benefit but a squatter's: it is over after twice its time in any case.
CREATE OR REPLACE VIEW abandoned_accounts AS
  SELECT u.id, u.created_at,
    EXISTS (SELECT FROM email_tokens t WHERE t.user_id = u.id AND t.used_at IS NULL AND t.expires_at > now()) AS has_link
  FROM users u
  WHERE u.verified_at IS NULL AND u.blocked_at IS NULL AND u.role = 'user'
    AND EXISTS (SELECT FROM email_tokens t WHERE t.user_id = u.id AND t.purpose = 'verify' AND t.created_at = u.created_at)
    AND NOT EXISTS (SELECT FROM email_tokens t WHERE t.user_id = u.id AND t.used_at IS NOT NULL)
    AND NOT EXISTS (SELECT FROM sessions s WHERE s.user_id = u.id);

CREATE OR REPLACE FUNCTION remove_abandoned_accounts(age interval, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  found_ids bigint[];
  removed   bigint;
BEGIN
  -- Locked first: only a statement that begins afterwards sees a link that somebody has asked for meanwhile.
  found_ids := ARRAY(
    SELECT id FROM abandoned_accounts
    WHERE created_at < now() - age AND (NOT has_link OR created_at < now() - 2 * age)
    ORDER BY created_at LIMIT at_most FOR UPDATE SKIP LOCKED
  );
  DELETE FROM users WHERE id IN (
    SELECT id FROM abandoned_accounts WHERE id = ANY (found_ids) AND (NOT has_link OR created_at < now() - 2 * age)
  );
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;

GRANT EXECUTE ON FUNCTION mailbox_of TO chatty_auth;
GRANT EXECUTE ON FUNCTION answer_mail_request TO chatty_worker;
