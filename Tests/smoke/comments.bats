#!/usr/bin/env bats
# Comments under a post.

load support

setup_file() {
  member ada bob
}

@test "a new comment comes back whole and is counted" {
  new_post ada
  as bob post "/posts/$NEW_POST/comments" '{"content": "  Nice.  "}'
  expect 200 '.message == "Comment added"' ".comment | $COMMENT_SHAPE" \
    ".comment | .content == \"Nice.\" and .post_id == $NEW_POST and .user_id == $(id_of bob) and .username == \"$(full_name bob)\""
  local comment
  comment=$(field .comment)
  get "/posts/$NEW_POST/comments"
  expect 200 "[$comment]"
  get "/posts/$NEW_POST"
  expect 200 '.comment_count == 1'
}

@test "comments are listed oldest first, page by page, without repeating or skipping one" {
  new_post ada
  sql "INSERT INTO comments (post_id, user_id, content) SELECT $NEW_POST, $(id_of bob), 'Comment ' || n FROM generate_series(1, 11) n"
  get "/posts/$NEW_POST/comments"
  expect 200 "map(.content) == [range(1; 12) | \"Comment \\(.)\"]" "all($COMMENT_SHAPE)"
  equal "$(walk "/posts/$NEW_POST/comments?limit=4" '.[].content' | xargs)" "$(for n in {1..11}; do echo "Comment $n"; done | xargs)"
  equal "$(walk "/posts/$NEW_POST/comments?limit=11" length)" 11
}

@test "a post without comments has an empty list, a post that is not there has none" {
  new_post ada
  get "/posts/$NEW_POST/comments"
  expect 200 '[]'
  get /posts/9223372036854775807/comments
  expect_error 404 'Post not found'
  as bob post /posts/9223372036854775807/comments '{"content": "Anybody here?"}'
  expect_error 404 'Post not found'
}

@test "a comment has 1 to 4,000 characters" {
  new_post ada
  as bob post "/posts/$NEW_POST/comments" '{"content": "   "}'
  expect_invalid body.content:string_too_short
  as bob post "/posts/$NEW_POST/comments" "{\"content\": \"$(letters 4001 é)\"}"
  expect_invalid body.content:string_too_long
  as bob post "/posts/$NEW_POST/comments" "{\"content\": \"$(letters 4000 é)\"}"
  expect 200 '.comment.content | length == 4000'
  as bob post "/posts/$NEW_POST/comments" '{}'
  expect_invalid body.content:missing
}

@test "a caller cannot set a comment's id, author, post or time" {
  new_post ada
  local other=$NEW_POST
  new_post ada
  as bob post "/posts/$NEW_POST/comments" "{\"content\": \"Mine\", \"id\": 1, \"user_id\": $(id_of ada), \"post_id\": $other, \"created_at\": \"2001-01-01T00:00:00Z\"}"
  expect 200 ".comment | .id > 1 and .user_id == $(id_of bob) and .post_id == $NEW_POST and (.created_at | startswith(\"2001\") | not)"
  get "/posts/$other/comments"
  expect 200 '[]'
}

@test "nobody comments without a token" {
  new_post ada
  post "/posts/$NEW_POST/comments" '{"content": "Boo"}'
  expect_unauthenticated
  get "/posts/$NEW_POST/comments"
  expect 200 '[]'
}

@test "comments at the same moment are all kept and all counted" {
  new_post ada
  seq 40 | xargs -P 16 -I{} curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 \
    --header "Authorization: Bearer $(token_of bob)" --json '{"content": "Number {}"}' "$CHATTY_TEST_URL/posts/$NEW_POST/comments" >"$BATS_TEST_TMPDIR/codes"
  equal "$(sort "$BATS_TEST_TMPDIR/codes" | uniq -c | xargs)" '40 200'
  get "/posts/$NEW_POST"
  expect 200 '.comment_count == 40'
  equal "$(sql "SELECT count(DISTINCT content) FROM comments WHERE post_id = $NEW_POST")" 40
}

@test "a blocked user's comments are hidden" {
  member carl
  new_post ada
  new_comment carl "$NEW_POST" 'Hidden soon'
  new_comment bob "$NEW_POST" 'Here to stay'
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of carl)"
  get "/posts/$NEW_POST/comments"
  expect 200 'map(.content) == ["Here to stay"]'
  sql "UPDATE users SET blocked_at = NULL WHERE id = $(id_of carl)"
  get "/posts/$NEW_POST/comments"
  expect 200 'map(.content) == ["Hidden soon", "Here to stay"]'
}

@test "a comment is deleted by its author or by the post's, once, and no longer counted" {
  new_post ada
  new_comment bob "$NEW_POST"
  as bob delete "/posts/$NEW_POST/comments/$NEW_COMMENT"
  expect 200 '{"message": "Comment deleted"}'
  as bob delete "/posts/$NEW_POST/comments/$NEW_COMMENT"
  expect_error 404 'Comment not found'
  new_comment bob "$NEW_POST" 'Another'
  as ada delete "/posts/$NEW_POST/comments/$NEW_COMMENT"
  expect 200 '{"message": "Comment deleted"}'
  get "/posts/$NEW_POST/comments"
  expect 200 '[]'
  get "/posts/$NEW_POST"
  expect 200 '.comment_count == 0'
}

@test "nobody else deletes a comment, and none is found under another post or without a token" {
  member emil
  new_post ada
  local other=$NEW_POST
  new_post ada
  new_comment bob "$NEW_POST"
  as emil delete "/posts/$NEW_POST/comments/$NEW_COMMENT"
  expect_error 403 'Not allowed to delete this comment'
  as bob delete "/posts/$other/comments/$NEW_COMMENT"
  expect_error 404 'Comment not found'
  as bob delete "/posts/$NEW_POST/comments/9223372036854775807"
  expect_error 404 'Comment not found'
  as bob delete "/posts/9223372036854775807/comments/$NEW_COMMENT"
  expect_error 404 'Comment not found'
  delete "/posts/$NEW_POST/comments/$NEW_COMMENT"
  expect_unauthenticated
  get "/posts/$NEW_POST"
  expect 200 '.comment_count == 1'
}

@test "a comment that is hidden cannot be deleted, nor one under a hidden post" {
  member fred gina
  new_post fred
  new_comment gina "$NEW_POST"
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of gina)"
  as fred delete "/posts/$NEW_POST/comments/$NEW_COMMENT"
  expect_error 404 'Comment not found'
  sql "UPDATE users SET blocked_at = NULL WHERE id = $(id_of gina); UPDATE users SET blocked_at = now() WHERE id = $(id_of fred)"
  as gina delete "/posts/$NEW_POST/comments/$NEW_COMMENT"
  expect_error 404 'Comment not found'
}
