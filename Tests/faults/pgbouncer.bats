#!/usr/bin/env bats
# A stack behind pgbouncer in transaction mode, set up as deploy/OPERATING.md tells: each transaction has whichever of a few sessions is free.

load ../smoke/support
load ../smoke/stack
load server

setup_file() {
  make_server
  POOLER_PORT=$(free_port)
  export POOLER_PORT
  CHATTY_TEST_DATABASE_URL=$(administrator chatty)
  export CHATTY_TEST_DATABASE_URL
  on_server "SET password_encryption = 'scram-sha-256'; CREATE ROLE owner LOGIN CREATEROLE PASSWORD 'owner'"
  on_server 'CREATE DATABASE chatty OWNER owner'
  sed -i '/^host .*127/s/.*/host all postgres 127.0.0.1\/32 trust\nhost all all 127.0.0.1\/32 scram-sha-256/' "$SERVER/data/pg_hba.conf"
  on_server "ALTER SYSTEM SET log_statement = 'all'"
  on_server 'SELECT pg_reload_conf()' >/dev/null
  start_pooler
  DIRECT=postgresql://owner:owner@127.0.0.1:$SERVER_PORT/chatty POOLED=postgresql://owner:owner@127.0.0.1:$POOLER_PORT/chatty
  export DIRECT POOLED
  start_stack CHATTY_STATEMENT_TIMEOUT=4000 CHATTY_PREPARED_STATEMENTS=off CHATTY_DATABASE_URL="$POOLED" CHATTY_DATABASE_OWNER_URL="$DIRECT"
  CHATTY_TEST_DATABASE_URL=$(administrator chatty)
  export CHATTY_TEST_DATABASE_URL
}

teardown_file() {
  stop_stack
  if [[ ${SERVER-} == /tmp/chatty-server-* && -s $SERVER/pgbouncer.pid ]]; then kill "$(<"$SERVER/pgbouncer.pid")"; fi
  remove_server
}

on_server() { CHATTY_TEST_DATABASE_URL=$(administrator postgres) sql "$1"; }

# start_pooler: with two sessions for each role: a transaction that asked for the session of the one before would seldom get it.
start_pooler() {
  cat >"$SERVER/pgbouncer.ini" <<INI
[databases]
chatty = host=127.0.0.1 port=$SERVER_PORT
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $POOLER_PORT
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $SERVER/userlist.txt
auth_user = postgres
auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename = \$1
admin_users = postgres
pool_mode = transaction
default_pool_size = 2
max_client_conn = 400
server_round_robin = 1
logfile = $SERVER/pgbouncer.log
pidfile = $SERVER/pgbouncer.pid
INI
  printf '"postgres" "administrator"\n' >"$SERVER/userlist.txt"
  as_server pgbouncer --daemon --quiet "$SERVER/pgbouncer.ini"
  eventually 10 is_open "$POOLER_PORT"
}

# pooler STATEMENT: to its console.
pooler() {
  PGPASSWORD=administrator psql --no-psqlrc --quiet --tuples-only --no-align "postgresql://postgres@127.0.0.1:$POOLER_PORT/pgbouncer" --command "$1"
}

is_ready() { ops /readyz && [[ $CODE == 200 ]]; }

# chatty ARGUMENT…: the operator's command.
chatty() { "$ROOT/deploy/chatty" "$@"; }

@test "people register by the link in their mail, write, like, follow, and read their feed and recommendations" {
  newcomer ada grace
  new_post ada Note 'The engine weaves'
  as grace post "/posts/$NEW_POST/likes"
  expect 200
  new_comment grace "$NEW_POST"
  as grace post "/subscribe/$(id_of ada)"
  expect 200
  as grace get /feed
  expect 200 ".posts[0].id == $NEW_POST" '.posts[0].like_count == 1'
  as ada get /recommendations
  expect 200
  get "/posts/$NEW_POST/comments"
  expect 200 'length == 1'
}

@test "an Idempotency-Key, whose work is a transaction of several statements, is done once" {
  local first
  member bob
  as bob call POST /posts '{"title": "Tea", "content": "Green"}' --header 'Idempotency-Key: tea'
  expect 200
  first=$(field .post.id)
  as bob call POST /posts '{"title": "Tea", "content": "Green"}' --header 'Idempotency-Key: tea'
  expect 200 ".post.id == $first"
}

