#!/usr/bin/env bats
# A database of several hosts, of which some are silent; name servers that do not answer; a database that only reads, and one that has
# lost a library. The tests run a PostgreSQL of their own and a stack that looks names up in files of theirs.

load ../smoke/support
load ../smoke/stack
load server

setup_file() {
  [[ $EUID == 0 ]] || wrong 'only root can give a stack an /etc/hosts of its own'
  NAME_SERVER=127.77.$((RANDOM % 250)).$((RANDOM % 250 + 1))
  export ROOT
  make_server
  CHATTY_TEST_DATABASE_URL=$(administrator postgres) sql 'CREATE ROLE hosts_owner LOGIN CREATEROLE'
  CHATTY_TEST_DATABASE_URL=$(administrator postgres) sql 'CREATE DATABASE chatty OWNER hosts_owner'

  name_database
  printf 'nameserver %s\n' "$NAME_SERVER" >"$SERVER/resolv.conf"
  silence "$NAME_SERVER" >"$SERVER/silence" 3>&- &
  echo $! >"$SERVER/silence.pid"
  eventually 10 test -s "$SERVER/silence"
  SILENT=$(<"$SERVER/silence")
  # No index is built but by the operator's command: there is one build at a time.
  start_stack CHATTY_RECOMMENDATION_INTERVAL=0 \
    CHATTY_DATABASE_URL="postgresql://hosts_owner@127.0.0.2:$SILENT,127.0.0.3:$SILENT,database.test:$SERVER_PORT/chatty?connect_timeout=2"
  CHATTY_TEST_DATABASE_URL=$(administrator chatty)
  export CHATTY_TEST_DATABASE_URL
  member ada
  new_post ada
  printf '%s' "$NEW_POST" >"$BATS_FILE_TMPDIR/post"
}

teardown_file() {
  stop_stack
  if [[ ${SERVER-} != /tmp/chatty-server-* ]]; then return; fi
  if [[ -s $SERVER/silence.pid ]]; then kill "$(<"$SERVER/silence.pid")"; fi
  remove_server
}

# Whatever a test has come to, the next one finds the name and a database that is written.
teardown() {
  name_database
  if [[ $(sql 'SELECT pg_is_in_recovery()') == t ]]; then sql 'SELECT pg_promote()' >/dev/null; fi
  sql "UPDATE pg_proc SET probin = '\$libdir/plpgsql' WHERE probin = '\$libdir/plpgsql_of_before'"
}

name_database() { printf '127.0.0.1 localhost database.test\n' >"$SERVER/hosts"; }

# up: deploy/up where names are looked up in the test's own files, which it can change later.
up() {
  # shellcheck disable=SC2016 # for the other shell
  unshare --mount bash -c 'mount --bind "$SERVER/hosts" /etc/hosts && mount --bind "$SERVER/resolv.conf" /etc/resolv.conf && exec "$ROOT/deploy/up"' \
    </dev/null >"$CHATTY_HOME/up.log" 2>&1 3>&- || {
    cat "$CHATTY_HOME/up.log" >&2
    return 1
  }
}

# chatty ARGUMENT…: the operator's command where the stack is.
chatty() { nsenter --mount --target "$(supervisor)" "$ROOT/deploy/chatty" "$@"; }

# silence ADDRESS: prints a port on which 127.0.0.2 drops every packet, 127.0.0.3 takes connections and says nothing; and is a name server at
# ADDRESS that says nothing either.
silence() {
  exec /usr/bin/python3 -c '
import signal, socket, sys
def listen(address, port, backlog):
    listener = socket.socket()
    listener.bind((address, port))
    listener.listen(backlog)
    return listener
hole = listen("127.0.0.2", 0, 0)
port = hole.getsockname()[1]
mute = listen("127.0.0.3", port, 128)
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind((sys.argv[1], 53))
# Once its queue is full the kernel drops what comes.
fillers = []
for _ in range(4):
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(("127.0.0.2", port))
    fillers.append(filler)
print(port, flush=True)
signal.pause()
' "$1"
}

