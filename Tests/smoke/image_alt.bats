#!/usr/bin/env bats
# Alternative text: what an image shows, in words.

load support

setup_file() {
  member ada bob
  cd "$BATS_FILE_TMPDIR" || return
  vips gaussnoise noise.v 60 40 --mean 128 --sigma 30
  vips cast noise.v noise.png uchar
}

setup() {
  cd "$BATS_FILE_TMPDIR" || return
}

# upload NAME [CURL ARGUMENT…]: a post with an image.
upload() {
  as "$1" call POST /posts '' --form title=Picture --form content=Painted --form image=@noise.png "${@:2}"
}

# described NAME TEXT: a post whose image shows this; its address is in POST.
described() {
  upload "$1" --form-string "image_alt=$2"
  expect 200
  POST=/posts/$(field .post.id)
}

@test "an image comes with its alternative text, trimmed, wherever its post is shown" {
  upload ada --form-string $'image_alt=  Zwei Katzen \u2013 \xf0\x9f\x90\x88 <b>"im" Regen</b>; eine schl\u00e4ft \t'
  expect 200 ".post | $POST_SHAPE" '.post.image_alt == "Zwei Katzen – 🐈 <b>\"im\" Regen</b>; eine schläft"' '.post.image_url != null'
  local post id filter
  post=$(field .post) id=$(field .post.id)
  get "/posts/$id"
  expect 200 "$post"
  equal "$(field 'keys_unsorted | index("image_alt") - index("thumbnail_url")')" 1 'its place'
  get "/posts?user_id=$(id_of ada)"
  expect 200 ".[0] == $post"
  as bob post "/subscribe/$(id_of ada)"
  as bob get /feed
  expect 200 ".posts[0].image_alt == $(jq .image_alt <<<"$post")"
  as bob get '/recommendations?limit=50'
  expect 200
  filter="[.posts[] | select(.id == $id)] | length == 0 or .[0].image_alt == $(jq .image_alt <<<"$post")"
  expect 200 "$filter" '.posts | all(has("image_alt"))'
}

@test "without an alternative text, or with one of blanks, there is none" {
  upload ada
  expect 200 '.post | has("image_alt") and .image_alt == null'
  upload ada --form image_alt=
  expect 200 '.post.image_alt == null'
  upload ada --form-string $'image_alt= \t\u00a0 \n'
  expect 200 '.post.image_alt == null'
}

@test "it has 1,500 characters at most, whatever bytes they take, and is judged with everything else" {
  letters 1500 日 >most
  letters 1501 é >long
  upload ada --form 'image_alt=<most'
  expect 200 '.post.image_alt | length == 1500'
  upload ada --form 'image_alt=<long'
  expect_invalid body.image_alt:string_too_long
  as ada call POST /posts '' --form title= --form content=x --form image=@most --form 'image_alt=<long'
  expect_invalid body.title:string_too_short body.image:value_error body.image_alt:string_too_long
  printf 'a\0b' >nul
  upload ada --form 'image_alt=<nul'
  expect_invalid body.image_alt:value_error
  described ada before
  as ada patch "$POST" "$(jq -Rc '{image_alt: .}' <long)"
  expect_invalid body.image_alt:string_too_long
  as ada patch "$POST" '{"image_alt": 7, "title": ""}'
  expect_invalid body.image_alt:string_type body.title:string_too_short
  as ada patch "$POST" "$(jq -Rc '{image_alt: "  \(.)  "}' <most)"
  expect 200 '.post.image_alt | length == 1500'
}

@test "of a post without an image it is ignored" {
  as ada post /posts '{"title": "Words", "content": "only", "image_alt": "nothing to see"}'
  expect 200 '.post | .image_alt == null and .image_url == null'
  as ada call POST /posts '' --form title=Words --form content=only --form 'image_alt=nothing to see'
  expect 200 '.post | .image_alt == null and .image_url == null'
}

@test "the author changes it, clears it and sets it again; null and what is not named leave it" {
  described ada 'A cat'
  as ada patch "$POST" '{"image_alt": " Two cats "}'
  expect 200 '.message == "Post updated"' '.post | .image_alt == "Two cats" and .title == "Picture" and .updated_at != null'
  as ada patch "$POST" '{"title": "Cats"}'
  expect 200 '.post | .image_alt == "Two cats" and .title == "Cats"'
  as ada patch "$POST" '{"image_alt": null, "content": "Seen"}'
  expect 200 '.post | .image_alt == "Two cats" and .content == "Seen"'
  as ada patch "$POST" '{"image_alt": ""}'
  expect 200 '.post | .image_alt == null and .image_url != null'
  get "$POST"
  expect 200 '.image_alt == null'
  as ada patch "$POST" '{"image_alt": "One cat"}'
  expect 200 '.post.image_alt == "One cat"'
  as ada patch "$POST" '{"image_alt": "  \n "}'
  expect 200 '.post.image_alt == null'
  as bob patch "$POST" '{"image_alt": "Bob was here"}'
  expect_error 403 'Not the author of this post'
  patch "$POST" '{"image_alt": "Nobody was here"}'
  expect_unauthenticated
}

