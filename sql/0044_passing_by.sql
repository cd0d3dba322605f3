-- A list that comes by much of what is hidden, and whose flags are still to follow (0030_hidden.sql), passes by it without looking at the
-- rows: whose they are is in the index, and whose flags are on their way is told.

-- In an order that is asked for by its name and that the primary key does not have, as there are no NULLs: by the primary key, which is
-- as good as long as nothing is hidden, a list would read all that is.
CREATE INDEX posts_shown ON posts (id DESC NULLS LAST) INCLUDE (user_id) WHERE NOT hidden;
DROP INDEX posts_visible;

GRANT SELECT (user_id) ON unsettled_accounts TO chatty_posts;
