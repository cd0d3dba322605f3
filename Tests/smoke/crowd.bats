#!/usr/bin/env bats
# Many at once: what is counted is what there is, and pages hold what they promise.

load support

setup_file() {
  member ada bob carl dora
}

@test "after 10,000 likes, unlikes, comments and deletions by sixteen clients the counters equal the rows" {
  local name ids
  sql "INSERT INTO posts (user_id, title, content)
       SELECT (ARRAY[$(id_of ada), $(id_of bob), $(id_of carl), $(id_of dora)])[1 + n % 4], 'Meeting', 'x' FROM generate_series(1, 40) n
       RETURNING id" >"$BATS_TEST_TMPDIR/posts"
  for name in ada bob carl dora; do token_of "$name"; done >"$BATS_TEST_TMPDIR/tokens"
  BODY=$(python3 "$BATS_TEST_DIRNAME/crowd.py" "$CHATTY_TEST_URL" --tokens "$BATS_TEST_TMPDIR/tokens" --posts "$BATS_TEST_TMPDIR/posts" --requests 10000)
  printf 'crowd: %s\n' "$BODY" >&2
  # All was answered, with success or with what is no error of ours, and much of it with success.
  # shellcheck disable=SC2034 # wrong shows them
  REQUEST="a crowd's" CODE=report HEADERS=
  jq -e '[.[] | to_entries[] | .value] | add == 10000' <<<"$BODY" || wrong 'some got no answer'
  jq -e '[.[] | keys[]] | unique - ["200", "403", "404"] == []' <<<"$BODY" || wrong 'an answer that nobody expects'
  jq -e '.like["200"] > 1000 and .unlike["200"] > 100 and .comment["200"] > 500 and .uncomment["200"] > 100 and .delete["200"] > 0' <<<"$BODY" ||
    wrong 'too little was done'
  ids=$(paste -sd, "$BATS_TEST_TMPDIR/posts")
  equal "$(sql "SELECT count(*) FROM posts p WHERE p.id IN ($ids)" | awk '{ print ($1 >= 20 && $1 < 40) }')" 1 'whether some posts are left, and some are gone'
  equal "$(sql "SELECT count(*) FROM posts p LEFT JOIN post_stats s ON s.post_id = p.id WHERE p.id IN ($ids) AND (s.likes IS DISTINCT FROM (SELECT count(*) FROM likes l WHERE l.post_id = p.id)
       OR s.comments IS DISTINCT FROM (SELECT count(*) FROM comments c WHERE c.post_id = p.id))")" 0 'the number of posts with a wrong counter'
  equal "$(sql "SELECT count(*) FROM post_stats s WHERE NOT EXISTS (SELECT FROM posts p WHERE p.id = s.post_id)")" 0 'the number of counters without a post'
  equal "$(sql "SELECT count(*) FROM author_stats a WHERE a.posts <> (SELECT count(*) FROM posts p WHERE p.user_id = a.user_id)")" 0
}

# meanwhile STATEMENT: runs it again and again in the background until enough is called.
meanwhile() {
  while [[ ! -e $BATS_TEST_TMPDIR/enough ]]; do sql "$1" >/dev/null; done 3>&- &
  MEANWHILE=$!
}

enough() {
  touch "$BATS_TEST_TMPDIR/enough"
  wait "$MEANWHILE"
  rm "$BATS_TEST_TMPDIR/enough"
}

# holds_all SEEN KEPT: no line of SEEN comes twice, and every line of KEPT is among them, in that order.
holds_all() {
  equal "$(sort <<<"$1" | uniq -d)" '' 'what came twice'
  equal "$(grep -Fxf <(printf '%s\n' "$2") <<<"$1")" "$2" 'what was there all the time'
}

@test "pages of every list hold what was there all the time once and in order, while others write and delete" {
  local author kept path seen noise followers
  resident emil
  member fred
  author=$(id_of emil)
  sql "INSERT INTO posts (user_id, title, content) SELECT $author, CASE WHEN n % 3 = 0 THEN 'kept' ELSE 'noise' END, 'x' FROM generate_series(1, 180) n"
  as fred post "/subscribe/$author"
  noise="BEGIN; INSERT INTO posts (user_id, title, content) SELECT $author, 'noise', 'x' FROM generate_series(1, 3);
    DELETE FROM posts WHERE id IN (SELECT id FROM posts WHERE user_id = $author AND title = 'noise' ORDER BY random() LIMIT 3); COMMIT"
  kept=$(sql "SELECT id FROM posts WHERE user_id = $author AND title = 'kept' ORDER BY id DESC")
  meanwhile "$noise"
  for path in "/posts?user_id=$author&limit=7" '/posts?limit=7'; do
    seen=$(walk "$path" '.[].id')
    holds_all "$seen" "$kept"
  done
  seen=$(walk '/feed?limit=7' '.posts[].id' fred)
  holds_all "$seen" "$kept"
  enough

  new_post ada
  sql "INSERT INTO comments (post_id, user_id, content) SELECT $NEW_POST, $author, CASE WHEN n % 3 = 0 THEN 'kept' ELSE 'noise' END FROM generate_series(1, 180) n"
  kept=$(sql "SELECT id FROM comments WHERE post_id = $NEW_POST AND content = 'kept' ORDER BY id")
  meanwhile "BEGIN; INSERT INTO comments (post_id, user_id, content) SELECT $NEW_POST, $author, 'noise' FROM generate_series(1, 3);
    DELETE FROM comments WHERE id IN (SELECT id FROM comments WHERE post_id = $NEW_POST AND content = 'noise' ORDER BY random() LIMIT 3); COMMIT"
  seen=$(walk "/posts/$NEW_POST/comments?limit=7" '.[].id')
  enough
  holds_all "$seen" "$kept"

  followers=$(full_name liker)
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
       SELECT '$followers' || n, '$followers' || n || '@example.org', 'x', now() FROM generate_series(1, 120) n"
  sql "INSERT INTO likes (user_id, post_id) SELECT id, $NEW_POST FROM users WHERE username LIKE '$followers%'"
  kept=$(sql "SELECT user_id FROM likes WHERE post_id = $NEW_POST AND user_id % 3 = 0 ORDER BY created_at DESC, user_id DESC")
  meanwhile "BEGIN; DELETE FROM likes WHERE (user_id, post_id) IN (SELECT user_id, post_id FROM likes WHERE post_id = $NEW_POST AND user_id % 3 > 0 ORDER BY random() LIMIT 3);
    INSERT INTO likes (user_id, post_id) SELECT id, $NEW_POST FROM users WHERE username LIKE '$followers%' AND id % 3 > 0 ORDER BY random() LIMIT 3 ON CONFLICT DO NOTHING; COMMIT"
  seen=$(walk "/posts/$NEW_POST/likes?limit=7" '.[].user_id')
  enough
  # One who takes a like back and gives it again has a new like, which may come again.
  holds_all "$(awk 'NR == FNR { kept[$1] = 1; next } $1 in kept' <(printf '%s\n' "$kept") - <<<"$seen")" "$kept"
}
