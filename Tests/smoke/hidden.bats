#!/usr/bin/env bats
# What is hidden because its user is blocked, not verified or gone: at once for readers, and soon after in the counters and in what lists read.

load support
load stack
load plans

setup_file() {
  member reader author troll
  # A network with other authors too: one of very few has every second post, and then to walk all posts is as good as an index.
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
    SELECT 'zw' || n || '_$RANDOM', 'zw' || n || '_$RANDOM@example.org', 'x', now() FROM generate_series(1, 100) n"
  sql "INSERT INTO posts (user_id, title, content) SELECT id, 'x', 'x' FROM users, generate_series(1, 10) WHERE username LIKE 'zw%'"
}

setup() {
  bats_require_minimum_version 1.5.0
  new_post author
  POST=$NEW_POST
}

# Also of a test that failed meanwhile.
teardown() { sv -w 45 up "$CHATTY_HOME/service/worker" >/dev/null; }

block() { sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of "$1")"; }
unblock() { sql "UPDATE users SET blocked_at = NULL WHERE id = $(id_of "$1")"; }

# settled NAME: nothing is left to do for them.
settled() { [[ $(sql "SELECT count(*) FROM unsettled_accounts WHERE user_id = $(id_of "$1")") == 0 ]]; }

# counts POST LIKES COMMENTS
counts() {
  get "/posts/$1"
  expect 200 ".like_count == $2 and .comment_count == $3"
}

# flags_are_right: every flag is that of its user.
flags_are_right() {
  local table
  for table in posts comments likes; do
    equal "$(sql "SELECT count(*) FROM $table r JOIN users u ON u.id = r.user_id WHERE r.hidden <> (u.blocked_at IS NOT NULL)")" 0 "flags of $table"
  done
  equal "$(sql "SELECT count(*) FROM subscriptions f JOIN users a ON a.id = f.follower_id JOIN users b ON b.id = f.following_id
    WHERE (f.follower_hidden, f.following_hidden) <> (NOT a.is_active, NOT b.is_active)")" 0 'flags of subscriptions'
}

# counters_are_right NAME…: of these and of their posts.
counters_are_right() {
  local name
  for name; do
    equal "$(sql "SELECT followers, following FROM author_stats WHERE user_id = $(id_of "$name")")" \
      "$(sql "SELECT (SELECT count(*) FROM subscriptions f JOIN users u ON u.id = f.follower_id WHERE f.following_id = x AND u.is_active),
        (SELECT count(*) FROM subscriptions f JOIN users u ON u.id = f.following_id WHERE f.follower_id = x AND u.is_active)
        FROM (SELECT $(id_of "$name")::bigint AS x) x")" "counters of $name"
    equal "$(sql "SELECT count(*) FROM posts p JOIN post_stats s ON s.post_id = p.id WHERE p.user_id = $(id_of "$name") AND (s.likes, s.comments) <>
      ((SELECT count(*) FROM likes l JOIN users u ON u.id = l.user_id AND u.blocked_at IS NULL WHERE l.post_id = p.id),
       (SELECT count(*) FROM comments c JOIN users u ON u.id = c.user_id AND u.blocked_at IS NULL WHERE c.post_id = p.id))")" 0 "posts of $name"
  done
}

# much NAME COUNT: so many posts of theirs, and as many comments and followed users.
much() {
  local id
  id=$(id_of "$1")
  sql "WITH new AS (INSERT INTO posts (user_id, title, content) SELECT $id, 'Buy ' || n, 'now' FROM generate_series(1, $2) n RETURNING id)
    SELECT count(*) FROM new"
  sql "INSERT INTO comments (post_id, user_id, content) SELECT $POST, $id, n::text FROM generate_series(1, $2) n"
  sql "UPDATE post_stats SET comments = comments + $2 WHERE post_id = $POST"
}

