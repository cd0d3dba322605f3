#!/usr/bin/env bats
# ETag, If-None-Match and If-Match on a post.

load support

setup_file() {
  member ada bob
}

ALTERED='If-Match needs the entity tag as it was sent: a weak one, or one that a proxy has changed for compressing, matches nothing'

setup() {
  new_post ada
  POST=/posts/$NEW_POST
}

tag_of() {
  get "$POST"
  expect 200
  header ETag
}

# expect_unmodified TAG: 304 with the same tag and no body.
expect_unmodified() {
  local answer=$BATS_TEST_TMPDIR/unmodified
  [[ $(curl --silent --output "$answer" --dump-header "$answer.headers" --write-out '%{http_code}' --max-time 20 "${@:2}" "$CHATTY_TEST_URL$POST") == 304 ]] ||
    wrong 'expected 304'
  [[ ! -s $answer ]] || wrong 'a body'
  # shellcheck disable=SC2034 # header reads it
  HEADERS=$(tr -d '\r' <"$answer.headers")
  equal "$(header ETag)" "$1" ETag
  [[ -n $(header X-Request-ID) && $(header Cache-Control) == 'private, no-cache' && $(header Vary) == Authorization ]] || wrong 'a header is missing'
}

@test "a reader who has a post as it is gets 304, alone or in a list, weak or not" {
  local tag
  tag=$(tag_of)
  [[ $tag =~ ^\"[^\"]+\"$ ]] || wrong 'no strong tag'
  expect_unmodified "$tag" --header "If-None-Match: $tag"
  expect_unmodified "$tag" --header "If-None-Match: \"other\", W/$tag, \"more\""
  expect_unmodified "$tag" --header 'If-None-Match: *'
  head_of "$POST" --header "If-None-Match: $tag"
  expect 304
  get "$POST" --header "If-None-Match: \"other\", \"0-0\", nonsense, \""
  expect 200
  head_of "$POST"
  equal "$(header ETag)" "$tag"
}

@test "whatever changes in what is sent changes the tag: the text, a like, a comment, and who reads" {
  local tag before
  before=$(tag_of)
  as ada patch "$POST" '{"title": "Another"}'
  tag=$(tag_of)
  [[ $tag != "$before" ]] || wrong 'the tag of another title'
  before=$tag
  as bob post "$POST/likes"
  tag=$(tag_of)
  [[ $tag != "$before" ]] || wrong 'the tag of another number of likes'
  as bob get "$POST"
  [[ $(header ETag) != "$tag" ]] || wrong 'one tag for two readers'
  before=$tag
  new_comment bob "$NEW_POST"
  tag=$(tag_of)
  [[ $tag != "$before" ]] || wrong 'the tag of another number of comments'
  get "$POST" --header "If-None-Match: $before"
  expect 200 '.comment_count == 1'
  equal "$(tag_of)" "$tag" 'the tag of the same post'
}

@test "an edit of what was read is done, an edit of what has changed since is 412 and changes nothing" {
  local tag
  tag=$(tag_of)
  as ada patch "$POST" '{"title": "First"}' --header "If-Match: $tag"
  expect 200 '.post.title == "First"'
  as ada patch "$POST" '{"title": "Second"}' --header "If-Match: $tag"
  expect_error 412 'The post has changed since it was read: read it again'
  get "$POST"
  expect 200 '.title == "First"'
  as ada patch "$POST" '{"title": "Third"}' --header "If-Match: $tag, $(tag_of)"
  expect 200 '.post.title == "Third"'
}

@test "a like or a comment meanwhile is no reason to refuse an edit, and the tag of another reader is as good" {
  local tag
  tag=$(as ada tag_of)
  as bob post "$POST/likes"
  new_comment bob "$NEW_POST"
  as ada patch "$POST" '{"title": "Still mine"}' --header "If-Match: $tag"
  expect 200
}

@test "any version will do for a star, none for a tag that is weak or not ours" {
  local tag
  as ada patch "$POST" '{"title": "Whatever"}' --header 'If-Match: *'
  expect 200
  tag=$(tag_of)
  for tag in "W/$tag" '"x"' nonsense '"0-0"'; do
    as ada patch "$POST" '{"title": "Never"}' --header "If-Match: $tag"
    expect 412
  done
}

@test "who sends a tag that a proxy has changed is told that, and not that the post has changed" {
  local tag altered
  tag=$(tag_of)
  for altered in "W/$tag" "${tag%\"}-gzip\"" "W/${tag%\"}-gzip\"" "${tag%\"};gzip\"" "${tag%\"}-br\"" "\"x\", W/$tag"; do
    as ada patch "$POST" '{"title": "Never"}' --header "If-Match: $altered"
    expect_error 412 "$ALTERED"
    as ada delete "$POST" '' --header "If-Match: $altered"
    expect_error 412 "$ALTERED"
  done
  as ada patch "$POST" '{"title": "Never"}' --header 'If-Match: "zz-0"'
  expect_error 412 'The post has changed since it was read: read it again'
  # One that is as it was sent is enough.
  as ada patch "$POST" '{"title": "Now"}' --header "If-Match: W/$tag, $tag"
  expect 200
}

@test "what has changed since it was read is not deleted either" {
  local tag other
  tag=$(tag_of)
  as ada patch "$POST" '{"title": "Not what you have seen"}'
  for other in "$tag" '"x"' nonsense; do
    as ada delete "$POST" '' --header "If-Match: $other"
    expect_error 412 'The post has changed since it was read: read it again'
  done
  as ada delete "$POST" '' --header "If-Match: W/$(tag_of)"
  expect_error 412 "$ALTERED"
  get "$POST"
  expect 200 '.title == "Not what you have seen"'
  # A like is no change of what is written.
  tag=$(tag_of)
  as bob post "$POST/likes"
  as ada delete "$POST" '' --header "If-Match: $tag"
  expect 200 '{"message": "Post deleted"}'
  as ada delete "$POST" '' --header "If-Match: $tag"
  expect_error 404 'Post not found'
  new_post ada
  as ada delete "/posts/$NEW_POST" '' --header 'If-Match: *'
  expect 200
}

@test "who may not edit or delete a post is told so, whatever the condition" {
  as bob patch "$POST" '{"title": "Bob was here"}' --header 'If-Match: "x"'
  expect_error 403 'Not the author of this post'
  as bob delete "$POST" '' --header 'If-Match: "x"'
  expect_error 403 'Not the author of this post'
  as ada patch /posts/9223372036854775807 '{"title": "x"}' --header 'If-Match: "x"'
  expect_error 404 'Post not found'
  as ada delete /posts/9223372036854775807 '' --header 'If-Match: "x"'
  expect_error 404 'Post not found'
  patch "$POST" '{"title": "x"}' --header 'If-Match: "x"'
  expect_unauthenticated
}

@test "of sixteen edits of the same version at the same moment one is done" {
  local tag
  tag=$(tag_of)
  seq 16 | xargs -P 16 -I{} curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 --request PATCH --header "If-Match: $tag" \
    --header "Authorization: Bearer $(token_of ada)" --json '{"title": "Edit {}"}' "$CHATTY_TEST_URL$POST" | sort | uniq -c | xargs >"$BATS_TEST_TMPDIR/codes"
  equal "$(<"$BATS_TEST_TMPDIR/codes")" '1 200 15 412'
}
