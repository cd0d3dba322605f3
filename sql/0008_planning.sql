-- How the services' statements are planned. They are few, prepared, and written so that one plan is right for every parameter: an index
-- for each step, however many rows there are. Left to itself PostgreSQL plans many of them anew each time, since it does not know how small
-- their LIMIT is, and that takes longer than the statement (a page of posts: 6,000 a second instead of 15,000); and it compiles those
-- that it thinks expensive, for the same reason.
--
-- Set here and not by the services: a pooler between them and the database does not pass such settings on.

DO $$
DECLARE
  service text;
BEGIN
  FOREACH service IN ARRAY ARRAY['auth', 'posts', 'feed', 'admin', 'recommendations'] LOOP
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET plan_cache_mode = force_generic_plan', 'chatty_' || service, current_database());
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET jit = off', 'chatty_' || service, current_database());
  END LOOP;
END $$;
