#!/usr/bin/env bats
# Databases that are not Chatty's to use: deploy/up and deploy/migrate refuse each in a line that names the setting, and change nothing. The tests
# run a PostgreSQL of their own with a database for each.

load ../smoke/support
load ../smoke/stack
load server

setup_file() {
  export ROOT
  make_server
  # What an administrator has sent: a password with all that has to be written as % and digits.
  PASSWORD='p%40@/:?#&=+ \x41'
  ENCODED='p%2540%40%2F:%3F%23&=+%20%5Cx41'
  export PASSWORD ENCODED
  on postgres "SET password_encryption = 'scram-sha-256'; CREATE ROLE owner LOGIN CREATEROLE PASSWORD '$PASSWORD';
    CREATE ROLE plain LOGIN PASSWORD 'plain'"
  sed -i '/^host .*127/s/.*/host all postgres 127.0.0.1\/32 trust\nhost all all 127.0.0.1\/32 scram-sha-256/' "$SERVER/data/pg_hba.conf"
  on postgres 'SELECT pg_reload_conf()' >/dev/null
  local name
  for name in shop typed numbered fresh closed bare stripped sealed; do on postgres "CREATE DATABASE $name OWNER owner"; done
  on postgres "CREATE DATABASE latin OWNER owner ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
  on postgres "CREATE DATABASE strange"
  on postgres "CREATE DATABASE roleless OWNER plain"
  on postgres "CREATE DATABASE narrow OWNER owner CONNECTION LIMIT 50"
  on postgres "ALTER DATABASE closed SET default_transaction_read_only = on"
  on shop "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY); CREATE VIEW open_orders AS SELECT * FROM orders;
    CREATE FUNCTION total() RETURNS integer LANGUAGE sql AS 'SELECT 1'; GRANT SELECT ON orders TO PUBLIC"
  on typed "CREATE SCHEMA warehouse; CREATE TYPE warehouse.colour AS ENUM ('red')"
  on numbered "CREATE TABLE migrations (id serial PRIMARY KEY, name text); ALTER TABLE migrations OWNER TO owner"
  on bare 'DROP SCHEMA public'
  on postgres 'REVOKE CREATE ON DATABASE stripped FROM owner'
  on sealed 'ALTER SCHEMA public OWNER TO postgres'
  # Neither an extension nor an empty schema is anybody's.
  on fresh 'CREATE EXTENSION citext; CREATE SCHEMA empty'
  schema >"$BATS_FILE_TMPDIR/schema"
}

teardown_file() { remove_server; }

setup() {
  CHATTY_HOME=$(new_home)
  CHATTY_PORT=$(free_port)
  CHATTY_OPS_PORT=$((CHATTY_PORT + 1))
  export CHATTY_HOME CHATTY_PORT CHATTY_OPS_PORT
  unset CHATTY_DATABASE_URL CHATTY_DATABASE_OWNER_URL
  touch "$CHATTY_HOME/chatty.env"
}

# Should one not have been refused, its stack is running.
teardown() {
  if [[ -d $CHATTY_HOME/service ]]; then down; fi
  rm -rf "$CHATTY_HOME"
}

# on DATABASE STATEMENT: as the superuser.
on() { CHATTY_TEST_DATABASE_URL=$(administrator "$1") sql "$2"; }

# schema: of all databases and roles, as text.
schema() { server pg_dumpall --schema-only --no-sync --dbname "$(administrator postgres)" | grep -v '^\\\(un\)\?restrict '; }

# as_owner DATABASE: its address, for the role that migrations come as.
as_owner() { printf 'postgresql://owner:%s@127.0.0.1:%s/%s' "$ENCODED" "$SERVER_PORT" "$1"; }

# expect_refused TEXT…: the script that was run has ended with status 78 and one line with all of that, and has not shown a password.
expect_refused() {
  local text
  ((status == 78)) || wrong "status $status: $output"
  [[ $(grep -c -v '^waiting for the database$' <<<"$output") == 1 ]] || wrong "more than a line: $output"
  for text; do [[ $output == *"$text"* ]] || wrong "expected '$text' and not: $output"; done
  [[ $output != *p%2540* && $output != *'p%40'* ]] || wrong "it shows the password: $output"
}

