#!/usr/bin/env bats
# Posts: written, read, listed, changed and deleted.

load support
load plans

setup_file() {
  member ada bob
}

@test "a new post comes back whole, and is what everybody reads" {
  as ada post /posts '{"title": "Tea", "content": "Green, mostly."}'
  expect 200 '.message == "Post created"' ".post | $POST_SHAPE" \
    ".post | .title == \"Tea\" and .content == \"Green, mostly.\" and .user_id == $(id_of ada) and .username == \"$(full_name ada)\"" \
    '.post | .image_filename == null and .image_url == null and .thumbnail_url == null and .updated_at == null' \
    '.post | .like_count == 0 and .comment_count == 0 and .liked_by_me == false'
  local created
  created=$(field .post)
  get "/posts/$(jq .id <<<"$created")"
  expect 200 "$created"
  as bob get "/posts/$(jq .id <<<"$created")"
  expect 200 "$created"
}

@test "blanks around a title and a content are cut off, those within stay" {
  as ada post /posts '{"title": " \t A  title\n", "content": "\r\n  Two\n\n  lines  \u00a0"}'
  expect 200 '.post | .title == "A  title" and (.content | startswith("Two\n\n  lines"))'
}

@test "any text comes back as it was sent: quotes, control characters, other scripts and planes" {
  local text='{"title": "\"\\/ <b>&amp;</b>", "content": "Ünï – 日本語 – 👩‍👩‍👧 \u0001\u001f\u2028 \ud83d\ude00 '"'"'; DROP TABLE posts; --"}'
  as ada post /posts "$text"
  expect 200
  equal "$(field .post.title)" "$(jq -r .title <<<"$text")"
  equal "$(field .post.content)" "$(jq -r .content <<<"$text")"
}

@test "a title has 1 to 200 characters, a content 1 to 20,000, whatever bytes they take" {
  as ada post /posts '{"title": "", "content": ""}'
  expect_invalid body.title:string_too_short body.content:string_too_short
  jq -e '.detail[0] | del(.ctx) == {type: "string_too_short", loc: ["body", "title"], msg: "String should have at least 1 character", input: ""}' <<<"$BODY"
  as ada post /posts '{"title": " \t\n", "content": "   "}'
  expect_invalid body.title:string_too_short body.content:string_too_short

  letters 200 é | jq -Rc '{title: ., content: "x"}' >"$BATS_TEST_TMPDIR/title"
  as ada post /posts "@$BATS_TEST_TMPDIR/title"
  expect 200 '.post.title | length == 200'
  letters 20000 日 | jq -Rc '{title: "x", content: .}' >"$BATS_TEST_TMPDIR/content"
  as ada post /posts "@$BATS_TEST_TMPDIR/content"
  expect 200 '.post.content | length == 20000'

  jq -c '.title += "é" | .content = "'"$(letters 20001)"'"' "$BATS_TEST_TMPDIR/title" >"$BATS_TEST_TMPDIR/both"
  as ada post /posts "@$BATS_TEST_TMPDIR/both"
  expect_invalid body.title:string_too_long body.content:string_too_long
}

@test "a caller cannot set a post's id, author, counters or times" {
  as ada post /posts "$(jq -cn --argjson bob "$(id_of bob)" '{title: "Mine", content: "all mine", id: 1, post_id: 1, user_id: $bob,
    username: "bob", author: "bob", like_count: 99, comment_count: 99, liked_by_me: true, created_at: "2001-01-01T00:00:00Z",
    updated_at: "2001-01-01T00:00:00Z", image_filename: "x.png", image_url: "/x.png", image_key: "x"}')"
  expect 200 ".post | .id > 1 and .user_id == $(id_of ada) and .username == \"$(full_name ada)\" and .like_count == 0 and .comment_count == 0" \
    '.post | .liked_by_me == false and .updated_at == null and .image_filename == null and .image_url == null and (.created_at | startswith("2001") | not)'
  local id
  id=$(field .post.id)
  as ada patch "/posts/$id" "{\"id\": 1, \"user_id\": $(id_of bob), \"like_count\": 5, \"created_at\": \"2001-01-01T00:00:00Z\", \"content\": \"still mine\"}"
  expect 200 ".post | .id == $id and .user_id == $(id_of ada) and .like_count == 0 and (.created_at | startswith(\"2001\") | not)"
  equal "$(sql "SELECT user_id FROM posts WHERE id = $id")" "$(id_of ada)"
}

