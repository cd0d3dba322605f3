#!/usr/bin/env bats
# deploy/up that is refused, fails half-way or is cut off, and what is there afterwards; and the start of a machine.

load ../smoke/support
load ../smoke/stack

setup_file() {
  start_stack
  new_post_of_ada
}

teardown_file() { stop_stack; }

setup() {
  bats_require_minimum_version 1.5.0
  # The stack's settings are in the environment that setup_file has exported.
  SEEN=$BATS_TEST_TMPDIR/seen
}

new_post_of_ada() {
  member ada
  new_post ada
  export POST=$NEW_POST
}

# services: the processes that serve; the supervisor's children that only wait come and go.
services() { stack_processes | grep -v ' sleep$'; }

# ask_on: asks for a post again and again until stop_asking, and keeps every status.
ask_on() {
  (
    while true; do
      curl --silent --output /dev/null --max-time 20 --write-out '%{http_code}\n' "$CHATTY_TEST_URL/posts/$POST" >>"$SEEN"
      sleep 0.05
    done
  ) 3>&- &
  ASKING=$!
}

stop_asking() {
  kill "$ASKING"
  wait "$ASKING" || true
  [[ -s $SEEN ]]
  equal "$(sort -u "$SEEN")" 200 'every status'
}

# cut_off COMMAND… -- [NAME=VALUE…]: deploy/up with these settings, killed with all that it has started as soon as the command succeeds.
cut_off() {
  local condition=() pid deadline=$((SECONDS + 120))
  while [[ $1 != -- ]]; do
    condition+=("$1")
    shift
  done
  shift
  env "$@" setsid "$ROOT/deploy/up" </dev/null >"$BATS_TEST_TMPDIR/cut.log" 2>&1 3>&- &
  pid=$!
  until "${condition[@]}"; do
    if ((SECONDS > deadline)) || [[ ! -e /proc/$pid ]]; then wrong "it never came to where ${condition[*]}: $(cat "$BATS_TEST_TMPDIR/cut.log")"; fi
  done
  kill -KILL -- "-$pid"
  wait "$pid" || true
}

# up_with [NAME=VALUE…]: deploy/up with these settings; what it says is in output.
up_with() {
  output=$(env "$@" "$ROOT/deploy/up" </dev/null 2>&1 3>&-) || wrong "up: $output"
}

# settings_of VARIABLE: its values in the processes that serve, each once.
settings_of() {
  local pid name
  services | while read -r pid name; do
    case $name in
      chatty-*) tr '\0' '\n' <"/proc/$pid/environ" | sed -n "s/^$1=//p" ;;
    esac
  done | sort -u
}

# finish_with LEVEL: some have other settings; after deploy/up all have these, and no request has noticed.
finish_with() {
  output=$("$ROOT/deploy/status" 3>&-) || true
  [[ $output == *'with old settings'* ]] || wrong "$output"
  ask_on
  up_with CHATTY_LOG_LEVEL="$1"
  stop_asking
  rm "$SEEN"
  eventually 20 runs_with_level "$1"
  up_with CHATTY_LOG_LEVEL="$1"
  [[ $output == *'nothing has changed'* ]] || wrong "$output"
}

runs_with_level() { [[ $(settings_of CHATTY_LOG_LEVEL) == "$1" ]]; }

@test "a setting that a process refuses is refused before anything is touched, in one line that names it" {
  local before setting
  before=$(services)
  ask_on
  for setting in CHATTY_MEDIA_QUOTA=1m CHATTY_MAIL_FROM=nobody CHATTY_SMTP_URL=smtp:/// CHATTY_PUBLIC_URL=http:///; do
    run -78 env "$setting" "$ROOT/deploy/up" </dev/null 3>&-
    equal "$(grep -c "${setting%%=*}" <<<"$output")" 1 "lines that name ${setting%%=*} in: $output"
  done
  equal "$(services)" "$before" 'the processes'
  stop_asking
  up_with
  [[ $output == *'nothing has changed'* ]] || wrong "$output"
}

@test "cut off before it has replaced any pool, or between two: the next one brings everything to the settings that were given" {
  cp "$CHATTY_HOME/env/recommendations/CHATTY_REVISION" "$BATS_TEST_TMPDIR/before"
  cut_off differs "$CHATTY_HOME/env/recommendations/CHATTY_REVISION" "$BATS_TEST_TMPDIR/before" -- CHATTY_LOG_LEVEL=info
  finish_with info
  cut_off grep -qs '^replaced the pool' "$BATS_TEST_TMPDIR/cut.log" -- CHATTY_LOG_LEVEL=debug
  finish_with debug
  up_with
  eventually 20 runs_with_level notice
}

@test "cut off before nginx has read its configuration, the next one has it read" {
  cut_off grep -rqs 'client_max_body_size 3m' "$CHATTY_HOME/nginx/conf" -- CHATTY_CLIENT_MAX_BODY=3m
  up_with CHATTY_CLIENT_MAX_BODY=3m
  head -c 2000000 /dev/zero | tr '\0' ' ' >"$BATS_TEST_TMPDIR/large"
  call POST /auth/login '' --header 'Content-Type: application/json' --data-binary "@$BATS_TEST_TMPDIR/large"
  expect 422
  up_with CHATTY_CLIENT_MAX_BODY=3m
  [[ $output == *'nothing has changed'* ]] || wrong "$output"
  up_with
}

