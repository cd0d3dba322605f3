-- Whoever adds something of a user's locks that user's row first (Caller.lockedSession in Sources/ServiceKit/Caller.swift): users come before
-- all else in the order of locks (0004_counters.sql). The foreign keys alone would lock them last, so that an account's deletion and its
-- user's comment deadlocked, or the comment failed at its end.
--
-- A row lock asks for UPDATE on some column. This one is generated: all that can be set is what it is.
GRANT UPDATE (is_active) ON users TO chatty_posts, chatty_feed;
