#!/usr/bin/env bash
# Traffic in the background of a test of faults, and what must hold of it afterwards.

# prepare_traffic: a user who writes, and posts entitled "Post ID", in the database of the running stack.
prepare_traffic() {
  member traveller
  sql "INSERT INTO posts (user_id, title, content) SELECT $(id_of traveller), 'x', 'Some content' FROM generate_series(1, 500)"
  sql "UPDATE posts SET title = 'Post ' || id; SELECT id FROM posts" >"$BATS_FILE_TMPDIR/posts"
}

# begin_traffic [OPTION…]: starts traffic.py, which goes on until end_traffic.
begin_traffic() {
  TRAFFIC=$BATS_TEST_TMPDIR/traffic MARK="test-$BATS_TEST_NUMBER-$RANDOM"
  rm -f "$TRAFFIC.stop"
  python3 "$BATS_TEST_DIRNAME/traffic.py" "$CHATTY_TEST_URL" --token "$(token_of traveller)" --posts "$BATS_FILE_TMPDIR/posts" \
    --acknowledged "$TRAFFIC.acknowledged" --mark "$MARK" --until "$TRAFFIC.stop" "$@" >"$TRAFFIC.report" 2>"$TRAFFIC.errors" 3>&- &
  TRAFFIC_PID=$!
  sleep 1
}

# end_traffic: stops it; its report is in BODY, for expect_traffic.
end_traffic() {
  touch "$TRAFFIC.stop"
  wait "$TRAFFIC_PID"
  cat "$TRAFFIC.errors" >&2
  BODY=$(<"$TRAFFIC.report")
  printf 'traffic: %s\n' "$BODY" >&2
}

# expect_traffic FILTER…: jq filters that must hold of the report.
expect_traffic() {
  local want
  for want; do
    jq -e "$want" <<<"$BODY" >/dev/null || wrong "expected of the traffic that $want"
  done
}

# expect_acknowledged_writes: what the stack said to have stored is stored, once, and under the id it gave.
expect_acknowledged_writes() {
  [[ -s $TRAFFIC.acknowledged ]] || wrong 'no write was acknowledged'
  sql "SELECT id || E'\t' || content FROM comments WHERE content LIKE '$MARK %'" | sort >"$TRAFFIC.stored"
  sort -o "$TRAFFIC.acknowledged" "$TRAFFIC.acknowledged"
  local lost
  lost=$(comm -23 "$TRAFFIC.acknowledged" "$TRAFFIC.stored" | head -n 5)
  [[ -z $lost ]] || wrong "acknowledged and not stored: $lost"
  # Nor may anything be stored twice: nobody retries a write.
  equal "$(cut -f2 "$TRAFFIC.stored" | sort | uniq -d | head -n 5)" '' 'what is stored twice'
  # And the counters agree with the rows.
  equal "$(sql "SELECT count(*) FROM posts p LEFT JOIN post_stats s ON s.post_id = p.id
    WHERE coalesce(s.comments, 0) <> (SELECT count(*) FROM comments c WHERE c.post_id = p.id)")" 0 'the number of posts with a wrong count'
}
