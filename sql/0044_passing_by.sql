-- A list that comes by much of what is hidden, and whose flags are still to follow (0030_hidden.sql), passes by it without looking at the
-- rows: whose they are is in the index, and whose flags are on their way is told.

-- In an order that is asked for by its name and that the primary key does not have, as there are no NULLs: by the primary key, which is
-- as good as long as nothing is hidden, a list would read all that is.
CREATE INDEX posts_shown ON posts (id DESC NULLS LAST) INCLUDE (user_id) WHERE NOT hidden;
DROP INDEX posts_visible;

GRANT SELECT (user_id) ON unsettled_accounts TO chatty_posts;

-- And the newest posts of all are by those with the newest last posts, of whom only few are looked at.
CREATE INDEX author_stats_newest ON author_stats (last_post_id DESC) WHERE last_post_id IS NOT NULL;

GRANT SELECT (user_id, last_post_id) ON author_stats TO chatty_posts;
