#!/usr/bin/env bash
# Stacks of a test's own: started with deploy/up in a folder and on ports of their own, stopped and removed afterwards.
#
# A stack that is started becomes the one that support.bash talks to.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# start_stack [NAME=VALUE…]: a new stack on 127.0.0.1, with these settings; unless they say so without limits, and with passwords that
# cost little.
start_stack() {
  local name
  # Settings of another stack in the environment would win over this one's.
  for name in ${!CHATTY_@}; do unset "$name"; done
  CHATTY_HOME=$(new_home)
  # The services run as users of their own, who must reach their sockets in it.
  chmod 755 "$CHATTY_HOME"
  CHATTY_PORT=$(free_port)
  CHATTY_OPS_PORT=$((CHATTY_PORT + 1))
  CHATTY_ADDRESS=127.0.0.1
  CHATTY_RATE_LOGIN=0 CHATTY_RATE_REGISTER=0 CHATTY_RATE_WRITES=0 CHATTY_RATE_MAILS=0 CHATTY_CLIENT_CONNECTIONS=0 CHATTY_LOGIN_FAILURES=0 CHATTY_PASSWORD_COST=10
  export CHATTY_HOME CHATTY_PORT CHATTY_OPS_PORT CHATTY_ADDRESS CHATTY_RATE_LOGIN CHATTY_RATE_REGISTER CHATTY_RATE_WRITES CHATTY_RATE_MAILS
  export CHATTY_CLIENT_CONNECTIONS CHATTY_LOGIN_FAILURES CHATTY_PASSWORD_COST
  for name; do export "${name?}"; done
  export CHATTY_TEST_URL=http://127.0.0.1:$CHATTY_PORT CHATTY_TEST_OPS_URL=http://127.0.0.1:$CHATTY_OPS_PORT
  export CHATTY_TEST_DATABASE_URL="postgresql:///chatty?host=$CHATTY_HOME/run&user=postgres"
  up
}

# new_home: makes the folder of a stack, and prints its path.
new_home() { mktemp -d /tmp/chatty-XXXXXX; }

# up: deploy/up of this stack. Its processes outlive a test and must not keep the test's files open.
up() {
  "$ROOT/deploy/up" </dev/null >"$CHATTY_HOME/up.log" 2>&1 3>&- || {
    cat "$CHATTY_HOME/up.log" >&2
    return 1
  }
}

# down: deploy/down of this stack.
down() {
  "$ROOT/deploy/down" </dev/null 3>&-
}

# stop_stack: stops and removes the stack that start_stack started.
stop_stack() {
  if [[ ${CHATTY_HOME-} != /tmp/chatty-* ]]; then return; fi
  down
  rm -rf "$CHATTY_HOME"
}

# free_port: a port that is free, and the one after it too.
free_port() {
  local port
  while true; do
    port=$((20000 + RANDOM % 10000))
    if ! is_open "$port" && ! is_open $((port + 1)); then
      printf '%s' "$port"
      return
    fi
  done
}

is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# stack_processes: every process of the running stack, as "pid name", by its descent from the stack's supervisor.
stack_processes() {
  local root
  root=$(supervisor)
  ps -e -o pid=,ppid=,comm= | awk -v root="$root" '
    { parent[$1] = $2; name[$1] = $3 }
    END {
      for (pid in parent) {
        for (p = pid; p in parent && p != root && p > 1; p = parent[p]);
        if (p == root) print pid, name[pid]
      }
    }' | sort -n
}

# supervisor: the process id of the runsvdir that keeps this stack running.
supervisor() {
  pgrep --full --exact "runsvdir -P $CHATTY_HOME/service"
}

# workers NAME: the process ids of a pool's or program's workers, such as chatty-posts.
workers() {
  stack_processes | awk -v name="${1:0:15}" '$2 == name { print $1 }'
}

# eventually SECONDS COMMAND…: tries until it succeeds.
eventually() {
  local deadline=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}