@test "counts and lists agree: nobody who is blocked is counted, and all are again afterwards" {
  as troll post "/posts/$POST/likes"
  as reader post "/posts/$POST/likes"
  new_comment troll "$POST"
  as troll post "/subscribe/$(id_of author)"
  expect 200
  as author post "/subscribe/$(id_of troll)"
  expect 200
  counts "$POST" 2 1
  block troll
  counts "$POST" 1 0
  get "/posts/$POST/likes"
  expect 200 'length == 1'
  get "/posts/$POST/comments"
  expect 200 '. == []'
  get "/auth/users/$(id_of author)"
  expect 200 '.follower_count == 0 and .following_count == 0'
  unblock troll
  counts "$POST" 2 1
  get "/auth/users/$(id_of author)"
  expect 200 '.follower_count == 1 and .following_count == 1'
  flags_are_right
  counters_are_right author troll reader
  # What goes while it is hidden is not counted a second time.
  block troll
  as author delete "/unsubscribe/$(id_of troll)"
  expect 200
  sql "DELETE FROM comments WHERE id = $NEW_COMMENT; DELETE FROM likes WHERE post_id = $POST AND user_id = $(id_of troll)"
  counts "$POST" 1 0
  unblock troll
  counts "$POST" 1 0
  counters_are_right author troll reader
}

@test "to others a user who is blocked or not verified is nobody: no profile, and nobody to follow" {
  register newcomer
  get "/auth/users/$(id_of newcomer)"
  expect_error 404 'User not found'
  as reader post "/subscribe/$(id_of newcomer)"
  expect_error 404 'User not found'
  block troll
  get "/auth/users/$(id_of troll)"
  expect_error 404 'User not found'
  as reader post "/subscribe/$(id_of troll)"
  expect_error 404 'User not found'
  unblock troll
  get "/auth/users/$(id_of troll)"
  expect 200
}

@test "the likes of blocked users make nothing popular" {
  local spam id
  member poster
  new_post poster
  spam=$NEW_POST
  sql "INSERT INTO users (username, email, hashed_password, verified_at, blocked_at)
    SELECT 'bot_${spam}_' || n, 'bot_${spam}_' || n || '@example.org', 'x', now(), NULL FROM generate_series(1, 40) n"
  sql "INSERT INTO likes (user_id, post_id) SELECT id, $spam FROM users WHERE username LIKE 'bot\_${spam}\_%'"
  sql "UPDATE post_stats SET likes = 40 WHERE post_id = $spam"
  as troll post "/posts/$POST/likes"
  sql "UPDATE users SET blocked_at = now() WHERE username LIKE 'bot\_${spam}\_%'"
  get "/posts/$spam"
  expect 200 '.like_count == 0'
  as reader get '/recommendations?limit=50'
  id=$(jq "[.posts[].id] | index($spam)" <<<"$BODY")
  equal "$id" null 'the place of what bots like'
}

@test "a search for names reads none that it may not show, whatever order rows lie in" {
  local total
  # An index of all names looks better than that of those who can be found, when the rows of the others alone lie in its order.
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
    SELECT 'zy' || $POST || kind || n, 'zy' || $POST || kind || n || '@example.org', 'x', CASE WHEN kind = 'a' THEN now() END
    FROM (VALUES ('a'), ('b')) k (kind), generate_series(100001, 150000) n ORDER BY kind, CASE WHEN kind = 'a' THEN random() END, n"
  sql 'VACUUM ANALYZE users'
  explain_service auth
  total=$(rows_read COLLATE get "/auth/users?username=zy${POST}b&limit=20")
  jq -e '.rows <= 20' <<<"$total" || wrong "names that nobody confirmed: $total"
  total=$(rows_read COLLATE get "/auth/users?username=zy${POST}a&limit=20")
  jq -e '.rows >= 20 and .rows <= 200' <<<"$total" || wrong "names: $total"
  leave_service auth
}