@test "the stack answers many at once, with no error, by the pooler's few sessions" {
  member carol
  new_post carol
  seq 200 | xargs -P 20 -I N curl --silent --output /dev/null --write-out '%{http_code}\n' "$CHATTY_TEST_URL/posts/$NEW_POST?n=N" \
    >"$BATS_TEST_TMPDIR/codes"
  equal "$(sort "$BATS_TEST_TMPDIR/codes" | uniq -c | xargs)" '200 200'
  (($(sql "SELECT count(*) FROM pg_stat_activity WHERE usename = 'chatty_posts'") <= 2))
  eventually 20 is_ready
  # The pooler takes as many clients, and deploy/status tells how many those are.
  "$ROOT/deploy/status" | grep -x "database connections: $((77 + 7 * $(nproc))) at most, and $((144 + 14 * $(nproc))) while workers are replaced"
}

@test "sessions have the timeouts and defaults that services have without a pooler" {
  local role
  for role in auth posts feed admin recommendations worker; do
    equal "$(shown "$role" | xargs)" '4s 4s off public read committed off' "of $role"
  done
  equal "$(shown operator | xargs)" '10min 10min off public read committed off'
  equal "$(as_role posts 'SHOW idle_in_transaction_session_timeout') $(as_role auth 'SHOW idle_in_transaction_session_timeout')" '124s 8s'
  # And so do those that the pooler has.
  run as_role feed 'SELECT pg_sleep(30)'
  [[ $status != 0 && $output == *'canceling statement due to statement timeout'* ]] || wrong "$output"
}

# as_role ROLE STATEMENT: by the pooler.
as_role() {
  PGPASSWORD=$(<"$CHATTY_HOME/secrets/$1.password") \
    psql --no-psqlrc --quiet --tuples-only --no-align "postgresql://chatty_$1@127.0.0.1:$POOLER_PORT/chatty" --command "$2" 2>&1
}

shown() {
  as_role "$1" "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('jit'), current_setting('search_path'),
    current_setting('default_transaction_isolation'), current_setting('default_transaction_read_only')" | tr '|' '\n'
}

@test "nobody listens on a session that is not its own, and the index of likes is built and looked after" {
  # What a session is notified of while nobody has it costs the pooler the session.
  grep -q 'UPDATE outbox' "$SERVER/log"
  ! grep 'LISTEN' "$SERVER/log" || wrong 'somebody listens'
  chatty recommendations build
  chatty recommendations inspect
  chatty check
  chatty recount
}

@test "migrations go past the pooler, again with nothing to do; the services go on when roles have got their passwords anew" {
  CHATTY_DATABASE_OWNER_URL=$DIRECT "$ROOT/deploy/migrate" </dev/null 3>&- | grep -x 'the database is up to date'
  member dora
  # With the keys of before it is let in: it has asked for no others.
  pooler 'RECONNECT'
  new_post dora
  ! grep -q 'server login failed' "$SERVER/pgbouncer.log" || wrong "$(grep 'server login failed' "$SERVER/pgbouncer.log")"
  is_ready
}

@test "a pooler where the server has to be is refused, by name, and so is one with prepared statements" {
  run env -u CHATTY_DATABASE_OWNER_URL "$ROOT/deploy/up" </dev/null 3>&-
  [[ $status == 78 && $output == *'CHATTY_DATABASE_OWNER_URL is not set, and CHATTY_DATABASE_URL leads to a pooler'* ]] || wrong "$output"
  run env CHATTY_DATABASE_OWNER_URL="$POOLED" "$ROOT/deploy/migrate" </dev/null 3>&-
  [[ $status == 78 && $output == *'CHATTY_DATABASE_OWNER_URL leads to a pooler'* ]] || wrong "$output"
  run env CHATTY_PREPARED_STATEMENTS=on "$ROOT/deploy/up" </dev/null 3>&-
  [[ $status == 78 && $output == *'CHATTY_PREPARED_STATEMENTS is on, and CHATTY_DATABASE_URL leads to a pooler'* ]] || wrong "$output"
}
