-- Mail that waits for an account that is deleted goes with it: it holds the address and a link, which is worth nothing any more.

CREATE INDEX outbox_of_account ON outbox ((payload->>'user_id')) WHERE kind = 'mail';
CREATE INDEX outbox_requests ON outbox (lower(payload->>'address' COLLATE "C")) WHERE kind = 'mail' AND payload->>'template' = 'request';

-- Requests for a link name an address and no account: they stay if somebody else has the address.
CREATE FUNCTION account_mail_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  DELETE FROM outbox WHERE kind = 'mail' AND payload->>'user_id' = OLD.id::text;
  DELETE FROM outbox WHERE kind = 'mail' AND payload->>'template' = 'request'
    AND lower(payload->>'address' COLLATE "C") = lower(OLD.email COLLATE "C")
    AND NOT EXISTS (SELECT FROM users WHERE lower(email COLLATE "C") = lower(OLD.email COLLATE "C") AND id <> OLD.id);
  RETURN NULL;
END $$;
CREATE TRIGGER remove_mail_of_deleted AFTER UPDATE OF deleted_at ON users FOR EACH ROW
  WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION account_mail_removed();
-- Accounts that nobody has confirmed are removed without being marked first.
CREATE TRIGGER remove_mail_of_removed AFTER DELETE ON users FOR EACH ROW
  WHEN (OLD.deleted_at IS NULL) EXECUTE FUNCTION account_mail_removed();

-- The mail of accounts that are gone already.
DELETE FROM outbox o WHERE kind = 'mail' AND payload ? 'user_id'
  AND NOT EXISTS (SELECT FROM users u WHERE u.id = (o.payload->>'user_id')::bigint AND u.deleted_at IS NULL);
