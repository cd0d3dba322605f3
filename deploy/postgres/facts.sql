-- What deploy/lib/outside.sh has to know of a database before anything in it is changed: a row a fact. Everybody may ask it, of any version.

WITH
  here AS (
    SELECT d.*, r.rolname, r.rolsuper, r.rolcreaterole, current_setting('server_version_num')::integer AS version
    FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user
  ),
  -- The table that deploy/migrate keeps its account in, or another program's of the same name.
  migrations AS (
    SELECT c.oid, c.relowner, pg_get_userbyid(c.relowner) AS owner,
      (SELECT string_agg(attname || ' ' || format_type(atttypid, NULL), ', ' ORDER BY attnum) FROM pg_attribute
       WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
    FROM pg_class c WHERE c.oid = to_regclass('public.migrations')
  ),
  -- Whatever is in a schema depends on it. What belongs to an extension is nobody's.
  objects AS (
    -- Who owns what is said where that is not the server's first superuser.
    SELECT pg_describe_object(d.classid, d.objid, 0) AS name, nullif(o.refobjid, 10) AS owner
    FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid
      LEFT JOIN pg_shdepend o ON o.dbid = (SELECT oid FROM here) AND o.classid = d.classid AND o.objid = d.objid AND o.deptype = 'o'
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.deptype = 'n' AND d.classid <> 'pg_extension'::regclass
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM migrations m WHERE d.classid = 'pg_class'::regclass AND m.oid = d.objid)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = d.classid AND e.objid = d.objid)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = 'pg_namespace'::regclass AND e.objid = n.oid)
  )
SELECT name, replace(coalesce(value, ''), E'\n', ' ') FROM here, LATERAL (VALUES
  ('database', quote_ident(datname)),
  ('role', quote_ident(rolname)),
  ('version', version::text),
  ('version_name', current_setting('server_version')),
  ('encoding', pg_encoding_to_char(encoding)),
  ('is_standby', pg_is_in_recovery()::text),
  ('is_read_only', current_setting('transaction_read_only')),
  ('makes_roles', (rolsuper OR rolcreaterole)::text),
  ('owns_database', pg_has_role(datdba, 'USAGE')::text),
  ('makes_objects', has_database_privilege(oid, 'CREATE')::text),
  ('makes_temporary_tables', has_database_privilege(oid, 'TEMPORARY')::text),
  ('has_schema', (to_regnamespace('public') IS NOT NULL)::text),
  ('makes_tables', has_schema_privilege(to_regnamespace('public')::oid, 'CREATE')::text),
  -- Since version 16 to make roles is not enough to change those of others.
  ('roles_of_others', (SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname) FROM pg_roles r
    WHERE r.rolname = ANY (:'roles'::name[]) AND NOT here.rolsuper
      AND (r.rolsuper OR version >= 160000 AND NOT pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION')))),
  ('migrations', (SELECT columns FROM migrations)),
  ('migrations_owner', (SELECT quote_ident(owner) FROM migrations)),
  ('owns_migrations', (SELECT pg_has_role(relowner, 'USAGE')::text FROM migrations)),
  ('objects', (SELECT count(*)::text FROM objects)),
  ('objects_of_others', (SELECT count(*)::text FROM objects o, migrations m WHERE o.owner IS DISTINCT FROM nullif(m.relowner, 10))),
  ('some_objects', (SELECT string_agg(o.name, ', ') FROM (SELECT name FROM objects ORDER BY name LIMIT 3) o)),
  ('connections', (current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    - coalesce(current_setting('reserved_connections', true), '0')::integer)::text),
  ('database_connections', datconnlimit::text)
) facts (name, value);