# migrate NAME=ADDRESS
migrate() { run env "$@" "$ROOT/deploy/migrate" </dev/null 3>&-; }

# up NAME=ADDRESS…
up() { run env "$@" "$ROOT/deploy/up" </dev/null 3>&-; }

@test "a database that others use is refused, with what is there and how to make one, by deploy/up and deploy/migrate, for superusers too" {
  up CHATTY_DATABASE_URL="$(as_owner shop)"
  expect_refused 'CHATTY_DATABASE_URL names the database shop, which others use' \
    'it has function public.total(), sequence public.orders_id_seq, table public.orders and 1 more' \
    "CREATE DATABASE chatty ENCODING 'UTF8' TEMPLATE template0 OWNER owner"
  migrate CHATTY_DATABASE_URL="$(as_owner shop)"
  expect_refused 'CHATTY_DATABASE_URL names the database shop, which others use'
  migrate CHATTY_DATABASE_OWNER_URL="$(administrator shop)"
  expect_refused 'CHATTY_DATABASE_OWNER_URL names the database shop, which others use'
  migrate CHATTY_DATABASE_URL="$(as_owner typed)"
  expect_refused 'which others use: it has type warehouse.colour, and'
}

@test "a table migrations of another program is told apart, by its columns" {
  migrate CHATTY_DATABASE_URL="$(as_owner numbered)"
  expect_refused 'CHATTY_DATABASE_URL names the database numbered, whose table migrations is another program' \
    '(its columns: id integer, name text)' 'CREATE DATABASE chatty'
}

@test "a database in another encoding than UTF8, or without the schema public, or that is read-only, is refused" {
  up CHATTY_DATABASE_URL="$(as_owner latin)"
  expect_refused 'CHATTY_DATABASE_URL names the database latin, whose encoding is LATIN1 and not UTF8' "ENCODING 'UTF8'"
  migrate CHATTY_DATABASE_URL="$(as_owner bare)"
  expect_refused 'the database bare, which has no schema public' 'CREATE SCHEMA public AUTHORIZATION owner'
  migrate CHATTY_DATABASE_URL="$(as_owner closed)"
  expect_refused 'the database closed, which is read-only for owner'
}

@test "a role that may not make roles, whose database it is not, or that lacks a right there, is refused with what would help" {
  migrate CHATTY_DATABASE_URL="postgresql://plain:plain@127.0.0.1:$SERVER_PORT/roleless"
  expect_refused 'CHATTY_DATABASE_URL is of the role plain, which may not make roles' 'ALTER ROLE plain CREATEROLE'
  migrate CHATTY_DATABASE_URL="$(as_owner strange)"
  expect_refused 'to whom the database strange does not belong' 'ALTER DATABASE strange OWNER TO owner'
  migrate CHATTY_DATABASE_URL="$(as_owner stripped)"
  expect_refused 'which lacks rights in the database stripped' 'GRANT CREATE, TEMPORARY ON DATABASE stripped TO owner'
  migrate CHATTY_DATABASE_URL="$(as_owner sealed)"
  expect_refused 'which may make nothing in the schema public of the database sealed' 'ALTER SCHEMA public OWNER TO owner'
}

@test "a wrong password, a role or a database that is not there, and a server that is not there are told by the setting's name" {
  up CHATTY_DATABASE_URL="postgresql://owner:wrong@127.0.0.1:$SERVER_PORT/fresh"
  expect_refused 'CHATTY_DATABASE_URL does not lead to a database' 'password authentication failed for user "owner"'
  up CHATTY_DATABASE_URL="$(as_owner fresh)" CHATTY_DATABASE_OWNER_URL="postgresql://nobody:x@127.0.0.1:$SERVER_PORT/fresh"
  expect_refused 'CHATTY_DATABASE_OWNER_URL does not lead to a database' 'for user "nobody"'
  migrate CHATTY_DATABASE_URL="$(as_owner missing)"
  expect_refused 'CHATTY_DATABASE_URL does not lead to a database' 'database "missing" does not exist'
  migrate CHATTY_DATABASE_URL="postgresql://owner:x@127.0.0.1:$((SERVER_PORT + 1))/fresh"
  expect_refused 'CHATTY_DATABASE_URL does not lead to a database' 'Connection refused'
}

