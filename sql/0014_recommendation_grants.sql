-- The index of likes: who may read what it is built from. chatty-worker has it built, and an operator can build it by hand.

-- All likes and when; which users count as neighbours and whose posts are hidden; who wrote what.
GRANT SELECT (user_id, post_id, created_at) ON likes TO chatty_worker, chatty_operator;
GRANT SELECT (id, is_active, blocked_at) ON users TO chatty_worker;
GRANT SELECT (id, user_id) ON posts TO chatty_worker;