@test "a post without an image gets none: 422, and nothing of the change is made; to clear it there changes nothing" {
  new_post ada
  as ada patch "/posts/$NEW_POST" '{"image_alt": "A cat", "title": "Changed"}'
  expect_invalid body.image_alt:value_error
  get "/posts/$NEW_POST"
  expect 200 '.title == "A title" and .updated_at == null'
  as ada patch "/posts/$NEW_POST" '{"image_alt": ""}'
  expect 200 '.post | .image_alt == null and .updated_at == null'
  as bob patch "/posts/$NEW_POST" '{"image_alt": "A cat"}'
  expect_error 403 'Not the author of this post'
  as ada patch /posts/9223372036854775807 '{"image_alt": "A cat"}'
  expect_error 404 'Post not found'
  patch "/posts/$NEW_POST" '{"image_alt": "A cat"}'
  expect_unauthenticated
}

# unchanged BODY: a change that changes nothing leaves time and version.
unchanged() {
  local was tag
  get "$POST"
  was=$BODY tag=$(header ETag)
  as ada patch "$POST" "$1"
  expect 200 ".post == $was"
  get "$POST" --header "If-Match: $tag"
  equal "$(header ETag)" "$tag" ETag
  expect 200 "$was"
}

@test "a change to what is there already, or of nothing, leaves updated_at and the version" {
  local edit
  described ada 'A cat'
  for edit in '{}' '{"title": null, "content": null, "image_alt": null}' '{"title": "Picture"}' '{"content": " Painted\n"}' '{"image_alt": "A cat "}' \
    '{"title": "Picture", "content": "Painted", "image_alt": "A cat"}' '{"unknown": 1}'; do
    unchanged "$edit"
    get "$POST"
    expect 200 '.updated_at == null'
  done
  as ada patch "$POST" '{"image_alt": "Another cat"}'
  expect 200 '.post.updated_at != null'
  for edit in '{}' '{"title": "Picture"}' '{"image_alt": "Another cat"}'; do unchanged "$edit"; done
  as ada patch "$POST" '{"image_alt": ""}'
  unchanged '{"image_alt": ""}'
  unchanged '{"image_alt": "  "}'
  # One that differs is enough; also in case alone, or in a mark that looks the same.
  for edit in '{"title": "picture", "content": "Painted"}' '{"content": "Pa\u0301inted"}' '{"content": "P\u00e1inted"}'; do
    get "$POST"
    local before
    before=$(field .updated_at)
    as ada patch "$POST" "$edit"
    expect 200 ".post.updated_at > \"$before\""
  done
}

@test "a changed alternative text is another version: who has not seen it does not write over it" {
  local tag
  described ada 'A cat'
  get "$POST"
  tag=$(header ETag)
  as ada patch "$POST" '{"image_alt": "A dog"}' --header "If-Match: $tag"
  expect 200 '.post.image_alt == "A dog"'
  get "$POST"
  [[ $(header ETag) != "$tag" ]] || wrong 'the same tag'
  as ada patch "$POST" '{"image_alt": "A bird"}' --header "If-Match: $tag"
  expect_error 412 'The post has changed since it was read: read it again'
}

@test "an upload that is sent again with the same key and another alternative text is another request" {
  local key="described-$RANDOM$RANDOM"
  upload ada --form-string 'image_alt=A cat' --header "Idempotency-Key: $key"
  expect 200
  local first=$BODY
  upload ada --form-string 'image_alt=A cat' --header "Idempotency-Key: $key"
  expect 200 "$first"
  upload ada --form-string 'image_alt=A dog' --header "Idempotency-Key: $key"
  expect_error 422 'Idempotency-Key was used for another request'
}

@test "the database takes no other: none that is empty or too long, none without an image" {
  described ada 'A cat'
  refused() { ! sql "$1" >"$BATS_TEST_TMPDIR/said" 2>&1 && grep -q "$2" "$BATS_TEST_TMPDIR/said"; }
  refused "UPDATE posts SET image_alt = '' WHERE id = ${POST#/posts/}" posts_image_alt_length
  refused "UPDATE posts SET image_alt = repeat('x', 1501) WHERE id = ${POST#/posts/}" posts_image_alt_length
  refused "UPDATE posts SET image_key = NULL, image_filename = NULL WHERE id = ${POST#/posts/}" posts_image_alt_image
}