end_sessions() { sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'chatty\_%'" >/dev/null; }

shows_post() { get "/posts/$(<"$BATS_FILE_TMPDIR/post")" && [[ $CODE == 200 ]]; }

# is_ready [POOL]
is_ready() { ops "/readyz${1:+/$1}" && [[ $CODE == 200 ]]; }

# expect_unwritable STATE: posts are read and not written, and the pool says why.
expect_unwritable() {
  eventually 30 shows_post
  as ada post /posts '{"title": "Tea", "content": "Green"}'
  expect_error 503 'Service temporarily unavailable'
  equal "$(header Retry-After)" 1 Retry-After
  eventually 30 says_unwritable "$1" || wrong "/readyz/posts says: $CODE $BODY"
  shows_post
}

says_unwritable() {
  ops /readyz/posts
  [[ $CODE == 503 ]] && jq -e --arg state "$1" '.detail | startswith("posts: the database takes no writes: " + $state)' <<<"$BODY" >/dev/null
}

@test "behind a host that drops packets and one that is silent the third is found, by services, the worker, and the operator's commands" {
  newcomer grace
  new_post grace
  chatty user promote "$(full_name grace)" --role admin
  chatty recommendations build
  # Each worker waits for the silent hosts once.
  eventually 60 is_ready
}

@test "sessions that are lost come back, however long the first hosts are silent" {
  for _ in 1 2; do
    end_sessions
    eventually 30 shows_post
    new_post ada
    eventually 60 is_ready posts
  done
}

@test "while no name server answers the stack goes on, and opens connections at the last known address" {
  printf '127.0.0.1 localhost\n' >"$SERVER/hosts"
  run nsenter --mount --target "$(supervisor)" timeout 3 getent hosts database.test
  ((status == 124)) || wrong 'the name is found, or known not to be'
  end_sessions
  eventually 30 shows_post
  for _ in {1..10}; do new_post ada; done
  eventually 60 is_ready posts
}

@test "a database that has become a standby is read and not written, is not ready, and is when it is promoted" {
  server pg_ctl --pgdata "$SERVER/data" --mode fast --wait stop
  chpst -u postgres touch "$SERVER/data/standby.signal"
  start_server
  expect_unwritable 25006
  equal "$(sql 'SELECT pg_promote()')" t
  eventually 60 is_ready posts
  new_post ada
}

@test "a database whose new sessions cannot load plpgsql any more is read, is 503 and not 500 for writes, and is not ready" {
  sql "UPDATE pg_proc SET probin = '\$libdir/plpgsql_of_before' WHERE probin = '\$libdir/plpgsql'"
  end_sessions
  expect_unwritable 58P01
  sql "UPDATE pg_proc SET probin = '\$libdir/plpgsql' WHERE probin = '\$libdir/plpgsql_of_before'"
  end_sessions
  eventually 60 is_ready posts
  new_post ada
}

@test "however often a service asks whether it can write, nothing remains, and it has a row of its own for it" {
  local size
  PGOPTIONS='-c role=chatty_posts' sql "DO \$\$ BEGIN FOR i IN 1..600 LOOP PERFORM check_writing(); COMMIT; END LOOP; END \$\$"
  size=$(sql "SELECT pg_relation_size('write_checks')")
  ((size <= 16384)) || wrong "the table has grown to $size bytes"
  equal "$(sql 'SELECT count(*) FROM write_checks')" 5
  equal "$(sql 'SET ROLE chatty_posts; SELECT role FROM write_checks')" chatty_posts
  run sql 'SET ROLE chatty_posts; UPDATE write_checks SET lock = false'
  [[ $status != 0 && $output == *'can only be updated to DEFAULT'* ]] || wrong "it says: $output"
}
