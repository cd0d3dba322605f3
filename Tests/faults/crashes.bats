#!/usr/bin/env bats
# Workers that are killed, connections that are cut and a database that is away.

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

@test "a worker that is killed comes back, and the others serve meanwhile" {
  local before victim
  before=$(workers chatty-posts)
  victim=$(head -n 1 <<<"$before")
  begin_traffic
  kill -9 "$victim"
  sleep 4
  end_traffic
  # What the worker had in hand fails, and nothing after it: at most one request of each client.
  expect_traffic '.wrong == []' '[.reads, .writes | to_entries[] | select(.key != "200") | .value] | add // 0 | . <= 16' \
    '(.reads + .writes | keys) - ["200", "502", "503", "broken"] == []' '.slowest < 5'
  expect_acknowledged_writes
  eventually 10 same_number_of_workers "$(wc -l <<<"$before")"
  [[ $(workers chatty-posts) != *"$victim"* ]]
}

same_number_of_workers() {
  [[ $(workers chatty-posts | wc -l) == "$1" ]]
}

@test "cut connections to the database cost a 503 at most, mix up no answers and lose no write" {
  local workers
  workers=$(workers chatty-posts)
  begin_traffic
  for _ in {1..10}; do
    sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'" >/dev/null
    sleep 0.5
  done
  end_traffic
  expect_traffic '.wrong == []' '(.reads + .writes | keys) - ["200", "503"] == []' '.reads["200"] > 100 and .writes["200"] > 100'
  expect_acknowledged_writes
  equal "$(workers chatty-posts)" "$workers" 'the list of workers'
  get "/posts/$A_POST"
  expect 200
}

# database up|down: of this stack alone, by its supervisor.
database() {
  sv -w 30 "$1" "$CHATTY_HOME/service/postgres" >/dev/null
}

@test "without its database every service answers 503 with Retry-After, and recovers by itself" {
  local workers path
  workers=$(stack_processes | grep ' chatty-')
  database down
  for path in "/posts/$A_POST" /posts "/auth/users/1" /feed /admin/stats /recommendations /auth/me; do
    as traveller get "$path"
    expect 503 '.detail | type == "string"'
    [[ $(header Retry-After) =~ ^[0-9]+$ ]] || wrong 'no Retry-After'
  done
  as traveller post "/posts/$A_POST/comments" '{"content": "Is anybody there?"}'
  expect 503
  post /auth/login "$(account traveller | jq -c 'del(.email)')"
  expect 503
  # What needs no database goes on.
  get /posts/0
  expect 422
  get /auth/.well-known/jwks.json
  expect 200
  ops /livez
  expect 200
  for path in /readyz /readyz/posts /readyz/auth; do
    ops "$path"
    expect 503
  done

  database up
  eventually 15 reads_again
  as traveller post "/posts/$A_POST/comments" '{"content": "There you are"}'
  expect 200
  eventually 15 is_ready
  equal "$(stack_processes | grep ' chatty-')" "$workers" 'the list of processes'
}

reads_again() {
  get "/posts/$A_POST"
  [[ $CODE == 200 ]]
}

is_ready() {
  ops /readyz
  [[ $CODE == 200 ]]
}

@test "traffic lives through a restart of the database without a wrong answer or a lost write" {
  begin_traffic
  database down
  sleep 2
  database up
  eventually 15 reads_again
  sleep 3
  end_traffic
  expect_traffic '.wrong == []' '(.reads + .writes | keys) - ["200", "503"] == []' '.reads["200"] > 100 and .writes["200"] > 100'
  expect_acknowledged_writes
  # The pools are whole again: nothing but success.
  begin_traffic --strict
  sleep 2
  end_traffic
  expect_traffic '.wrong == []' '.reads | keys == ["200"]' '.writes | keys == ["200"]'
}

@test "a statement that waits too long is a 503 and frees its worker" {
  psql --no-psqlrc --quiet "$CHATTY_TEST_DATABASE_URL" --command "BEGIN; LOCK TABLE comments; SELECT pg_sleep(12); COMMIT" >/dev/null 3>&- &
  sleep 0.5
  local began=$SECONDS
  as traveller post "/posts/$A_POST/comments" '{"content": "Blocked"}'
  expect 503
  ((SECONDS - began <= 10)) || wrong 'it waited too long'
  get "/posts/$A_POST"
  expect 200
  wait
}
