#!/usr/bin/env bats
# Reports of posts.

load support

setup_file() {
  member ada bob carl
}

setup() {
  new_post ada
}

@test "a user has one open report on a post, which gets each further reason once" {
  as bob post "/posts/$NEW_POST/reports" '{"reason": " Spam "}'
  expect 200 '{"message": "Report received"}'
  as bob post "/posts/$NEW_POST/reports" '{"reason": "Still spam"}'
  expect 200 '{"message": "Report received"}'
  as bob post "/posts/$NEW_POST/reports" '{"reason": "Still spam"}'
  expect 200
  as carl post "/posts/$NEW_POST/reports" '{"reason": "Spam, I say"}'
  expect 200
  equal "$(sql "SELECT user_id, replace(reason, E'\n', '\n') FROM reports WHERE post_id = $NEW_POST ORDER BY id")" "$(id_of bob)|Spam\nStill spam"$'\n'"$(id_of carl)|Spam, I say"

  sql "UPDATE reports SET resolved_at = now() WHERE post_id = $NEW_POST"
  as bob post "/posts/$NEW_POST/reports" '{"reason": "Again"}'
  expect 200
  equal "$(sql "SELECT count(*) FROM reports WHERE post_id = $NEW_POST AND resolved_at IS NULL")" 1
}

@test "a reason has 1 to 4,000 characters" {
  as bob post "/posts/$NEW_POST/reports" '{"reason": "  "}'
  expect_invalid body.reason:string_too_short
  as bob post "/posts/$NEW_POST/reports" '{}'
  expect_invalid body.reason:missing
  as bob post "/posts/$NEW_POST/reports" "{\"reason\": \"$(letters 4001 é)\"}"
  expect_invalid body.reason:string_too_long
  as bob post "/posts/$NEW_POST/reports" "{\"reason\": \"$(letters 4000 é)\"}"
  expect 200
}

@test "reasons that are added end at 20,000 characters, and the report stays" {
  local n
  for n in 1 2 3 4 5 6; do
    as bob post "/posts/$NEW_POST/reports" "{\"reason\": \"$n$(letters 3999 é)\"}"
    expect 200
  done
  equal "$(sql "SELECT char_length(reason) FROM reports WHERE post_id = $NEW_POST")" 20000
}

@test "a post that is not there, or hidden, cannot be reported, and nobody reports without a token" {
  as bob post /posts/9223372036854775807/reports '{"reason": "x"}'
  expect_error 404 'Post not found'
  post "/posts/$NEW_POST/reports" '{"reason": "x"}'
  expect_unauthenticated
  member dora
  new_post dora
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of dora)"
  as bob post "/posts/$NEW_POST/reports" '{"reason": "x"}'
  expect_error 404 'Post not found'
}

@test "reports go with their post" {
  as bob post "/posts/$NEW_POST/reports" '{"reason": "x"}'
  expect 200
  as ada delete "/posts/$NEW_POST"
  expect 200
  equal "$(sql "SELECT count(*) FROM reports WHERE post_id = $NEW_POST")" 0
}