@test "the author changes a post, a field at a time" {
  new_post ada 'Before' 'Before too'
  as ada patch "/posts/$NEW_POST" '{"title": " After "}'
  expect 200 '.message == "Post updated"' ".post | $POST_SHAPE" '.post | .title == "After" and .content == "Before too" and .updated_at != null'
  as ada patch "/posts/$NEW_POST" '{"title": null, "content": "After too"}'
  expect 200 '.post | .title == "After" and .content == "After too"'
  local changed
  changed=$(field .post)
  get "/posts/$NEW_POST"
  expect 200 "$changed"
  as ada patch "/posts/$NEW_POST" '{"title": "", "content": 7}'
  expect_invalid body.title:string_too_short body.content:string_type
  get "/posts/$NEW_POST"
  expect 200 "$changed"
}

@test "nobody else changes or deletes a post" {
  new_post ada
  as bob patch "/posts/$NEW_POST" '{"title": "Bob was here"}'
  expect_error 403 'Not the author of this post'
  as bob delete "/posts/$NEW_POST"
  expect_error 403 'Not the author of this post'
  patch "/posts/$NEW_POST" '{"title": "Nobody was here"}'
  expect_unauthenticated
  delete "/posts/$NEW_POST"
  expect_unauthenticated
  get "/posts/$NEW_POST"
  expect 200 '.title == "A title" and .updated_at == null'
}

@test "a deleted post is gone with its comments and likes" {
  new_post ada
  new_comment bob "$NEW_POST"
  as bob post "/posts/$NEW_POST/likes"
  expect 200
  as ada delete "/posts/$NEW_POST"
  expect 200 '{"message": "Post deleted"}'
  get "/posts/$NEW_POST"
  expect_error 404 'Post not found'
  as ada delete "/posts/$NEW_POST"
  expect_error 404 'Post not found'
  equal "$(sql "SELECT (SELECT count(*) FROM comments WHERE post_id = $NEW_POST) + (SELECT count(*) FROM likes WHERE post_id = $NEW_POST)
    + (SELECT count(*) FROM post_stats WHERE post_id = $NEW_POST)")" 0
}

@test "the list is newest first, whole or of one author" {
  member carol
  new_post carol one
  local one=$NEW_POST
  new_post bob between
  local between=$NEW_POST
  new_post carol two
  local two=$NEW_POST
  get "/posts?user_id=$(id_of carol)"
  expect 200 "map(.id) == [$two, $one]" "all($POST_SHAPE)"
  [[ -z $(next_page) ]]
  get '/posts?limit=3'
  expect 200 "map(.id) == [$two, $between, $one]"
  [[ -n $(next_page) ]]
  get '/posts?user_id=9223372036854775807'
  expect 200 '[]'
}

@test "a list says which posts the reader likes" {
  member dora
  new_post dora
  as bob post "/posts/$NEW_POST/likes"
  expect 200
  as bob get "/posts?user_id=$(id_of dora)"
  expect 200 ".[0] | .id == $NEW_POST and .liked_by_me and .like_count == 1"
  as ada get "/posts?user_id=$(id_of dora)"
  expect 200 '.[0] | .liked_by_me == false and .like_count == 1'
  get "/posts?user_id=$(id_of dora)"
  expect 200 '.[0] | .liked_by_me == false and .like_count == 1'
}

