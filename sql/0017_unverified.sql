-- Accounts whose address nobody has confirmed hold a username and an address. After some days chatty-worker frees both.

-- Those that came by registration and that nothing can bring to life any more: the last link has run out. The link of a registration is
-- of the same transaction, and so of the same moment, as its account: accounts that came another way, such as from another program's
-- database, have none and stay.
CREATE VIEW abandoned_accounts AS
  SELECT u.id, u.created_at FROM users u
  WHERE u.verified_at IS NULL AND u.blocked_at IS NULL AND u.role = 'user'
    AND EXISTS (SELECT FROM email_tokens t WHERE t.user_id = u.id AND t.purpose = 'verify' AND t.created_at = u.created_at)
    AND NOT EXISTS (SELECT FROM email_tokens t WHERE t.user_id = u.id AND (t.used_at IS NOT NULL OR t.expires_at > now()))
    AND NOT EXISTS (SELECT FROM sessions s WHERE s.user_id = u.id);
CREATE INDEX users_unverified ON users (created_at) WHERE verified_at IS NULL;

-- Removes the oldest of those that have had their time, so many at most; how many there were.
CREATE FUNCTION remove_abandoned_accounts(age interval, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  found_ids bigint[];
  removed   bigint;
BEGIN
  -- Locked first: only a statement that begins afterwards sees a link that somebody has asked for meanwhile.
  found_ids := ARRAY(
    SELECT id FROM abandoned_accounts WHERE created_at < now() - age ORDER BY created_at LIMIT at_most FOR UPDATE SKIP LOCKED
  );
  DELETE FROM users WHERE id IN (SELECT id FROM abandoned_accounts WHERE id = ANY (found_ids));
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;

GRANT EXECUTE ON FUNCTION remove_abandoned_accounts TO chatty_worker;

-- An operator deletes an account as its owner can.
GRANT DELETE ON users TO chatty_operator;
