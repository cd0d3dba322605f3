#!/usr/bin/env bats
# Secrets of mails' links are in no log, however the request ends that carries one.

load ../smoke/support
load ../smoke/stack

setup_file() {
  # Late is after three seconds.
  start_stack CHATTY_STATEMENT_TIMEOUT=1000 CHATTY_LOG_LEVEL=trace
}

teardown_file() {
  stop_stack
}

setup() {
  SECRET=$(head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
}

# endings KIND: sends the requests, and their statuses are in STATUSES.
endings() {
  STATUSES=$(/usr/bin/python3 "$BATS_TEST_DIRNAME/endings.py" "$1" "$SECRET")
  printf '%s: %s\n' "$1" "$STATUSES"
}

# had STATUS…: each of these was among the answers.
had() {
  local status
  for status; do [[ " $STATUSES " == *" $status "* ]] || wrong "no request ended with $status"; done
}

# logged STATUS…: the access log has requests that ended so, though nobody was there for the answer.
logged() {
  local status
  for status; do grep -q "\"status\":$status," "$CHATTY_HOME/log/nginx/current" || wrong "no request is logged with $status"; done
}

# is_nowhere: what is in the logs when all that was sent before is in them too.
is_nowhere() {
  local id=last-$RANDOM-$RANDOM
  get /posts --header "X-Request-ID: $id"
  eventually 10 grep -qF "$id" "$CHATTY_HOME/log/nginx/current" || wrong 'the access log is not written'
  if grep -raF "$SECRET" "$CHATTY_HOME/log" "$CHATTY_HOME/nginx" >&2; then wrong 'a secret is in a log'; fi
}

@test "not when it is answered, or refused by nginx for whatever is wrong with it" {
  endings whole
  had 200 400 404 405 413 414 431 501 505
  is_nowhere
}

@test "not when it stops in the middle, is cut off, or takes too long" {
  endings cut
  had 431 left -
  is_nowhere
  logged 400 408
}

@test "not when its client has gone, when the pool does not answer in time, and when there is none" {
  local pid
  for pid in $(workers chatty-auth); do kill -STOP "$pid"; done
  endings after
  had 503 left
  for pid in $(workers chatty-auth); do kill -CONT "$pid"; done
  is_nowhere
  sv -w 30 down "$CHATTY_HOME/service/auth" "$CHATTY_HOME/service/login" >/dev/null
  rm -f "$CHATTY_HOME/run/auth.sock"
  endings after
  sv up "$CHATTY_HOME/service/auth" "$CHATTY_HOME/service/login" >/dev/null
  had 503
  is_nowhere
}

@test "not when there are too many of them" {
  CHATTY_RATE_WRITES=1 CHATTY_CLIENT_CONNECTIONS=2 up
  endings after
  had 429
  endings whole
  is_nowhere
}

@test "not when a worker dies of it, nor is what was in its memory" {
  local pid
  up
  for pid in $(workers chatty-auth); do kill -STOP "$pid"; done
  endings after >/dev/null &
  sleep 1
  # As if by a mistake in a calculation with what was sent.
  for pid in $(workers chatty-auth); do
    kill -ILL "$pid"
    kill -CONT "$pid"
  done
  wait
  eventually 60 "$ROOT/deploy/status" >/dev/null
  is_nowhere
  if grep -raE 'Registers:|^ *r[a-d]x ' "$CHATTY_HOME/log" >&2; then wrong 'registers are in a log'; fi
}