@test "what a blocked user has written by the thousand is hidden at once, and what lists read is no more than they show" {
  local read total
  member spammer
  much spammer 3000
  sql "INSERT INTO users (username, email, hashed_password, verified_at, blocked_at)
    SELECT 'zz_${POST}_' || n, 'zz_${POST}_' || n || '@example.org', 'x', CASE WHEN n % 2 = 0 THEN now() END, CASE WHEN n % 2 = 0 THEN now() END
    FROM generate_series(1, 3000) n"
  sql "INSERT INTO likes (user_id, post_id) SELECT id, $POST FROM users WHERE username LIKE 'zz\_${POST}\_%'"
  sql "UPDATE post_stats SET likes = 3000 WHERE post_id = $POST"
  sql "UPDATE users SET blocked_at = NULL, verified_at = now() WHERE username LIKE 'zz\_${POST}\_%'"
  sql "UPDATE users SET blocked_at = now() WHERE username LIKE 'zz\_${POST}\_%'"
  as reader post "/subscribe/$(id_of spammer)"
  as reader post "/subscribe/$(id_of author)"
  block spammer
  # At once, whatever is left to do.
  get '/posts?limit=1'
  expect 200 "map(.id) == [$POST]"
  get "/posts/$POST/comments"
  expect 200 '. == []'
  get "/posts/$POST/likes"
  expect 200 '. == []'
  eventually 30 settled spammer
  sql 'ANALYZE posts'
  flags_are_right
  counts "$POST" 0 0
  explain_service posts
  explain_service auth
  explain_service feed
  for read in 'FROM posts:/posts?limit=20' "FROM comments:/posts/$POST/comments?limit=20" "FROM likes:/posts/$POST/likes?limit=20" \
    "COLLATE:/auth/users?username=zz_${POST}&limit=20"; do
    total=$(rows_read "${read%%:*}" get "${read#*:}")
    jq -e '.rows <= 200' <<<"$total" || wrong "$read: $total"
  done
  total=$(rows_read walked as reader get '/feed?limit=20')
  jq -e '.rows <= 300' <<<"$total" || wrong "the feed: $total"
  leave_service posts
  leave_service auth
  leave_service feed
  unblock spammer
  eventually 30 settled spammer
  flags_are_right
  counts "$POST" 0 3000
  counters_are_right author spammer
  get '/posts?limit=1'
  expect 200 ".[0].user_id == $(id_of spammer)"
}

