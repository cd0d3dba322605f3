#!/usr/bin/env bats
# Following people, and the feed of what they write.

load support

setup_file() {
  member ada bob carol
}

# A reader of their own for every test that counts on what they follow.
setup() {
  READER=reader$BATS_TEST_NUMBER
}

@test "a subscription is made once and ended once" {
  local bob
  bob=$(id_of bob)
  member "$READER"
  as "$READER" post "/subscribe/$bob"
  expect 200 "{\"message\": \"Subscribed to user $bob\"}"
  as "$READER" post "/subscribe/$bob"
  expect_error 400 'Already subscribed'
  get "/auth/users/$bob"
  expect 200 '.follower_count == 1'
  as "$READER" delete "/unsubscribe/$bob"
  expect 200 "{\"message\": \"Unsubscribed from user $bob\"}"
  as "$READER" delete "/unsubscribe/$bob"
  expect_error 404 'Subscription not found'
  get "/auth/users/$bob"
  expect 200 '.follower_count == 0'
}

@test "one follows neither oneself nor somebody who is not there" {
  as ada post "/subscribe/$(id_of ada)"
  expect_error 400 'Cannot subscribe to yourself'
  as ada post /subscribe/9223372036854775807
  expect_error 404 'User not found'
  as ada delete /unsubscribe/9223372036854775807
  expect_error 404 'Subscription not found'
  as ada delete "/unsubscribe/$(id_of ada)"
  expect_error 404 'Subscription not found'
}

@test "following takes a token" {
  post "/subscribe/$(id_of bob)"
  expect_unauthenticated
  delete "/unsubscribe/$(id_of bob)"
  expect_unauthenticated
  get /feed
  expect_unauthenticated
}

@test "sixteen subscriptions at the same moment are one" {
  member "$READER"
  local codes
  codes=$(seq 16 | xargs -P 16 -I{} curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 --request POST \
    --header "Authorization: Bearer $(token_of "$READER")" "$CHATTY_TEST_URL/subscribe/$(id_of carol)" | sort | uniq -c | xargs)
  equal "$codes" '1 200 15 400'
  get "/auth/users/$(id_of "$READER")"
  expect 200 '.following_count == 1'
  equal "$(sql "SELECT count(*) FROM subscriptions WHERE follower_id = $(id_of "$READER")")" 1
}

@test "a feed without subscriptions says so" {
  member "$READER"
  as "$READER" get /feed
  expect 200 '{"message": "No subscriptions yet", "posts": []}'
}

@test "a feed of silent people is empty, and still a feed" {
  resident silent
  member "$READER"
  as "$READER" post "/subscribe/$(id_of silent)"
  expect 200
  as "$READER" get /feed
  expect 200 '{"message": "Your feed", "posts": []}'
}

@test "a feed holds the posts of the followed, newest first, and of nobody else" {
  member "$READER"
  as "$READER" post "/subscribe/$(id_of bob)"
  as "$READER" post "/subscribe/$(id_of carol)"
  new_post bob one
  local one=$NEW_POST
  new_post ada unfollowed
  new_post "$READER" own
  new_post carol two
  local two=$NEW_POST
  new_post bob three
  local three=$NEW_POST
  as "$READER" post "/posts/$two/likes"
  as ada post "/posts/$two/comments" '{"content": "Ha"}'
  as "$READER" get '/feed?limit=3'
  expect 200 '.message == "Your feed"' ".posts | map(.id) == [$three, $two, $one]" ".posts | all($POST_SHAPE)" \
    '.posts[1] | .liked_by_me and .like_count == 1 and .comment_count == 1' '.posts[0] | .liked_by_me == false and .like_count == 0'

  as "$READER" delete "/unsubscribe/$(id_of carol)"
  expect 200
  as "$READER" get '/feed?limit=2'
  expect 200 ".posts | map(.id) == [$three, $one]"
}

@test "pages of a feed neither repeat nor skip a post" {
  local ids n
  resident w1 w2 w3
  ids="$(id_of w1), $(id_of w2), $(id_of w3)"
  # One writes much, one little, one seldom, in turns.
  sql "INSERT INTO posts (user_id, title, content)
       SELECT (ARRAY[$ids])[CASE WHEN n % 17 = 0 THEN 3 WHEN n % 5 = 0 THEN 2 ELSE 1 END], 'Post ' || n, 'x' FROM generate_series(1, 60) n"
  member "$READER"
  for n in w1 w2 w3; do
    as "$READER" post "/subscribe/$(id_of "$n")"
    expect 200
  done
  equal "$(walk '/feed?limit=7' '.posts[].id' "$READER" | xargs)" "$(sql "SELECT id FROM posts WHERE user_id IN ($ids) ORDER BY id DESC" | xargs)"
  as "$READER" get '/feed?limit=60'
  expect 200 '.posts | length == 60'
  [[ -z $(next_page) ]] || wrong 'a Link on the last page'
  as "$READER" get /feed
  expect 200 '.posts | length == 50'
}

@test "a feed hides what a blocked user wrote, and shows it again afterwards" {
  member "$READER" villain
  as "$READER" post "/subscribe/$(id_of villain)"
  as "$READER" post "/subscribe/$(id_of bob)"
  new_post bob good
  local good=$NEW_POST
  new_post villain bad
  local bad=$NEW_POST
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of villain)"
  as "$READER" get '/feed?limit=1'
  expect 200 ".posts | map(.id) == [$good]"
  sql "UPDATE users SET blocked_at = NULL WHERE id = $(id_of villain)"
  as "$READER" get '/feed?limit=2'
  expect 200 ".posts | map(.id) == [$bad, $good]"
}

@test "a feed is right after the newest posts of a followed user are deleted" {
  member "$READER" eraser
  as "$READER" post "/subscribe/$(id_of eraser)"
  new_post eraser first
  local first=$NEW_POST
  new_post eraser second
  as eraser delete "/posts/$NEW_POST"
  expect 200
  as "$READER" get /feed
  expect 200 ".posts | map(.id) == [$first]"
  as eraser delete "/posts/$first"
  expect 200
  as "$READER" get /feed
  expect 200 '{"message": "Your feed", "posts": []}'
}
