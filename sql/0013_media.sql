-- Images: how much room they take, and which are being made (Sources/PostService/Images.swift).

ALTER TABLE posts ADD COLUMN image_bytes bigint CHECK (image_bytes >= 0);
-- A name is one post's. And by it an operator finds the rows that files belong to.
CREATE UNIQUE INDEX posts_image_key ON posts (image_key) WHERE image_key IS NOT NULL;

-- Names of images whose files are being made, or were when something died. After an hour it is the latter.
CREATE TABLE pending_media (
  image_key  text PRIMARY KEY,
  -- No foreign key: an account may go meanwhile, and the files have to go after it.
  user_id    bigint NOT NULL,
  -- The room that the files may take.
  reserved   bigint NOT NULL CHECK (reserved >= 0),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX pending_media_created_at ON pending_media (created_at);

-- What a user's images take, and what is reserved for those that are being made.
ALTER TABLE author_stats ADD COLUMN media_bytes bigint NOT NULL DEFAULT 0;

CREATE OR REPLACE FUNCTION posts_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO post_stats (post_id) SELECT id FROM added;
  PERFORM FROM author_stats WHERE user_id IN (SELECT user_id FROM added) ORDER BY user_id FOR NO KEY UPDATE;
  UPDATE author_stats a
    SET posts = a.posts + n.posts, last_post_id = greatest(a.last_post_id, n.last_post_id), media_bytes = a.media_bytes + n.media_bytes
    FROM (
      SELECT user_id, count(*) AS posts, max(id) AS last_post_id, coalesce(sum(image_bytes), 0) AS media_bytes FROM added GROUP BY user_id
    ) n
    WHERE a.user_id = n.user_id;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION posts_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM post_stats WHERE post_id IN (SELECT id FROM removed) ORDER BY post_id FOR UPDATE;
  DELETE FROM post_stats s USING removed r WHERE s.post_id = r.id;
  -- Locked first: only a statement that begins afterwards sees the posts that others have added or removed meanwhile.
  PERFORM FROM author_stats WHERE user_id IN (SELECT user_id FROM removed) ORDER BY user_id FOR NO KEY UPDATE;
  UPDATE author_stats a
    SET posts = a.posts - n.posts, last_post_id = (SELECT max(p.id) FROM posts p WHERE p.user_id = a.user_id),
      media_bytes = a.media_bytes - n.media_bytes
    FROM (SELECT user_id, count(*) AS posts, coalesce(sum(image_bytes), 0) AS media_bytes FROM removed GROUP BY user_id) n
    WHERE a.user_id = n.user_id;
  RETURN NULL;
END $$;

CREATE FUNCTION pending_media_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM author_stats WHERE user_id IN (SELECT user_id FROM removed) ORDER BY user_id FOR NO KEY UPDATE;
  UPDATE author_stats a SET media_bytes = a.media_bytes - n.reserved
    FROM (SELECT user_id, sum(reserved) AS reserved FROM removed GROUP BY user_id) n
    WHERE a.user_id = n.user_id;
  RETURN NULL;
END $$;
CREATE TRIGGER give_back AFTER DELETE ON pending_media REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION pending_media_removed();

GRANT INSERT (image_filename, image_key, image_bytes) ON posts TO chatty_posts;
GRANT SELECT (image_key, user_id), INSERT (image_key, user_id, reserved), DELETE ON pending_media TO chatty_posts;
GRANT SELECT (user_id, media_bytes), UPDATE (media_bytes) ON author_stats TO chatty_posts;

GRANT SELECT (image_key, created_at), DELETE ON pending_media TO chatty_worker;
GRANT INSERT (kind, payload) ON outbox TO chatty_worker;

GRANT SELECT (id, user_id, image_key, image_bytes) ON posts TO chatty_operator;
GRANT SELECT (image_key, user_id, reserved) ON pending_media TO chatty_operator;
GRANT UPDATE (media_bytes) ON author_stats TO chatty_operator;