@test "cut off before PostgreSQL has read its settings, the next one has it read them, or restarts it" {
  printf 'work_mem = 9MB\nmax_locks_per_transaction = 70\n' >"$CHATTY_HOME/etc/postgresql.local.conf"
  cp "$CHATTY_HOME/etc/postgresql.conf" "$BATS_TEST_TMPDIR/before"
  cut_off differs "$CHATTY_HOME/etc/postgresql.conf" "$BATS_TEST_TMPDIR/before" --
  # The server may have been told to read them, and needs a restart for one of them.
  sql 'SELECT pg_reload_conf()' >/dev/null
  up_with
  equal "$(sql 'SHOW work_mem')" 9MB
  equal "$(sql 'SHOW max_locks_per_transaction')" 70
  up_with
  [[ $output == *'nothing has changed'* ]] || wrong "$output"
}

differs() { ! cmp --silent "$1" "$2"; }

# other_checkout: a checkout beside, whose build makes another chatty-feed.
other_checkout() {
  local real
  real=$(command -v swift)
  CHECKOUT=$BATS_TEST_TMPDIR/checkout
  mkdir -p "$CHECKOUT/built" "$CHECKOUT/tools"
  cp -r "$ROOT"/{deploy,nginx,sql,Package.swift} "$CHECKOUT"
  cp "$CHATTY_HOME"/bin/* "$CHECKOUT/built"
  printf 'x' >>"$CHECKOUT/built/chatty-feed"
  printf '#!/bin/sh\ncase "$*" in *--show-bin-path*) echo %s ;; build*) ;; *) exec %s "$@" ;; esac\n' "$CHECKOUT/built" "$real" >"$CHECKOUT/tools/swift"
  chmod 755 "$CHECKOUT/tools/swift"
}

@test "a migration that fails leaves the executables, the services and the schema as they were" {
  local before feed
  other_checkout
  printf 'CREATE TABLE half_done (id bigint);\nSELECT 1 / 0;\n' >"$CHECKOUT/sql/9999_broken.sql"
  before=$(services)
  feed=$(sha256sum <"$CHATTY_HOME/bin/chatty-feed")
  ask_on
  run ! env PATH="$CHECKOUT/tools:$PATH" "$CHECKOUT/deploy/up" </dev/null 3>&-
  [[ $output == *'division by zero'* ]] || wrong "$output"
  equal "$(services)" "$before" 'the processes'
  equal "$(sha256sum <"$CHATTY_HOME/bin/chatty-feed")" "$feed" 'the executable'
  equal "$(sql "SELECT to_regclass('half_done') IS NULL")" t
  stop_asking
  # One that dies now comes back as it was.
  kill -KILL "$(pgrep --parent "$(<"$CHATTY_HOME/service/feed/supervise/pid")" | head -n 1)"
  eventually 20 is_whole feed
  run env PATH="$CHECKOUT/tools:$PATH" "$ROOT/deploy/status" 3>&-
  equal "$status" 0 "$output"
  rm "$CHECKOUT/sql/9999_broken.sql"
  env PATH="$CHECKOUT/tools:$PATH" "$CHECKOUT/deploy/up" </dev/null >"$BATS_TEST_TMPDIR/up.log" 2>&1 3>&- || wrong "$(cat "$BATS_TEST_TMPDIR/up.log")"
  grep -q 'installed chatty-feed' "$BATS_TEST_TMPDIR/up.log"
  up_with
  [[ $output == *'installed chatty-feed'* ]] || wrong "$output"
}

# is_whole POOL: it has its two workers.
is_whole() { [[ $(pgrep --parent "$(<"$CHATTY_HOME/service/$1/supervise/pid")" | wc -l) == 2 ]]; }

@test "with all processes gone at once, as when a machine stops, deploy/start brings everything back without a build and with an empty environment" {
  supervisor | xargs kill -KILL
  eventually 20 is_killed
  env -i PATH=/usr/bin:/bin CHATTY_HOME="$CHATTY_HOME" "$ROOT/deploy/start" </dev/null >"$BATS_TEST_TMPDIR/start.log" 2>&1 3>&- ||
    wrong "$(cat "$BATS_TEST_TMPDIR/start.log")"
  get "/posts/$POST"
  expect 200
  as ada post "/posts/$POST/comments" '{"content": "still here"}'
  expect 200
  run -0 "$ROOT/deploy/start" </dev/null 3>&-
  [[ $output == *'everything was running'* ]] || wrong "$output"
  up_with
  [[ $output == *'nothing has changed'* ]] || wrong "$output"
}

# is_killed: no process is left whose folder is in that of the stack; those that are there are killed, with what they start meanwhile.
is_killed() {
  local pids
  pids=$(find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' -lname "$CHATTY_HOME/*" 2>/dev/null | tr -dc '0-9\n')
  if [[ -z $pids ]]; then return; fi
  xargs kill -KILL <<<"$pids" 2>/dev/null || true
  return 1
}

@test "a stack keeps to its database: another one, or none where there was one, takes a clear word" {
  local before
  before=$(services)
  run ! env CHATTY_DATABASE_URL="postgresql:///other?host=$CHATTY_HOME/run&user=postgres" "$ROOT/deploy/up" </dev/null 3>&-
  [[ $output == *'belongs to another database, the private cluster'*'--change-database'* ]] || wrong "$output"
  equal "$(services)" "$before" 'the processes'
  printf 'chatty at db.example.org:5432\n' >"$CHATTY_HOME/database"
  run ! "$ROOT/deploy/up" </dev/null 3>&-
  [[ $output == *'belongs to another database, chatty at db.example.org:5432, and CHATTY_DATABASE_URL is not set'* ]] || wrong "$output"
  equal "$(services)" "$before" 'the processes'
  run -0 "$ROOT/deploy/up" --change-database </dev/null 3>&-
  equal "$(<"$CHATTY_HOME/database")" 'the private cluster'
}
