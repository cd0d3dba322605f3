#!/usr/bin/env bats
# Likes: at most one of a user on a post.

load support

setup_file() {
  member ada bob
}

setup() {
  new_post ada
}

@test "liking twice says the same and counts once" {
  as bob post "/posts/$NEW_POST/likes"
  expect 200 '{"message": "Post liked"}'
  as bob post "/posts/$NEW_POST/likes"
  expect 200 '{"message": "Post liked"}'
  as bob get "/posts/$NEW_POST"
  expect 200 '.like_count == 1 and .liked_by_me'
  as ada get "/posts/$NEW_POST"
  expect 200 '.like_count == 1 and .liked_by_me == false'
}

@test "a like that is taken back is gone, once" {
  as bob post "/posts/$NEW_POST/likes"
  expect 200
  as bob delete "/posts/$NEW_POST/likes"
  expect 200 '{"message": "Like removed"}'
  as bob get "/posts/$NEW_POST"
  expect 200 '.like_count == 0 and .liked_by_me == false'
  as bob delete "/posts/$NEW_POST/likes"
  expect_error 404 'Like not found'
  get "/posts/$NEW_POST"
  expect 200 '.like_count == 0'
}

@test "one cannot take back another's like" {
  as bob post "/posts/$NEW_POST/likes"
  expect 200
  as ada delete "/posts/$NEW_POST/likes"
  expect_error 404 'Like not found'
  get "/posts/$NEW_POST"
  expect 200 '.like_count == 1'
}

@test "authors may like their own post" {
  as ada post "/posts/$NEW_POST/likes"
  expect 200 '{"message": "Post liked"}'
}

@test "a post that is not there can be neither liked nor unliked" {
  as bob post /posts/9223372036854775807/likes
  expect_error 404 'Post not found'
  as bob delete /posts/9223372036854775807/likes
  expect_error 404 'Like not found'
}

@test "nobody likes without a token" {
  post "/posts/$NEW_POST/likes"
  expect_unauthenticated
  delete "/posts/$NEW_POST/likes"
  expect_unauthenticated
}

# at_once METHOD: sends it sixteen times at the same moment as Bob, and prints the status codes, counted.
at_once() {
  seq 16 | xargs -P 16 -I{} curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 --request "$1" \
    --header "Authorization: Bearer $(token_of bob)" "$CHATTY_TEST_URL/posts/$NEW_POST/likes" | sort | uniq -c | xargs
}

@test "a like sent sixteen times at once is one like, and taken back sixteen times is taken back once" {
  equal "$(at_once POST)" '16 200'
  get "/posts/$NEW_POST"
  expect 200 '.like_count == 1'
  equal "$(sql "SELECT count(*) FROM likes WHERE post_id = $NEW_POST")" 1
  equal "$(at_once DELETE)" '1 200 15 404'
  get "/posts/$NEW_POST"
  expect 200 '.like_count == 0'
}
