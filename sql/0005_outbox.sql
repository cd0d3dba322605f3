-- What must leave the database: a mail, the removal of an image file. A row is written in the transaction that makes it necessary, and
-- chatty-worker does it afterwards, at least once. A rolled back transaction sends nothing, a crash forgets nothing.

CREATE TABLE outbox (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind            text NOT NULL CHECK (kind IN ('mail', 'media')),
  payload         jsonb NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  -- A claim moves it into the future: until then the row is somebody's.
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  attempts        integer NOT NULL DEFAULT 0,
  last_error      text,
  -- Given up: kept to be looked at and tried again by hand.
  dead_at         timestamptz
);
CREATE INDEX outbox_due ON outbox (kind, next_attempt_at) WHERE dead_at IS NULL;

-- Wakes the worker at the commit. It polls too: a notification that is lost costs some seconds and nothing else.
CREATE FUNCTION outbox_added() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM pg_notify('outbox', kind) FROM (SELECT DISTINCT kind FROM added) kinds;
  RETURN NULL;
END $$;
CREATE TRIGGER notify AFTER INSERT ON outbox REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_added();

-- An image goes with its post, whichever way the post goes.
CREATE FUNCTION post_images_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM removed WHERE image_key IS NOT NULL) THEN
    INSERT INTO outbox (kind, payload)
      SELECT 'media', jsonb_build_object('image_key', image_key) FROM removed WHERE image_key IS NOT NULL;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER remove_images AFTER DELETE ON posts REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION post_images_removed();