@test "a server of before version 15 is refused" {
  # A stand-in for the answer of one: Debian has but one version.
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\n%s "$@" | sed "s/^version=.*/version=140009/; s/^version_name=.*/version_name=14.9/"\n' "$(command -v psql)" \
    >"$BATS_TEST_TMPDIR/bin/psql"
  chmod 755 "$BATS_TEST_TMPDIR/bin/psql"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH migrate CHATTY_DATABASE_URL="$(as_owner fresh)"
  expect_refused 'CHATTY_DATABASE_URL leads to PostgreSQL 14.9: Chatty needs version 15 or later'
}

@test "an address with a bad escape, an unencoded character or a part that is none is refused by name, before anything is asked" {
  local address
  for address in 'u:50%@db/x' 'u:50%zz@db/x' 'u:a%00b@db/x' 'u:p%4@db/x'; do
    migrate CHATTY_DATABASE_URL="postgresql://$address"
    expect_refused 'CHATTY_DATABASE_URL has a % without two hexadecimal digits'
  done
  for address in 'u:p@ss@db/x' 'u:p/ss@db/x' 'u:p?ss@db/x' 'u:p#ss@db/x' 'u:p"ss@db/x' 'u:p[ss@db/x' 'u:pä@db/x' 'u:1/@db/x' 'u:1?a=b@db/x'; do
    migrate CHATTY_DATABASE_OWNER_URL="postgresql://$address"
    expect_refused 'CHATTY_DATABASE_OWNER_URL has a character in its user or password that has to be written as %'
  done
  for address in 'db:99999/x' 'db:five/x' '[::1/x' 'a,b:0/x' '::1/x'; do
    migrate CHATTY_DATABASE_URL="postgresql://$address"
    expect_refused 'CHATTY_DATABASE_URL has a host that is not a name or an address'
  done
  up CHATTY_DATABASE_URL='postgresql://u:p%@db/x'
  expect_refused 'CHATTY_DATABASE_URL has a % without two hexadecimal digits'
  up CHATTY_DATABASE_URL='postgresql://u:p@db/x?sslmode' 
  expect_refused 'CHATTY_DATABASE_URL has something behind its ? that is not keyword=value'
  up CHATTY_DATABASE_OWNER_URL="$(as_owner fresh)"
  expect_refused 'CHATTY_DATABASE_OWNER_URL is set, and CHATTY_DATABASE_URL is not'
  printf 'CHATTY_DATABASE_URL=postgresql://u:p@db/x\nCHATTY_DATABASE_OWNER_URL=postgresql://u:p@@db/x\n' >"$CHATTY_HOME/chatty.env"
  up
  expect_refused 'CHATTY_DATABASE_OWNER_URL has a character'
}

@test "a server or a database that takes fewer connections than the services can have open is refused, with the numbers" {
  local wanted=$((77 + 7 * $(nproc)))
  up CHATTY_DATABASE_URL="$(as_owner narrow)"
  expect_refused "CHATTY_DATABASE_URL leads to too few connections: the services can have $wanted open, and the database narrow takes 50 (its CONNECTION" \
    'lower CHATTY_WRITE_CONNECTIONS, CHATTY_WORKERS'
  up CHATTY_DATABASE_URL="$(as_owner fresh)" CHATTY_WORKERS=6
  expect_refused "the services can have $((wanted + 120)) open, and the server takes 197 (max_connections without"
}

