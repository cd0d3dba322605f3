#!/usr/bin/env bats
# An update of PostgreSQL's files under the private cluster that runs.

load ../smoke/support
load ../smoke/stack

# up: in a namespace where PostgreSQL's libraries are a copy that the tests may replace. For the kernel that is the same as an update.
up() {
  local libraries
  libraries=$(dirname "$(find /usr/lib/postgresql -name plpgsql.so | sort --version-sort | tail -n 1)")
  cp --archive "$libraries" "$CHATTY_HOME/libraries"
  # shellcheck disable=SC2016 # for the shell inside
  unshare --mount --propagation private bash -c 'mount --bind "$1" "$2" && exec "$3"' - "$CHATTY_HOME/libraries" "$libraries" "$ROOT/deploy/up" \
    </dev/null >"$CHATTY_HOME/up.log" 2>&1 3>&- || {
    cat "$CHATTY_HOME/up.log" >&2
    return 1
  }
}

setup_file() {
  start_stack
  member ada
}

teardown_file() {
  stop_stack
}

can_write() {
  as ada post /posts '{"title": "Tea", "content": "Green"}'
  [[ $CODE == 200 ]]
}

@test "new connections can write after the library of PL/pgSQL was replaced by one that does not fit, before PostgreSQL is restarted" {
  local before
  before=$(<"$CHATTY_HOME/service/postgres/supervise/pid")
  printf 'of a later version\n' >"$CHATTY_HOME/libraries/plpgsql.so.new"
  mv "$CHATTY_HOME/libraries/plpgsql.so.new" "$CHATTY_HOME/libraries/plpgsql.so"

  run sql "DO \$\$ BEGIN PERFORM 1; END \$\$; SELECT 'done'"
  equal "$status $output" '0 done' 'what a new connection says'
  # The services have to connect anew too.
  sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()" >/dev/null
  eventually 20 can_write || wrong 'a write that works'
  equal "$(<"$CHATTY_HOME/service/postgres/supervise/pid")" "$before" 'the process of PostgreSQL'
}