# pages PATH FILTER: the first five pages of a list, three at a time, by the links that it gives.
pages() {
  local path="$1?limit=3" n
  for ((n = 0; n < 5 && ${#path} > 0; n++)); do
    get "$path"
    expect 200
    jq -r "$2" <<<"$BODY"
    path=$(header Link | sed -n 's/^<\(.*\)>; rel="next"$/\1/p')
  done
}

@test "until the flags have followed, lists come by what is hidden in short statements, and leave out nothing else" {
  local spammer first second total read
  member spammer2
  spammer=$(id_of spammer2)
  # Nobody has the flags follow.
  sv -w 45 down "$CHATTY_HOME/service/worker" >/dev/null
  # Others' entries at the ends of what one statement looks at, as they are counted from the newest, and far behind.
  sql "INSERT INTO posts (user_id, title, content)
    SELECT CASE WHEN n IN (1, 1999, 2000, 2001, 2002, 4000, 4001, 6002, 9999, 15000) THEN $(id_of author) ELSE $spammer END, n::text, 'x'
    FROM generate_series(15000, 1, -1) n"
  sql "INSERT INTO comments (post_id, user_id, content)
    SELECT $POST, CASE WHEN n IN (2000, 2001, 2002, 4001, 6000, 9999) THEN $(id_of author) ELSE $spammer END, n::text FROM generate_series(1, 12000) n"
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
    SELECT 'zx_${POST}_' || n, 'zx_${POST}_' || n || '@example.org', 'x', now() FROM generate_series(1, 8000) n"
  # All at one time, and in the order of their ids then.
  sql "INSERT INTO likes (user_id, post_id) SELECT id, $POST FROM users WHERE username LIKE 'zx\_${POST}\_%'"
  sql "UPDATE post_stats SET comments = comments + 12000, likes = likes + 8000 WHERE post_id = $POST"
  block spammer2
  sql "UPDATE users SET blocked_at = now() WHERE username LIKE 'zx\_${POST}\_%' AND split_part(username, '_', 3)::int NOT IN (1, 999, 6000, 6001, 6002, 8000)"
  # A block has the first hundreds follow by itself.
  equal "$(sql "SELECT (SELECT count(*) FROM posts WHERE user_id = $spammer AND NOT hidden) > 14000 AND (SELECT count(*) FROM comments WHERE post_id = $POST
    AND NOT hidden) > 11000 AND (SELECT count(*) FROM likes WHERE post_id = $POST AND NOT hidden) > 3000")" t 'much is left to follow'
  first=$(sql "SELECT id FROM posts WHERE user_id = $(id_of author) AND title = '15000'")
  equal "$(pages /posts "map(select(.id >= $first) | .title)[]" | xargs)" '1 1999 2000 2001 2002 4000 4001 6002 9999 15000' posts
  equal "$(pages "/posts/$POST/comments" '.[].content' | xargs)" '2000 2001 2002 4001 6000 9999' comments
  equal "$(pages "/posts/$POST/likes" '.[].username | split("_")[2]' | xargs)" '8000 6002 6001 6000 999 1' likes
  sql 'ANALYZE'
  get '/posts?limit=1'
  second=$(header Link | sed -n 's/^<\(.*\)>; rel="next"$/\1/p')
  explain_service posts
  for read in 'FROM posts:/posts?limit=20' "FROM posts:${second/limit=1/limit=20}" "FROM comments:/posts/$POST/comments?limit=20" \
    "FROM likes:/posts/$POST/likes?limit=20"; do
    total=$(rows_read "${read%%:*}" get "${read#*:}")
    # 2,000 entries, the user of each, and the entries once more to know how far it came; or 5,000 by themselves.
    jq -e '.rows <= 6200' <<<"$total" || wrong "$read: $total"
  done
  leave_service posts
  teardown
  eventually 60 settled spammer2
}

@test "a block while what was hidden comes back, an end of the worker in the middle, and rows that others hold: the end is right" {
  member flicker
  much flicker 4000
  for _ in 1 2 3; do
    block flicker
    sleep 0.3
    unblock flicker
    sleep 0.2
  done
  eventually 30 settled flicker
  # With rows that somebody holds meanwhile: the oldest, which come last.
  coproc HOLDER { psql --no-psqlrc --quiet --tuples-only --no-align "$CHATTY_TEST_DATABASE_URL" 2>&1 3>&-; }
  printf 'BEGIN; SELECT count(*) FROM (SELECT FROM comments WHERE user_id = %s ORDER BY id LIMIT 50 FOR UPDATE) x;\n' "$(id_of flicker)" >&"${HOLDER[1]}"
  read -r <&"${HOLDER[0]}"
  block flicker
  kill -KILL "$(<"$CHATTY_HOME/service/worker/supervise/pid")"
  sleep 2
  run ! settled flicker
  local pid=$HOLDER_PID
  printf 'ROLLBACK;\n\\q\n' >&"${HOLDER[1]}"
  wait "$pid"
  eventually 30 settled flicker
  flags_are_right
  counters_are_right author flicker
  counts "$POST" 0 0
  unblock flicker
  eventually 30 settled flicker
  flags_are_right
  counters_are_right author flicker
}

@test "what is written at the moment of a block is hidden with the rest" {
  member quick
  for _ in $(seq 12); do
    seq 8 | xargs -P 8 -I{} curl --silent --output /dev/null --max-time 20 --header "Authorization: Bearer $(token_of quick)" \
      --json '{"content": "{}"}' "$CHATTY_TEST_URL/posts/$POST/comments" &
    sleep "0.0$((RANDOM % 9))"
    block quick
    wait
    eventually 20 settled quick
    flags_are_right
    counters_are_right author
    unblock quick
    eventually 20 settled quick
  done
}

@test "an account with much is deleted at once, what it has goes step by step, and its name is not free" {
  local id before
  member big
  id=$(id_of big)
  much big 6000
  sql "INSERT INTO likes (user_id, post_id) SELECT $id, id FROM posts ORDER BY id DESC LIMIT 2000"
  sql "UPDATE post_stats s SET likes = (SELECT count(*) FROM likes l WHERE l.post_id = s.post_id AND NOT l.hidden)"
  # And what others have left with it.
  sql "INSERT INTO comments (post_id, user_id, content) SELECT max(id), $(id_of reader), n::text FROM posts, generate_series(1, 3000) n WHERE user_id = $id GROUP BY n"
  as reader post "/subscribe/$id"
  expect 200
  before=$(sql "SELECT following FROM author_stats WHERE user_id = $(id_of reader)")
  as big delete /auth/me "{\"current_password\": \"$PASSWORD\"}"
  expect 200 '{"message": "Account deleted"}'
  as big get /auth/me
  expect_unauthenticated
  post /auth/login "$(credentials big)"
  expect_error 400 'Invalid credentials'
  get "/posts?user_id=$id"
  expect 200 '. == []'
  get '/posts?limit=1'
  expect 200 "map(.user_id) != [$id]"
  get "/auth/users/$id"
  expect_error 404 'User not found'
  eventually 60 settled big
  equal "$(sql "SELECT (SELECT count(*) FROM posts WHERE user_id = $id) + (SELECT count(*) FROM comments WHERE user_id = $id)
    + (SELECT count(*) FROM likes WHERE user_id = $id) + (SELECT count(*) FROM subscriptions WHERE $id IN (follower_id, following_id))
    + (SELECT count(*) FROM sessions WHERE user_id = $id)")" 0
  equal "$(sql "SELECT following FROM author_stats WHERE user_id = $(id_of reader)")" $((before - 1))
  equal "$(sql "SELECT email, hashed_password FROM users WHERE id = $id")" "deleted-$id@invalid|!"
  counters_are_right author reader
  # Nobody brings it back, and nobody is it for 90 days.
  unblock_is_missing "$id"
  post /auth/register "$(account big | jq -c '.email = "another-\(.email)"')"
  expect_error 400 'Username already registered'
  post /auth/register "$(account big | jq -c '.username = "other\(.username | .[-20:])"')"
  expect 200
  sql "UPDATE users SET deleted_at = deleted_at - interval '89 days' WHERE id = $id"
  sv -w 45 restart "$CHATTY_HOME/service/worker" >/dev/null
  post /auth/register "$(account big | jq -c '.email = "third-\(.email)"')"
  expect_error 400 'Username already registered'
  sql "UPDATE users SET deleted_at = deleted_at - interval '2 days' WHERE id = $id"
  sv -w 45 restart "$CHATTY_HOME/service/worker" >/dev/null
  eventually 20 is_free big
}

unblock_is_missing() {
  member chief
  appoint chief admin
  as chief delete "/admin/users/$1/block"
  expect_error 404 'User not found'
  appoint chief user
}

is_free() {
  post /auth/register "$(account "$1" | jq -c '.email = "third-\(.email)"')"
  [[ $CODE == 200 ]]
}

@test "the last admin does not delete the account; one of two does, and only one when both try at once" {
  local codes
  # Others of other tests stand aside.
  sql "CREATE TABLE aside AS SELECT id FROM users WHERE role = 'admin'; UPDATE users SET role = 'user' WHERE role = 'admin'"
  member first second
  appoint first admin
  as first delete /auth/me "{\"current_password\": \"$PASSWORD\"}"
  expect_error 403 'The last admin cannot delete the account'
  as first get /auth/me
  expect 200
  appoint second admin
  printf '%s\n' first second | while read -r name; do token_of "$name"; echo; done | xargs -P 2 -I{} curl --silent --output /dev/null --write-out '%{http_code}\n' \
    --max-time 20 --request DELETE --header 'Authorization: Bearer {}' --json "{\"current_password\": \"$PASSWORD\"}" "$CHATTY_TEST_URL/auth/me" |
    sort | xargs >"$BATS_TEST_TMPDIR/codes"
  codes=$(<"$BATS_TEST_TMPDIR/codes")
  sql "UPDATE users SET role = 'admin' WHERE id IN (SELECT id FROM aside); DROP TABLE aside"
  equal "$codes" '200 403'
}
