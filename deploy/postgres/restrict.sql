-- What PostgreSQL lets everybody do, and nobody of Chatty's has a use for: run as a superuser in Chatty's database, again and again.

-- An advisory lock that is held keeps others waiting, and many of them fill the table that all locks are in. Large objects and messages
-- in the log fill the disk. Beside functions there is no other way to either; NOTIFY and SET remain everybody's.
DO $$
DECLARE
  closed regprocedure;
BEGIN
  FOR closed IN
    SELECT p.oid FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND (p.proname ~ '^pg_(try_)?advisory_' OR p.proname ~ '^lo(_|read$|write$)' OR p.proname = 'pg_logical_emit_message')
      AND has_function_privilege('public', p.oid, 'EXECUTE')
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', closed);
  END LOOP;
  -- For take_key (sql/0022_turns.sql), which runs as the schema's owner.
  EXECUTE format('GRANT EXECUTE ON FUNCTION pg_try_advisory_xact_lock(bigint) TO %I',
    (SELECT rolname FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE p.oid = to_regproc('public.take_key')));
END $$;
