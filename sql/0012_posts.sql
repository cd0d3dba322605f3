-- What was still missing of posts: taking comments back, who likes a post, reports.

-- A comment is taken back by its author or by the post's.
GRANT DELETE ON comments TO chatty_posts;

-- A post's likes from the newest on. The index in whose place it comes began with the post as well: a like has as many as before.
CREATE INDEX likes_post_newest ON likes (post_id, created_at DESC, user_id DESC);
DROP INDEX likes_post_id;

-- The columns that are read are those by which a second open report is recognised.
GRANT SELECT (id, post_id, user_id, resolved_at), INSERT (post_id, user_id, reason) ON reports TO chatty_posts;
ALTER TABLE reports ADD CHECK (char_length(reason) BETWEEN 1 AND 4000);
