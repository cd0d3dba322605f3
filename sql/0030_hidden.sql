-- Lists cost what they show. What somebody has written who is blocked is hidden by the join with its author, at once; but a list that
-- meets a hundred thousand such rows reads them all to leave them out. So each row says by itself, soon after, that it is hidden, and
-- the indexes that lists walk are made so that they pass by those rows (0031_settling.sql has the flags follow the accounts).
--
-- Whether a row may be seen is never asked of the flag alone: it may be late.

ALTER TABLE posts ADD COLUMN hidden boolean NOT NULL DEFAULT false;
ALTER TABLE comments ADD COLUMN hidden boolean NOT NULL DEFAULT false;
ALTER TABLE likes ADD COLUMN hidden boolean NOT NULL DEFAULT false;
-- By whom it is hidden: the one who follows is not in the followers' list, the one who is followed not in the other's.
ALTER TABLE subscriptions
  ADD COLUMN follower_hidden boolean NOT NULL DEFAULT false,
  ADD COLUMN following_hidden boolean NOT NULL DEFAULT false;

-- Everybody's newest posts.
CREATE INDEX posts_visible ON posts (id) WHERE NOT hidden;

-- The flag in the middle: a post's visible comments are one range, and all of them, for when the post goes, are one too.
CREATE INDEX comments_of_post ON comments (post_id, hidden, id);
DROP INDEX comments_post_id;
CREATE INDEX likes_of_post ON likes (post_id, hidden, created_at DESC, user_id DESC);
DROP INDEX likes_post_newest;

-- In the order in which one user's are gone through.
CREATE INDEX comments_by_user ON comments (user_id, id);
DROP INDEX comments_user_id;

CREATE INDEX subscriptions_visible ON subscriptions (follower_id, following_id) WHERE NOT following_hidden;

-- The names that a search can find.
CREATE INDEX users_active_names ON users (lower(username COLLATE "C")) WHERE is_active;

-- Counters: they count what is shown, and a row that is hidden is counted no longer, so its removal takes nothing away. ------------------

CREATE OR REPLACE FUNCTION likes_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM post_stats WHERE post_id IN (SELECT post_id FROM removed WHERE NOT hidden) ORDER BY post_id FOR NO KEY UPDATE;
  UPDATE post_stats s SET likes = s.likes - n.likes
    FROM (SELECT post_id, count(*) AS likes FROM removed WHERE NOT hidden GROUP BY post_id) n
    WHERE s.post_id = n.post_id;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION comments_removed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM post_stats WHERE post_id IN (SELECT post_id FROM removed WHERE NOT hidden) ORDER BY post_id FOR NO KEY UPDATE;
  UPDATE post_stats s SET comments = s.comments - n.comments
    FROM (SELECT post_id, count(*) AS comments FROM removed WHERE NOT hidden GROUP BY post_id) n
    WHERE s.post_id = n.post_id;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION subscriptions_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  step CONSTANT integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  PERFORM FROM author_stats
    WHERE user_id IN (
      SELECT follower_id FROM changed WHERE NOT following_hidden UNION ALL SELECT following_id FROM changed WHERE NOT follower_hidden
    )
    ORDER BY user_id FOR NO KEY UPDATE;
  UPDATE author_stats a SET followers = a.followers + n.followers, following = a.following + n.following
    FROM (
      SELECT user_id, sum(followers) AS followers, sum(following) AS following
      FROM (
        SELECT following_id AS user_id, step AS followers, 0 AS following FROM changed WHERE NOT follower_hidden
        UNION ALL
        SELECT follower_id, 0, step FROM changed WHERE NOT following_hidden
      ) both_sides
      GROUP BY user_id
    ) n
    WHERE a.user_id = n.user_id;
  RETURN NULL;
END $$;

-- Grants ---------------------------------------------------------------------------------------------------------------

-- Only who is active can be followed; and whoever adds something locks their own row so that a block waits for them, or they for it.
GRANT SELECT (is_active) ON users TO chatty_posts, chatty_feed;
-- The likes of the last week that count, for the index of likes; and counting again.
GRANT SELECT (hidden) ON likes TO chatty_worker, chatty_operator;
GRANT SELECT (hidden) ON comments TO chatty_operator;
GRANT SELECT (follower_hidden, following_hidden) ON subscriptions TO chatty_operator;
