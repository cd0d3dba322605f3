#!/usr/bin/env bats
# Load, and connections that do nothing.

load ../smoke/support
load ../smoke/stack
load traffic

setup_file() {
  start_stack
  prepare_traffic
}

teardown_file() {
  stop_stack
}

setup() {
  A_POST=$(head -n 1 "$BATS_FILE_TMPDIR/posts")
}

@test "32 connections for 30 seconds get nothing but success" {
  wrk -c 32 -t 2 -d 30 -s "$ROOT/Tests/load/round.lua" "$CHATTY_TEST_URL/posts/$A_POST" >"$BATS_TEST_TMPDIR/wrk" 2>&1 3>&-
  [[ $(tail -n 1 "$BATS_TEST_TMPDIR/wrk") =~ ^round:\ [1-9][0-9]+\ .*\ 0$ ]] || wrong "wrk: $(<"$BATS_TEST_TMPDIR/wrk")"
}

# idle COUNT TEXT: opens so many connections, sends TEXT on each and leaves them open until the test ends.
idle() {
  python3 - "$CHATTY_PORT" "$@" 3>&- <<'EOF_PYTHON' &
import socket, sys, time
port, count, text = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode().decode("unicode_escape").encode()
sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
for each in sockets:
    each.sendall(text)
time.sleep(60)
EOF_PYTHON
  IDLE=$!
  sleep 1
}

teardown() {
  if [[ -n ${IDLE-} ]]; then kill "$IDLE"; fi
}

answers_quickly() {
  for _ in {1..100}; do
    get "/posts/$A_POST" --max-time 2
    expect 200
  done
  as traveller post "/posts/$A_POST/comments" '{"content": "Quick"}' --max-time 2
  expect 200
}

@test "200 connections that are opened and left idle hold nobody up" {
  idle 200 ''
  answers_quickly
}

@test "200 connections that have asked once and are kept hold nobody up" {
  idle 200 "GET /posts/$A_POST HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
  answers_quickly
}

@test "200 requests that stop in the middle of their body hold nobody up" {
  idle 200 "POST /posts/$A_POST/comments HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: application/json\\r\\nContent-Length: 100\\r\\n\\r\\n{\"content"
  answers_quickly
}

@test "a client that goes away without its answer leaves nothing behind" {
  for _ in {1..200}; do
    printf 'GET /posts HTTP/1.1\r\nHost: localhost\r\n\r\n' >"/dev/tcp/127.0.0.1/$CHATTY_PORT"
  done
  answers_quickly
}

@test "a flood of logins is turned away quickly, and the other services hardly notice" {
  local n
  # Registered here: a hash of the cost that the stack has. Of one name one is in work at a time, so there are many.
  register flooded
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
    SELECT username || '.' || n, n || email, hashed_password, now() FROM users, generate_series(1, 400) n WHERE id = $(id_of flooded)"
  for n in {1..400}; do credentials flooded | jq -c ".username += \".$n\"" >"$BATS_TEST_TMPDIR/$n.json"; done
  seq 400 | xargs -P 64 -I{} curl --silent --output /dev/null --dump-header "$BATS_TEST_TMPDIR/{}.headers" --max-time 30 \
    --write-out '%{http_code} %{time_total}\n' --header 'Content-Type: application/json' --data-binary "@$BATS_TEST_TMPDIR/{}.json" \
    "$CHATTY_TEST_URL/auth/login" >"$BATS_TEST_TMPDIR/logins" 3>&- &
  local flood=$!
  sleep 0.5
  begin_traffic --readers 4 --writers 2
  sleep 4
  end_traffic
  wait "$flood" || true

  # Each is either a login or a refusal, and none waits for long.
  local other
  printf 'logins: %s, the slowest in %s s\n' "$(cut -d' ' -f1 "$BATS_TEST_TMPDIR/logins" | sort | uniq -c | xargs)" \
    "$(cut -d' ' -f2 "$BATS_TEST_TMPDIR/logins" | sort -n | tail -n 1)" >&2
  other=$(awk '$1 != 200 && $1 != 503 && $1 != 429' "$BATS_TEST_TMPDIR/logins")
  [[ -z $other ]] || wrong "other answers: $other"
  equal "$(wc -l <"$BATS_TEST_TMPDIR/logins")" 400 'the number of answers'
  grep -q '^200 ' "$BATS_TEST_TMPDIR/logins" || wrong 'nobody got in'
  awk '$1 == 503 || $1 == 429 { n++ } END { exit n < 50 }' "$BATS_TEST_TMPDIR/logins" || wrong "hardly anybody was turned away: $(cut -d' ' -f1 "$BATS_TEST_TMPDIR/logins" | sort | uniq -c | xargs)"
  equal "$(awk '$2 > 10' "$BATS_TEST_TMPDIR/logins")" '' 'the list of slow answers'
  equal "$(grep -LiE '^(Retry-After: [0-9]+|HTTP/1.1 200)' "$BATS_TEST_TMPDIR"/*.headers)" '' 'the list of refusals without Retry-After'

  expect_traffic '.wrong == []' '.reads | keys == ["200"]' '.writes | keys == ["200"]' '.slowest < 2'
  expect_acknowledged_writes
}
