#!/usr/bin/env bats
# A client that gets no answer sends its request again, with the same Idempotency-Key.

load ../smoke/support
load ../smoke/stack

setup_file() {
  start_stack
  member traveller
}

teardown_file() {
  stop_stack
}

@test "requests that are sent again because workers were killed in the middle are done once, and every answer stays true" {
  local stop=$BATS_TEST_TMPDIR/stop answers=$BATS_TEST_TMPDIR/answers mark=repeat-$RANDOM n
  python3 "$BATS_TEST_DIRNAME/repeat.py" "$CHATTY_TEST_URL" --token "$(token_of traveller)" --answers "$answers" --mark "$mark" --until "$stop" 3>&- &
  for n in {1..6}; do
    sleep 1.2
    kill -9 "$(workers chatty-posts | sed -n "$((1 + n % 2))p")"
  done
  sleep 1
  touch "$stop"
  wait $! || wrong 'a request was not done at all'
  printf '%s keys, %s sent more than once\n' "$(wc -l <"$answers")" "$(awk '$3 > 1' "$answers" | wc -l)" >&2
  [[ $(awk '$3 > 1' "$answers" | wc -l) -gt 0 ]] || wrong 'nothing had to be sent again'
  # One post for each key, and it is the one that the answer told of.
  equal "$(sql "SELECT title || E'\t' || id FROM posts WHERE title LIKE '$mark-%'" | sort)" "$(cut -f 1,2 "$answers" | sort)" 'what is stored'
}

@test "the worker removes answers that are older than a day, and no others" {
  sql "INSERT INTO idempotency_keys (user_id, key, fingerprint, answer, created_at)
       SELECT 0, 'old-' || n, sha256('x'), 'x', now() - interval '25 hours' FROM generate_series(1, 2500) n"
  as traveller post /posts '{"title": "x", "content": "x"}' --header 'Idempotency-Key: young'
  expect 200
  sv -w 30 restart "$CHATTY_HOME/service/worker" >/dev/null
  eventually 10 is_swept
  equal "$(sql "SELECT count(*) FROM idempotency_keys WHERE key = 'young'")" 1
}

is_swept() {
  [[ $(sql "SELECT count(*) FROM idempotency_keys WHERE key LIKE 'old-%'") == 0 ]]
}
