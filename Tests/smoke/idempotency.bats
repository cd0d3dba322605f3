#!/usr/bin/env bats
# Idempotency-Key: a request that is sent again is answered again, and not done again.

load support

setup_file() {
  member ada bob
  new_post ada
  printf '%s' "$NEW_POST" >"$BATS_FILE_TMPDIR/post"
}

setup() {
  ADAS_POST=$(<"$BATS_FILE_TMPDIR/post")
  KEY="key-$BATS_TEST_NUMBER-$RANDOM$RANDOM"
}

# keyed NAME PATH BODY [KEY]: a POST with an Idempotency-Key.
keyed() {
  as "$1" post "$2" "$3" --header "Idempotency-Key: ${4-$KEY}"
}

count_of() { sql "SELECT count(*) FROM $1 WHERE user_id = $(id_of "$2") AND $3"; }

@test "a repeated creation gets the first answer again and makes no second row, on every route that creates" {
  local path body first
  while read -r path body; do
    keyed bob "$path" "$body" "$KEY$path"
    expect 200
    # shellcheck disable=SC2153 # the answer of call
    first=$BODY
    keyed bob "$path" "$body" "$KEY$path"
    expect 200 "$first"
  done <<EOF_ROUTES
/posts {"title": "Once", "content": "$KEY"}
/posts/$ADAS_POST/comments {"content": "$KEY"}
/posts/$ADAS_POST/reports {"reason": "$KEY"}
/posts/$ADAS_POST/likes
/subscribe/$(id_of ada)
EOF_ROUTES
  equal "$(count_of posts bob "content = '$KEY'")" 1
  equal "$(count_of comments bob "content = '$KEY'")" 1
  equal "$(count_of reports bob "reason = '$KEY'")" 1
  get "/posts/$ADAS_POST"
  expect 200 '.comment_count == 1 and .like_count == 1'
}

@test "the first answer comes again although what it tells of has changed, or gone" {
  keyed ada /posts '{"title": "Before", "content": "x"}'
  expect 200
  local first=$BODY id
  id=$(field .post.id)
  as ada patch "/posts/$id" '{"title": "After"}'
  keyed ada /posts '{"title": "Before", "content": "x"}'
  expect 200 "$first"
  as ada delete "/posts/$id"
  keyed ada /posts '{"title": "Before", "content": "x"}'
  expect 200 "$first"
}

@test "a key that was used for another body, or another path, is 422 and changes nothing" {
  keyed ada /posts '{"title": "One", "content": "x"}'
  expect 200
  keyed ada /posts '{"title": "Two", "content": "x"}'
  expect_error 422 'Idempotency-Key was used for another request'
  keyed ada "/posts/$ADAS_POST/comments" '{"title": "One", "content": "x"}'
  expect_error 422 'Idempotency-Key was used for another request'
  equal "$(count_of posts ada "title = 'Two'")" 0
}

@test "a key belongs to its user" {
  keyed ada /posts '{"title": "Mine", "content": "x"}'
  expect 200
  keyed bob /posts '{"title": "Mine", "content": "x"}'
  expect 200 ".post.user_id == $(id_of bob)"
}

@test "what failed may be tried again with the same key" {
  keyed ada /posts '{"title": ""}'
  expect 422
  keyed ada /posts/9223372036854775807/comments '{"content": "x"}'
  expect_error 404 'Post not found'
  equal "$(sql "SELECT count(*) FROM idempotency_keys WHERE key = '$KEY'")" 0
  keyed ada /posts '{"title": "At last", "content": "x"}'
  expect 200 '.post.title == "At last"'
}

@test "a key that no header may hold, or that is too long, is 400" {
  keyed ada /posts '{"title": "x", "content": "x"}' 'with blanks'
  expect_error 400 'Idempotency-Key must be 1 to 255 visible ASCII characters'
  keyed ada /posts '{"title": "x", "content": "x"}' "$(letters 256)"
  expect_error 400 'Idempotency-Key must be 1 to 255 visible ASCII characters'
  keyed ada /posts '{"title": "x", "content": "x"}' "\"$(letters 253)\""
  expect 200
}

@test "a stored answer is for a session that stands" {
  member carl
  keyed carl /posts '{"title": "x", "content": "x"}'
  expect 200
  as carl post /auth/logout
  keyed carl /posts '{"title": "x", "content": "x"}'
  expect_unauthenticated
}

@test "while the first request is still at work a second one is 409, and afterwards gets the answer" {
  psql --no-psqlrc --quiet "$CHATTY_TEST_DATABASE_URL" --command "BEGIN; LOCK TABLE comments IN SHARE MODE; SELECT pg_sleep(3); COMMIT" >/dev/null 3>&- &
  sleep 1
  curl --silent --max-time 20 --header "Authorization: Bearer $(token_of ada)" --header "Idempotency-Key: $KEY" --json '{"content": "Slow"}' \
    --output "$BATS_TEST_TMPDIR/first" "$CHATTY_TEST_URL/posts/$ADAS_POST/comments" 3>&- &
  sleep 0.5
  keyed ada "/posts/$ADAS_POST/comments" '{"content": "Slow"}'
  expect_error 409 'A request with this Idempotency-Key is still running'
  wait
  keyed ada "/posts/$ADAS_POST/comments" '{"content": "Slow"}'
  expect 200 "$(<"$BATS_TEST_TMPDIR/first")"
  equal "$(count_of comments ada "content = 'Slow'")" 1
}

@test "sixteen at the same moment with one key are one row and one answer" {
  seq 16 | xargs -P 16 -I{} curl --silent --max-time 20 --header "Authorization: Bearer $(token_of ada)" --header "Idempotency-Key: $KEY" \
    --json '{"title": "Sixteen", "content": "x"}' --write-out '\n' "$CHATTY_TEST_URL/posts" >"$BATS_TEST_TMPDIR/answers"
  equal "$(count_of posts ada "title = 'Sixteen'")" 1
  equal "$(jq -c 'select(.message) | .post.id' "$BATS_TEST_TMPDIR/answers" | sort -u | wc -l)" 1
  equal "$(jq -c 'select(.message | not) | .detail' "$BATS_TEST_TMPDIR/answers" | sort -u | grep -v 'still running' || true)" ''
}

@test "after a day a key is new again" {
  keyed ada /posts '{"title": "Yesterday", "content": "x"}'
  expect 200
  local first
  first=$(field .post.id)
  sql "UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second' WHERE key = '$KEY'"
  keyed ada /posts '{"title": "Today", "content": "x"}'
  expect 200 ".post.id != $first and .post.title == \"Today\""
  local second=$BODY
  keyed ada /posts '{"title": "Today", "content": "x"}'
  expect 200 "$second"
}

@test "stored answers go with their user" {
  member dora
  keyed dora /posts '{"title": "x", "content": "x"}'
  expect 200
  sql "DELETE FROM users WHERE id = $(id_of dora)"
  equal "$(sql "SELECT count(*) FROM idempotency_keys WHERE user_id = $(id_of dora)")" 0
}

@test "the key of a request to one service is no other service's, which tells so and does nothing" {
  keyed bob /posts '{"title": "First", "content": "x"}'
  expect 200
  local first=$BODY
  sql "DELETE FROM subscriptions WHERE follower_id = $(id_of bob)"
  keyed bob "/subscribe/$(id_of ada)" ''
  expect_error 422 'Idempotency-Key was used for another request'
  equal "$(sql "SELECT count(*) FROM subscriptions WHERE follower_id = $(id_of bob)")" 0
  keyed bob /posts '{"title": "First", "content": "x"}'
  expect 200 "$first"
}
