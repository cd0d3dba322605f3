#!/usr/bin/env bats
# A rolling restart under load: not one request may fail.

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

@test "a rolling restart replaces every worker, fails no request and loses no write" {
  local before
  before=$(stack_processes | grep -E ' chatty-' | grep -v ' chatty-log$' | sort)
  begin_traffic --strict
  wrk -c 32 -t 2 -d 60 -s "$ROOT/Tests/load/round.lua" "$CHATTY_TEST_URL/posts/$(head -n 1 "$BATS_FILE_TMPDIR/posts")" \
    >"$BATS_TEST_TMPDIR/wrk" 2>&1 3>&- &
  local load=$!

  "$ROOT/deploy/restart" </dev/null 3>&-
  sleep 2
  end_traffic
  kill -INT "$load"
  wait "$load" || true

  expect_traffic '.wrong == []' '.reads | keys == ["200"]' '.writes | keys == ["200"]' '.reads["200"] > 100 and .writes["200"] > 100'
  expect_acknowledged_writes
  # requests seconds p50 p99 failed
  [[ $(tail -n 1 "$BATS_TEST_TMPDIR/wrk") =~ ^round:\ [0-9]+\ .*\ 0$ ]] || wrong "wrk saw errors: $(<"$BATS_TEST_TMPDIR/wrk")"

  # All are new, and as many as before.
  local after
  after=$(stack_processes | grep -E ' chatty-' | grep -v ' chatty-log$' | sort)
  equal "$(cut -d' ' -f2 <<<"$after" | sort | uniq -c)" "$(cut -d' ' -f2 <<<"$before" | sort | uniq -c)" 'the set of workers'
  equal "$(comm -12 <(printf '%s\n' "$before") <(printf '%s\n' "$after"))" '' 'the list of workers that were not replaced'
}

@test "a restart again and again under load is as quiet" {
  begin_traffic --strict --readers 4 --writers 4
  for _ in 1 2 3; do "$ROOT/deploy/restart" </dev/null 3>&-; done
  end_traffic
  expect_traffic '.wrong == []' '.reads | keys == ["200"]' '.writes | keys == ["200"]'
  expect_acknowledged_writes
}

@test "requests that take their time are answered when their worker is told to stop in the middle" {
  # The comments wait for the lock on their post; the restart begins meanwhile. There are so many that each worker has some.
  local post n requests=()
  post=$(head -n 1 "$BATS_FILE_TMPDIR/posts")
  psql --no-psqlrc --quiet "$CHATTY_TEST_DATABASE_URL" --command "BEGIN; SELECT FROM posts WHERE id = $post FOR UPDATE; SELECT pg_sleep(3); COMMIT" \
    >/dev/null 3>&- &
  sleep 0.5
  for n in {1..16}; do
    curl --silent --output /dev/null --write-out '%{http_code}' --max-time 20 --header "Authorization: Bearer $(token_of traveller)" \
      --json '{"content": "Patience"}' "$CHATTY_TEST_URL/posts/$post/comments" >"$BATS_TEST_TMPDIR/code$n" 3>&- &
    requests+=($!)
  done
  (sleep 0.3 && exec "$ROOT/deploy/restart") </dev/null >/dev/null 2>&1 3>&- &
  local restart=$!
  wait "${requests[@]}"
  for n in {1..16}; do equal "$(<"$BATS_TEST_TMPDIR/code$n")" 200 "the status of comment $n"; done
  wait "$restart"
}
