#!/usr/bin/env bats
# Recommendations: by the three nearest neighbours in what people like, then by what is popular.
#
# Every test has readers of its own, who like posts of its own, so that nobody else's likes are near them.

load support

setup_file() {
  resident writer
}

setup() {
  # Nor is what others have liked popular here.
  sql "DELETE FROM likes"
  ME=me$BATS_TEST_NUMBER
  member "$ME"
}

# write COUNT: leaves the ids of so many new posts in POSTS, oldest first; POSTS[1] is the first.
write() {
  mapfile -t -O 1 POSTS < <(sql "INSERT INTO posts (user_id, title, content)
    SELECT $(id_of writer), 'Post ' || n, 'x' FROM generate_series(1, $1) n RETURNING id")
}

# keep NUMBER ID: a post of somebody else's among POSTS.
keep() {
  POSTS[$1]=$2
}

# add_likes QUERY: rows of user, post and time become likes, counted as the service counts them.
add_likes() {
  sql "WITH added AS (INSERT INTO likes (user_id, post_id, created_at) $1 RETURNING post_id)
       UPDATE post_stats s SET likes = s.likes + n.likes
       FROM (SELECT post_id, count(*) AS likes FROM added GROUP BY post_id) n WHERE s.post_id = n.post_id"
}

# likes NAME NUMBER…: NAME, made on the way, likes these of POSTS.
likes() {
  local name=$1-$BATS_TEST_NUMBER number
  shift
  if [[ $name == me-* ]]; then name=$ME; fi
  [[ -f $BATS_FILE_TMPDIR/$name.id ]] || resident "$name"
  for number; do
    add_likes "VALUES ($(id_of "$name"), ${POSTS[number]}, now())"
  done
}

# index: what is in the database becomes the index that neighbours are looked up in. chatty-worker does that too, but not at once.
index() {
  "$BATS_TEST_DIRNAME/../../deploy/chatty" recommendations build --wait
}

# ask [QUERY]: asks for ME, by an index that knows everything.
ask() {
  index
  as "$ME" get "/recommendations${1-}"
}

# near: those of the last answer that neighbours brought, as a list of [number in POSTS, score with three digits].
near() {
  local number
  field '.posts[] | select(.reason == "similar_users") | "\(.id) \(.score * 1000 | round)"' | while read -r id score; do
    for number in "${!POSTS[@]}"; do
      if [[ ${POSTS[number]} == "$id" ]]; then printf '%s:%s ' "$number" "$score"; fi
    done
  done
}

@test "scores are sums of the similarities of the neighbours who like a post" {
  write 8
  likes me 1 2 3 4
  likes twin 1 2 3 4 5   # 4 / √20 = 0.894
  likes friend 1 2 5 6   # 2 / √16 = 0.5
  likes visitor 1 7      # 1 / √8  = 0.354
  ask
  expect 200 '.message == "Recommended posts"' ".posts | all($POST_SHAPE)" '.posts | all((.score | type == "number") and (.reason | type == "string"))'
  equal "$(near)" '5:1394 6:500 7:354 '
}

@test "there are three neighbours, and the fourth is not asked" {
  write 9
  likes me 1 2 3 4
  likes a 1 2 3 4 5
  likes b 1 2 3 6
  likes c 1 2 7
  likes d 1 8 9
  ask
  expect 200
  equal "$(near)" '5:894 6:750 7:577 '
}

@test "of equally similar neighbours the larger overlap counts, then the lower id" {
  # To one who likes 4 posts: 1 of 1 and 2 of 4 are both 0.5.
  write 20
  likes me 1 2 3 4
  likes narrow 1             # 1 / √4, overlap 1: fourth
  likes broad 1 2 5 6        # 2 / √16, overlap 2
  likes early 3 4 7 8        # the same
  likes late 1 3 9 10        # the same
  likes latest 2 4 11 12     # the same, the highest id: fourth too
  ask '?limit=10'
  expect 200
  equal "$(near)" '10:500 9:500 8:500 7:500 6:500 5:500 '
}

@test "of equal scores the newer post comes first" {
  write 4
  likes me 1
  likes friend 1 3 2 4
  ask
  expect 200
  equal "$(near)" '4:500 3:500 2:500 '
}

@test "neither one's own posts, nor what one likes already, nor what is hidden is recommended" {
  write 3
  new_post "$ME"
  keep 4 "$NEW_POST"
  member "villain-$BATS_TEST_NUMBER"
  new_post "villain-$BATS_TEST_NUMBER"
  keep 5 "$NEW_POST"
  likes me 1 2
  likes friend 1 2 3 4 5
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of "villain-$BATS_TEST_NUMBER")"
  ask '?limit=50'
  expect 200 ".posts | map(.id) | index(${POSTS[4]}) == null and index(${POSTS[5]}) == null and index(${POSTS[1]}) == null"
  equal "$(near)" '3:632 '
}

@test "a neighbour who is blocked or not verified is none" {
  write 4
  likes me 1 2
  likes blocked 1 2 3
  likes unverified 1 2 4
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of "blocked-$BATS_TEST_NUMBER")"
  sql "UPDATE users SET verified_at = NULL WHERE id = $(id_of "unverified-$BATS_TEST_NUMBER")"
  ask
  expect 200
  equal "$(near)" ''
}

@test "one's own like counts at once" {
  write 3
  likes friend 1 2 3
  ask
  expect 200
  equal "$(near)" ''
  as "$ME" post "/posts/${POSTS[1]}/likes"
  expect 200
  as "$ME" get /recommendations
  expect 200
  equal "$(near)" '3:577 2:577 '
}