@test "a server whose certificate the services' users cannot check is refused, with the file and the user" {
  if [[ $EUID != 0 ]]; then return; fi
  local home=$BATS_TEST_TMPDIR/home address
  make_certificates
  mkdir -p "$home/.postgresql"
  chmod 700 "$home"
  cp "$SERVER/ca.pem" "$home/.postgresql/root.crt"
  address="$(as_owner fresh)?sslmode=verify-full"
  up HOME="$home" CHATTY_DATABASE_URL="$address"
  expect_refused "CHATTY_DATABASE_URL has sslmode=verify-full and no sslrootcert: the services' users have no homes"
  up CHATTY_DATABASE_URL="$address&sslrootcert=$home/.postgresql/root%2Ecrt"
  expect_refused "has sslrootcert=$home/.postgresql/root.crt, which the user chatty-auth cannot read"
  # What everybody can read is taken: the next thing that is wrong is told.
  up CHATTY_DATABASE_URL="$address&sslrootcert=$SERVER/ca.pem" CHATTY_WORKERS=64
  expect_refused 'leads to too few connections'
}

# make_certificates: an authority's, and one that it has given the server.
make_certificates() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=authority -days 2 -keyout "$SERVER/ca.key" \
    -out "$SERVER/ca.pem" 2>"$SERVER/openssl.log"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=database -addext 'subjectAltName=IP:127.0.0.1' \
    -keyout "$SERVER/data/server.key" -out "$SERVER/server.csr" 2>"$SERVER/openssl.log"
  openssl x509 -req -in "$SERVER/server.csr" -CA "$SERVER/ca.pem" -CAkey "$SERVER/ca.key" -CAcreateserial -copy_extensions copy -days 2 \
    -out "$SERVER/data/server.crt" 2>"$SERVER/openssl.log"
  chown postgres: "$SERVER"/data/server.*
  chmod 600 "$SERVER/data/server.key"
  chmod 644 "$SERVER/ca.pem"
  on postgres 'ALTER SYSTEM SET ssl = on'
  on postgres 'SELECT pg_reload_conf()' >/dev/null
  eventually 10 has_certificate
}

has_certificate() { [[ $(on postgres 'SHOW ssl') == on ]]; }

@test "none of that has changed anything" {
  equal "$(schema | diff "$BATS_FILE_TMPDIR/schema" -)" '' 'the difference'
}

@test "a standby is refused" {
  server pg_ctl --pgdata "$SERVER/data" --mode fast --wait stop
  as_server touch "$SERVER/data/standby.signal"
  start_server
  migrate CHATTY_DATABASE_URL="$(as_owner fresh)"
  server pg_ctl --pgdata "$SERVER/data" --wait promote
  expect_refused 'CHATTY_DATABASE_URL leads to a standby, which takes no writes' 'target_session_attrs=read-write'
}

@test "a database of its own is migrated, by its address in chatty.env, with every character in the password, which may be a parameter" {
  printf 'CHATTY_DATABASE_URL=postgresql://127.0.0.1:%s/fresh?user=owner&password=%s\n' "$SERVER_PORT" "${ENCODED//&/%26}" >"$CHATTY_HOME/chatty.env"
  migrate
  [[ $status == 0 && $output == *'applied sql/0001_accounts.sql'* ]] || wrong "$output"
  migrate
  [[ $status == 0 && $output == *'the database is up to date'* ]] || wrong "$output"
  equal "$(on fresh "SELECT has_database_privilege('public', 'fresh', 'CONNECT')")" f
  # What others put there later is let be: nobody's rights are taken once more.
  on fresh 'CREATE TABLE notes (); GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO PUBLIC'
  rm "$CHATTY_HOME/chatty.env"
  migrate CHATTY_DATABASE_OWNER_URL="$(administrator fresh)"
  [[ $status == 0 && $output == *'the database is up to date'* ]] || wrong "$output"
  equal "$(on fresh "SELECT has_function_privilege('public', 'pg_advisory_lock(bigint)', 'EXECUTE')")" t
  # The tables are another role's.
  on postgres 'CREATE ROLE second LOGIN CREATEROLE'
  on postgres 'ALTER DATABASE fresh OWNER TO second'
  on postgres "ALTER ROLE second PASSWORD 'second'"
  migrate CHATTY_DATABASE_URL="postgresql://second:second@127.0.0.1:$SERVER_PORT/fresh"
  expect_refused 'is of the role second, and the tables of Chatty in the database fresh belong to owner'
}
