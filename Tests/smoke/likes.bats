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

@test "those who like a post are listed, newest first, without blocked users" {
  member carl
  as bob post "/posts/$NEW_POST/likes"
  as ada post "/posts/$NEW_POST/likes"
  as carl post "/posts/$NEW_POST/likes"
  get "/posts/$NEW_POST/likes"
  expect 200 "map(.user_id) == [$(id_of carl), $(id_of ada), $(id_of bob)]" ".[2].username == \"$(full_name bob)\"" \
    'all(keys == ["created_at", "user_id", "username"] and (.created_at | test("^20[0-9-]+T[0-9:.]+Z$")))'
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of carl)"
  get "/posts/$NEW_POST/likes"
  expect 200 "map(.user_id) == [$(id_of ada), $(id_of bob)]"
}

@test "a post nobody likes has an empty list, a post that is not there has none" {
  get "/posts/$NEW_POST/likes"
  expect 200 '[]'
  get /posts/9223372036854775807/likes
  expect_error 404 'Post not found'
  get "/posts/$NEW_POST/likes?limit=0&cursor=AQ"
  expect_invalid query.limit:greater_than_equal query.cursor:value_error
}

# cursor MICROSECONDS ID: as a page of likes would give it.
cursor() { python3 -c 'import base64, struct, sys; print(base64.urlsafe_b64encode(struct.pack(">qq", *map(int, sys.argv[1:]))).decode().rstrip("="))' "$@"; }

@test "a cursor that somebody has made up is refused where no time is so far away" {
  local time
  for time in 9223372036854775807 9223371331200000000 -211813488000000001 -9223372036854775808; do
    get "/posts/$NEW_POST/likes?cursor=$(cursor "$time" 5)"
    expect_invalid query.cursor:value_error
  done
  for time in 9223371331199999999 -211813488000000000; do
    get "/posts/$NEW_POST/likes?cursor=$(cursor "$time" 5)"
    expect 200
  done
}

@test "pages of likes neither repeat nor skip one, though many have the same time" {
  local run
  run=$(full_name crowd)
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
       SELECT '$run' || n, '$run' || n || '@example.org', 'x', now() FROM generate_series(1, 40) n"
  sql "INSERT INTO likes (user_id, post_id, created_at)
       SELECT id, $NEW_POST, '2026-01-01T00:00:00Z'::timestamptz + interval '1 microsecond' * (id % 3) FROM users WHERE username LIKE '$run%'"
  equal "$(walk "/posts/$NEW_POST/likes?limit=7" '.[].user_id' | xargs)" \
    "$(sql "SELECT user_id FROM likes WHERE post_id = $NEW_POST ORDER BY created_at DESC, user_id DESC" | xargs)"
}