@test "what is missing is filled with what was liked most in the last week, never twice" {
  write 6
  likes me 1
  likes friend 1 2
  # Many strangers like 3, one less likes 4, and one more liked 5 long ago.
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
       SELECT 's' || n || '_$(full_name x)', 's' || n || '_$(email_of x)', 'x', now() FROM generate_series(1, 40) n"
  local strangers
  strangers="FROM users WHERE username LIKE 's%\_$(full_name x)' ORDER BY id LIMIT"
  add_likes "SELECT id, ${POSTS[3]}::bigint, now() $strangers 32"
  add_likes "SELECT id, ${POSTS[4]}::bigint, now() $strangers 31"
  add_likes "SELECT id, ${POSTS[5]}::bigint, now() - interval '8 days' $strangers 33"
  ask '?limit=3'
  expect 200 ".posts | map([.id, .reason]) == [[${POSTS[2]}, \"similar_users\"], [${POSTS[3]}, \"popular\"], [${POSTS[4]}, \"popular\"]]"
  ask '?limit=50'
  expect 200 '.posts | (map(.id) | unique | length) == length' ".posts | map(.id) | index(${POSTS[1]}) == null and index(${POSTS[5]}) != null" \
    ".posts | map(.id) | index(${POSTS[5]}) > index(${POSTS[4]})"
}

@test "there are five unless asked otherwise, 1 to 50" {
  write 60
  add_likes "SELECT user_id, id, now() FROM posts WHERE user_id = $(id_of writer) ORDER BY id DESC LIMIT 60"
  ask
  expect 200 '.posts | length == 5'
  ask '?limit=1'
  expect 200 '.posts | length == 1'
  ask '?limit=50'
  expect 200 '.posts | length == 50'
  local limit
  for limit in 0 -1; do
    ask "?limit=$limit"
    expect_invalid query.limit:greater_than_equal
  done
  ask '?limit=51'
  expect_invalid query.limit:less_than_equal
  ask '?limit=x'
  expect_invalid query.limit:int_parsing
}

@test "to one who likes everything there is nothing to recommend" {
  add_likes "SELECT DISTINCT $(id_of "$ME"), post_id, now() FROM likes"
  ask
  expect 200 '{"message": "No recommendations available", "posts": []}'
  sql "DELETE FROM likes WHERE user_id = $(id_of "$ME")"
}

@test "what has gone or is hidden since the index was made is not recommended, nor does a user who may not act any more count" {
  write 7
  member "villain-$BATS_TEST_NUMBER"
  new_post "villain-$BATS_TEST_NUMBER"
  keep 8 "$NEW_POST"
  likes me 1 2 3 4
  likes a 1 2 3 4 8
  likes b 1 2 3 5
  likes c 1 2 6
  likes d 1 7
  ask
  expect 200
  equal "$(near)" '8:894 5:750 6:577 '
  # The fourth neighbour takes the place of the third, in the same index.
  sql "UPDATE users SET blocked_at = now() WHERE id IN ($(id_of "villain-$BATS_TEST_NUMBER"), $(id_of "c-$BATS_TEST_NUMBER"))"
  as "$ME" get /recommendations
  expect 200
  equal "$(near)" '5:750 7:354 '
  sql "DELETE FROM posts WHERE id = ${POSTS[5]}"
  as "$ME" get /recommendations
  expect 200
  # b has one like less now, and is the more alike; nothing of theirs is left to recommend.
  equal "$(near)" '7:354 '
}

@test "popular posts are found behind those that are hidden since the index was made, however many these are" {
  write 10
  member "star-$BATS_TEST_NUMBER"
  local star ids
  star=$(id_of "star-$BATS_TEST_NUMBER")
  sql "INSERT INTO posts (user_id, title, content) SELECT $star, 'Hit ' || n, 'x' FROM generate_series(1, 400) n"
  add_likes "SELECT $(id_of writer), id, now() FROM posts WHERE user_id = $star"
  resident "fan-$BATS_TEST_NUMBER"
  add_likes "SELECT $(id_of "fan-$BATS_TEST_NUMBER"), id, now() FROM posts WHERE user_id = $star"
  likes lonely 1 2 3 4 5 6 7 8 9 10
  ask
  expect 200 ".posts | map(.user_id) | unique == [$star]"
  sql "UPDATE users SET blocked_at = now() WHERE id = $star"
  as "$ME" get /recommendations
  ids=$(printf '%s\n' "${POSTS[@]}" | sort -rn | jq -cs .)
  expect 200 ".posts | map(.id) == ${ids}[:5] and all(.reason == \"popular\")"
  # All that there are, and no end of asking for more.
  as "$ME" get '/recommendations?limit=50'
  expect 200 ".posts | map(.id) == $ids"
}

@test "a neighbour's new like counts at once, and one taken back no longer" {
  write 6
  likes me 1 2
  likes friend 1 2 3
  ask
  expect 200
  equal "$(near)" '3:816 '
  likes friend 4
  as "$ME" get /recommendations
  expect 200
  equal "$(near)" '4:707 3:707 '
  sql "DELETE FROM likes WHERE user_id = $(id_of "friend-$BATS_TEST_NUMBER") AND post_id IN (${POSTS[3]}, ${POSTS[1]})"
  as "$ME" get /recommendations
  expect 200
  equal "$(near)" '4:500 '
}

@test "one's session may end while the index is there" {
  write 2
  likes me 1
  likes friend 1 2
  index
  sql "UPDATE sessions SET ended_at = now() WHERE user_id = $(id_of "$ME")"
  as "$ME" get /recommendations
  expect_unauthenticated
}

@test "recommendations take a token" {
  get /recommendations
  expect_unauthenticated
}
