-- What each service may do, column by column: no more than its own statements need. deploy/migrate makes the roles.
--
-- A row lock (FOR KEY SHARE and the like) asks for UPDATE on some column; triggers ask for nothing.

-- Nobody else has any business here.
DO $$
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format(
    'GRANT CONNECT ON DATABASE %I TO
       chatty_auth, chatty_posts, chatty_feed, chatty_admin, chatty_recommendations, chatty_worker, chatty_operator',
    current_database());
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO
  chatty_auth, chatty_posts, chatty_feed, chatty_admin, chatty_recommendations, chatty_worker, chatty_operator;

-- Whether a caller's session stands: every service with routes for users.
GRANT SELECT ON active_sessions TO chatty_auth, chatty_posts, chatty_feed, chatty_admin, chatty_recommendations;

-- chatty_auth: accounts and sessions, and nothing that people write.
GRANT SELECT, INSERT (username, email, hashed_password), UPDATE (verified_at) ON users TO chatty_auth;
GRANT SELECT, INSERT (user_id, refresh_hash, expires_at, ip, user_agent), UPDATE (ended_at) ON sessions TO chatty_auth;
GRANT SELECT, INSERT (token_hash, user_id, purpose, expires_at), UPDATE (used_at) ON email_tokens TO chatty_auth;
GRANT SELECT ON author_stats TO chatty_auth;
GRANT INSERT (kind, payload) ON outbox TO chatty_auth;

-- chatty_posts: posts, comments and likes. Of users their names and whether they are hidden, never an address or a hash.
GRANT SELECT (id, username, blocked_at) ON users TO chatty_posts;
GRANT SELECT, INSERT (user_id, title, content), UPDATE (title, content, updated_at), DELETE ON posts TO chatty_posts;
GRANT SELECT, INSERT (post_id, user_id, content) ON comments TO chatty_posts;
GRANT SELECT, INSERT (user_id, post_id), DELETE ON likes TO chatty_posts;
GRANT SELECT, UPDATE (likes, comments) ON post_stats TO chatty_posts;

-- chatty_feed: subscriptions. It reads posts and writes none.
GRANT SELECT (id, username, blocked_at) ON users TO chatty_feed;
GRANT SELECT, INSERT (follower_id, following_id), DELETE ON subscriptions TO chatty_feed;
GRANT SELECT ON posts, likes, post_stats, author_stats TO chatty_feed;

-- chatty_admin: figures, and moderation by inserting what is to be done. It can neither write nor read anything else.
GRANT SELECT (id, is_active) ON users TO chatty_admin;
GRANT SELECT (id) ON posts, comments TO chatty_admin;
GRANT SELECT (post_id) ON likes TO chatty_admin;
GRANT SELECT (follower_id) ON subscriptions TO chatty_admin;
GRANT SELECT (id, resolved_at) ON reports TO chatty_admin;
GRANT SELECT, INSERT (actor_id, action, target_id, role, reason) ON moderation_actions TO chatty_admin;

-- chatty_recommendations: reads.
GRANT SELECT (id, username, blocked_at, is_active) ON users TO chatty_recommendations;
GRANT SELECT ON posts, likes, post_stats TO chatty_recommendations;

-- chatty_worker: the outbox alone.
GRANT SELECT, UPDATE (attempts, next_attempt_at, last_error, dead_at), DELETE ON outbox TO chatty_worker;

-- chatty_operator: the command line of whoever runs the stack.
GRANT SELECT (id, username, email, role, verified_at, blocked_at, created_at, is_active),
  INSERT (username, email, hashed_password, role, verified_at), UPDATE (verified_at) ON users TO chatty_operator;
GRANT SELECT (id, user_id, expires_at, ended_at) ON sessions TO chatty_operator;
-- Blocks and roles go through the log, as everybody's do.
GRANT SELECT (id, outcome), INSERT (action, target_id, role, reason) ON moderation_actions TO chatty_operator;
-- A mail's payload holds a secret link: whoever mends deliveries need not read it.
GRANT SELECT (id, kind, created_at, next_attempt_at, attempts, last_error, dead_at),
  UPDATE (next_attempt_at, attempts, dead_at) ON outbox TO chatty_operator;
-- Counting again.
GRANT SELECT (id, user_id) ON posts TO chatty_operator;
GRANT SELECT (post_id) ON likes, comments TO chatty_operator;
GRANT SELECT (follower_id, following_id) ON subscriptions TO chatty_operator;
GRANT SELECT, INSERT (post_id), UPDATE (likes, comments) ON post_stats TO chatty_operator;
GRANT SELECT, INSERT (user_id), UPDATE (last_post_id, posts, followers, following) ON author_stats TO chatty_operator;
GRANT SELECT ON migrations TO chatty_operator;
