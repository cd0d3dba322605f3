-- How many likes, comments, posts and followers: kept beside the rows that are counted, in narrow tables without a second index,
-- so that counting is an update within one page (HOT).
--
-- Who counts: likes and comments, the two things that people do all the time, are counted by the statement that adds them, because a
-- trigger costs an insert a quarter of its speed. Everything else is counted by the triggers here, and so is whatever goes:
-- rows go by many ways (taken back, deleted with their post, by a moderator, with an account) and all of them lead through a trigger.
--
-- Nothing here may deadlock, so everybody takes locks in this order:
--
--   users → posts → likes, comments, subscriptions → post_stats → author_stats, and within a table by id.
--
-- A statement that adds a like or a comment therefore locks its post FOR KEY SHARE before it counts, as the foreign key would do
-- only afterwards. The triggers are statement triggers, which run after the cascades of foreign keys; and the counters have no
-- foreign key, since a cascade would lock a post's counters before its likes. A trigger removes them instead.

CREATE TABLE post_stats (
  post_id  bigint PRIMARY KEY,
  likes    integer NOT NULL DEFAULT 0,
  comments integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE author_stats (
  user_id      bigint PRIMARY KEY,
  -- The newest post, by which a feed chooses whose posts to read.
  last_post_id bigint,
  posts        integer NOT NULL DEFAULT 0,
  followers    integer NOT NULL DEFAULT 0,
  following    integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- The functions run as the schema's owner: a service that may delete a like need not be able to write counters.

-- Users --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION users_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO author_stats (user_id) SELECT id FROM added;
  RETURN NULL;
END $$;
CREATE TRIGGER count_added AFTER INSERT ON users REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION users_added();

CREATE FUNCTION users_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  DELETE FROM author_stats a USING removed r WHERE a.user_id = r.id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_removed AFTER DELETE ON users REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION users_removed();

-- Posts --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION posts_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO post_stats (post_id) SELECT id FROM added;
  PERFORM FROM author_stats WHERE user_id IN (SELECT user_id FROM added) ORDER BY user_id FOR NO KEY UPDATE;
  UPDATE author_stats a SET posts = a.posts + n.posts, last_post_id = greatest(a.last_post_id, n.last_post_id)
    FROM (SELECT user_id, count(*) AS posts, max(id) AS last_post_id FROM added GROUP BY user_id) n
    WHERE a.user_id = n.user_id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_added AFTER INSERT ON posts REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION posts_added();

CREATE FUNCTION posts_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM post_stats WHERE post_id IN (SELECT id FROM removed) ORDER BY post_id FOR UPDATE;
  DELETE FROM post_stats s USING removed r WHERE s.post_id = r.id;
  -- Locked first: only a statement that begins afterwards sees the posts that others have added or removed meanwhile.
  PERFORM FROM author_stats WHERE user_id IN (SELECT user_id FROM removed) ORDER BY user_id FOR NO KEY UPDATE;
  UPDATE author_stats a SET posts = a.posts - n.posts, last_post_id = (SELECT max(p.id) FROM posts p WHERE p.user_id = a.user_id)
    FROM (SELECT user_id, count(*) AS posts FROM removed GROUP BY user_id) n
    WHERE a.user_id = n.user_id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_removed AFTER DELETE ON posts REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION posts_removed();

-- Likes and comments -------------------------------------------------------------------------------------------------

CREATE FUNCTION likes_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM post_stats WHERE post_id IN (SELECT post_id FROM removed) ORDER BY post_id FOR NO KEY UPDATE;
  UPDATE post_stats s SET likes = s.likes - n.likes
    FROM (SELECT post_id, count(*) AS likes FROM removed GROUP BY post_id) n
    WHERE s.post_id = n.post_id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_removed AFTER DELETE ON likes REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION likes_removed();

CREATE FUNCTION comments_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM post_stats WHERE post_id IN (SELECT post_id FROM removed) ORDER BY post_id FOR NO KEY UPDATE;
  UPDATE post_stats s SET comments = s.comments - n.comments
    FROM (SELECT post_id, count(*) AS comments FROM removed GROUP BY post_id) n
    WHERE s.post_id = n.post_id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_removed AFTER DELETE ON comments REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION comments_removed();

-- Subscriptions ------------------------------------------------------------------------------------------------------

-- A subscription counts for two users, the one who follows and the one who is followed. Their rows are locked together, by id.
CREATE FUNCTION subscriptions_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  step CONSTANT integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  PERFORM FROM author_stats
    WHERE user_id IN (SELECT follower_id FROM changed UNION ALL SELECT following_id FROM changed)
    ORDER BY user_id FOR NO KEY UPDATE;
  UPDATE author_stats a SET followers = a.followers + n.followers, following = a.following + n.following
    FROM (
      SELECT user_id, sum(followers) AS followers, sum(following) AS following
      FROM (
        SELECT following_id AS user_id, step AS followers, 0 AS following FROM changed
        UNION ALL
        SELECT follower_id, 0, step FROM changed
      ) both_sides
      GROUP BY user_id
    ) n
    WHERE a.user_id = n.user_id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_added AFTER INSERT ON subscriptions REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_changed();
CREATE TRIGGER count_removed AFTER DELETE ON subscriptions REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_changed();