@test "pages neither repeat nor skip a post, while others are written and deleted" {
  resident emil
  sql "INSERT INTO posts (user_id, title, content) SELECT $(id_of emil), 'Post ' || n, 'x' FROM generate_series(1, 25) n"
  local all seen=() path
  all=$(sql "SELECT id FROM posts WHERE user_id = $(id_of emil) ORDER BY id DESC")
  path="/posts?user_id=$(id_of emil)&limit=4"
  local pages=0
  while [[ -n $path ]]; do
    get "$path"
    expect 200 'length <= 4'
    mapfile -t -O ${#seen[@]} seen < <(field '.[].id')
    path=$(next_page)
    # A new post at the head, and the one at the seam taken away.
    sql "INSERT INTO posts (user_id, title, content) VALUES ($(id_of emil), 'Late', 'x'); DELETE FROM posts WHERE id = ${seen[-1]}"
    pages=$((pages + 1))
  done
  equal "$pages" 7
  equal "${seen[*]}" "$(xargs <<<"$all")"
}

@test "the Link header leads through a list with all its parameters, and is absent on the last page" {
  member fred
  sql "INSERT INTO posts (user_id, title, content) SELECT $(id_of fred), 'Post ' || n, 'x' FROM generate_series(1, 4) n"
  get "/posts?user_id=$(id_of fred)&limit=2"
  expect 200 'length == 2'
  [[ $(header Link) =~ \<[^\>]*user_id=$(id_of fred)[^\>]*\>\;\ *rel=\"?next ]] || wrong 'expected Link to the next page of the same list'
  [[ $(header Link) == *limit=2* ]]
  # The second page is full and the last: nothing follows, so nothing is announced.
  get "$(next_page)"
  expect 200 'length == 2'
  [[ -z $(header Link) ]] || wrong 'a Link on the last page'
  # The longest address that nginx takes, of characters that take three bytes in the header.
  get "/posts?limit=1&long=$(printf '<%.0s' {1..7900})"
  expect 200
  [[ $(header Link) == *%3C%3C%3C*limit=1* ]]
}

@test "the list has 50 entries unless asked otherwise, 1 to 100" {
  resident gina
  sql "INSERT INTO posts (user_id, title, content) SELECT $(id_of gina), 'Post ' || n, 'x' FROM generate_series(1, 120) n"
  get "/posts?user_id=$(id_of gina)"
  expect 200 'length == 50'
  get "/posts?user_id=$(id_of gina)&limit=100"
  expect 200 'length == 100'
  get "/posts?user_id=$(id_of gina)&limit=1"
  expect 200 'length == 1'
}

@test "what a blocked author wrote is hidden, from the author too" {
  member hans
  new_post hans
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of hans)"
  get "/posts/$NEW_POST"
  expect_error 404 'Post not found'
  get "/posts/$NEW_POST/comments"
  expect_error 404 'Post not found'
  get "/posts?user_id=$(id_of hans)"
  expect 200 '[]'
  as ada post "/posts/$NEW_POST/comments" '{"content": "Hello?"}'
  expect_error 404 'Post not found'
  as ada post "/posts/$NEW_POST/likes"
  expect_error 404 'Post not found'
  as hans patch "/posts/$NEW_POST" '{"title": "Let me out"}'
  expect_unauthenticated
  sql "UPDATE users SET blocked_at = NULL WHERE id = $(id_of hans)"
  get "/posts/$NEW_POST"
  expect 200
}

@test "a list of a blocked author's posts reads none of them" {
  local rows author
  member spammer
  author=$(id_of spammer)
  sql "INSERT INTO posts (user_id, title, content) SELECT $author, 'Buy', 'now' FROM generate_series(1, 2000)"
  explain_service posts
  rows=$(rows_read 'AND p.user_id = ' get "/posts?user_id=$author&limit=20")
  jq -e '[.scans | to_entries[] | select(.key | endswith(", posts")) | .value] | add == 21' <<<"$rows" || wrong "read: $rows"
  sql "UPDATE users SET blocked_at = now() WHERE id = $author"
  get "/posts?user_id=$author"
  expect 200 '. == []'
  rows=$(rows_read 'AND p.user_id = ' get "/posts?user_id=$author&limit=20")
  jq -e '[.scans | to_entries[] | select(.key | endswith(", posts")) | .value] | add == 0' <<<"$rows" || wrong "read: $rows"
  leave_service posts
}
