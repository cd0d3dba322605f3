#!/usr/bin/env bats
# One client that holds all the connections it can get.

load ../smoke/support
load ../smoke/stack

setup_file() {
  start_stack CHATTY_CLIENT_CONNECTIONS=20
}

teardown_file() {
  stop_stack
}

# hold COUNT KIND: what connections.py says.
hold() {
  run /usr/bin/python3 "$BATS_TEST_DIRNAME/connections.py" "$1" "$2" "$CHATTY_OPS_PORT"
  printf '%s\n' "$output"
  [[ $status == 0 ]]
}

@test "thousands of requests that one client leaves in the middle keep nobody else out" {
  hold 9000 headers
  [[ $output == *', 60 of 60 answered, operations 200 200 200 200 200 200'* ]]
  [[ ${output%% *} -gt 5000 ]] || wrong 'the first client was let go too early for anybody to notice'
}

@test "of those whose header is there a client has as many as it may, and the others are told to wait" {
  hold 200 bodies
  [[ $output == *', 60 of 60 answered, operations 200 200 200 200 200 200 429:180' ]]
  eventually 30 is_let_in
}

is_let_in() { [[ $(curl --silent --output /dev/null --interface 127.0.0.9 --write-out '%{http_code}' "$CHATTY_TEST_URL/posts") == 200 ]]; }

@test "the refusal is JSON with Retry-After" {
  for _ in {1..25}; do
    curl --silent --output /dev/null --max-time 3 --limit-rate 1 --header 'Content-Type: application/json' --data-binary "@$BATS_TEST_DIRNAME/connections.py" \
      --interface 127.0.0.9 "$CHATTY_TEST_URL/posts" 3>&- &
  done
  eventually 3 is_refused
  wait
  jq -e '.detail == "Too many requests"' "$BATS_TEST_TMPDIR/refused.body" >/dev/null
  grep -qi '^Retry-After: 1' "$BATS_TEST_TMPDIR/refused.headers"
}

is_refused() {
  [[ $(curl --silent --output "$BATS_TEST_TMPDIR/refused.body" --dump-header "$BATS_TEST_TMPDIR/refused.headers" --interface 127.0.0.9 --write-out '%{http_code}' "$CHATTY_TEST_URL/posts") == 429 ]]
}

@test "when nginx has no connection left an operator is answered all the same, and it is over with its timeouts" {
  CHATTY_CONNECTIONS=512 up
  hold 3000 both
  [[ $output == *', operations 200 200 200 200 200 200'* && $output != *' 60 of 60 answered'* ]]
  eventually 30 is_let_in
}

@test "when nginx is away the operations listener says so, and the pools are ready" {
  local pid
  sv -w 20 down "$CHATTY_HOME/service/nginx" >/dev/null
  ops /livez
  expect_error 503 'nginx: no answer'
  ops /stub_status
  expect 503
  ops /readyz
  expect 200
  sv -w 20 up "$CHATTY_HOME/service/nginx" >/dev/null
  eventually 10 is_alive
  # Killed, it leaves its socket behind.
  pid=$(<"$CHATTY_HOME/service/nginx/supervise/pid")
  kill -9 "$pid"
  eventually 15 is_alive
  eventually 15 is_let_in
}

is_alive() {
  ops /livez
  [[ $CODE == 200 && $BODY == '{"status":"alive"}' ]]
}
