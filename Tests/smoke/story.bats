#!/usr/bin/env bats
# The network as two people and an administrator live it, one chapter after the other.

load support

@test "two people register, open the link in their mail, log in, post, comment, like, follow, read the feed and get recommendations" {
  register ada
  register bob
  local ada bob
  ada=$(id_of ada) bob=$(id_of bob)

  post /auth/login "$(account ada | jq -c 'del(.email)')"
  expect_error 400 'Account not verified'

  get "$(link_for ada)"
  expect 200 '{"message": "Account verified"}'
  get "$(link_for bob)"
  expect 200 '{"message": "Account verified"}'
  log_in ada
  log_in bob

  as ada get /auth/me
  expect 200 ".id == $ada and .username == \"$(full_name ada)\" and .email == \"$(email_of ada)\"" '.role == "user" and .is_active == true'

  as ada get /feed
  expect 200 '{"message": "No subscriptions yet", "posts": []}'
  as ada post "/subscribe/$bob"
  expect 200 "{\"message\": \"Subscribed to user $bob\"}"
  as ada get /feed
  expect 200 '{"message": "Your feed", "posts": []}'

  new_post bob 'First words' 'Hello, everyone.'
  local first=$NEW_POST
  new_post bob 'Second thoughts' 'On second thoughts, hello again.'
  local second=$NEW_POST
  printf '%s\n' "$first" >"$BATS_FILE_TMPDIR/first"
  printf '%s\n' "$second" >"$BATS_FILE_TMPDIR/second"

  as ada post "/posts/$first/comments" '{"content": "Welcome!"}'
  expect 200 '.message == "Comment added"' ".comment | .content == \"Welcome!\" and .post_id == $first and .user_id == $ada"
  as ada post "/posts/$first/likes"
  expect 200 '{"message": "Post liked"}'

  as ada get /feed
  expect 200 '.message == "Your feed"' "[.posts[].id] == [$second, $first]" \
    ".posts[1] | .username == \"$(full_name bob)\" and .like_count == 1 and .comment_count == 1 and .liked_by_me"

  # Bob likes what Ada likes and one post more: that one is for her.
  as bob post "/posts/$first/likes"
  expect 200 '{"message": "Post liked"}'
  as bob post "/posts/$second/likes"
  expect 200 '{"message": "Post liked"}'
  # The worker would see to it within a minute.
  "$BATS_TEST_DIRNAME/../../deploy/chatty" recommendations build --wait
  as ada get /recommendations
  expect 200 '.message == "Recommended posts"' \
    ".posts[0] | .id == $second and .reason == \"similar_users\" and (.score * .score * 2 - 1 | fabs < 0.0001) and .liked_by_me == false"
}

@test "an operator makes an admin, who blocks one of them, and their token is dead on the next request" {
  newcomer root
  "$BATS_TEST_DIRNAME/../../deploy/chatty" user promote "$(full_name root)" --role admin
  local bob first
  bob=$(id_of bob) first=$(<"$BATS_FILE_TMPDIR/first")
  as root get /auth/me
  expect 200 '.role == "admin"'

  # What the world looks like now is what it must look like after the block is lifted.
  world >"$BATS_FILE_TMPDIR/before"

  as bob get /feed
  expect 200
  as root post "/admin/users/$bob/block" '{"reason": "Spam"}'
  expect 200 "{\"message\": \"User $bob blocked\"}"
  as bob get /feed
  expect_unauthenticated
  as bob post /posts '{"title": "More spam", "content": "Buy now"}'
  expect_unauthenticated
  post /auth/login "$(account bob | jq -c 'del(.email)')"
  expect_error 400 'Account blocked'

  get "/posts/$first"
  expect_error 404 'Post not found'
  as ada get /feed
  expect 200 '{"message": "Your feed", "posts": []}'
  as ada get /recommendations
  expect 200 "[.posts[].user_id] | index($bob) == null"
}

@test "lifting the block restores everything exactly" {
  local bob
  bob=$(id_of bob)
  as root delete "/admin/users/$bob/block"
  expect 200 "{\"message\": \"User $bob unblocked\"}"
  # The worker may have built the index while he was blocked, and he is a neighbour again when it builds the next: now, and not within a
  # minute.
  "$BATS_TEST_DIRNAME/../../deploy/chatty" recommendations build --wait
  world >"$BATS_FILE_TMPDIR/after"
  diff "$BATS_FILE_TMPDIR/before" "$BATS_FILE_TMPDIR/after"
  log_in bob
  as bob get /auth/me
  expect 200 ".id == $bob and .is_active"
}

# world: everything that Ada and the public can see of Bob.
world() {
  local bob first
  bob=$(id_of bob) first=$(<"$BATS_FILE_TMPDIR/first")
  local path
  for path in "/posts?user_id=$bob" "/posts/$first" "/posts/$first/comments" "/auth/users/$bob" /feed; do
    as ada get "$path"
    expect 200
    jq -S . <<<"$BODY"
  done
  as ada get /recommendations
  expect 200
  jq -S '[.posts[] | select(.reason == "similar_users")]' <<<"$BODY"
}
