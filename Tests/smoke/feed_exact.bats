#!/usr/bin/env bats
# The feed against its naive definition, on many users and posts; and how much is read for it.
#
# 3,000 authors, of whom 2,000 write 60,000 posts, a few of them most, as Zipf found it, and 1,000 are silent. Some posts are deleted, some
# authors blocked. The readers follow few, some, many and nearly all of the authors, and the silent ones with a few who seldom write.

load support
load plans

setup_file() {
  local name
  name=$(full_name author)
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
       SELECT '$name' || n, '$name' || n || '@example.org', 'x', now() FROM generate_series(1, 3000) n"
  sql "INSERT INTO posts (user_id, title, content)
       SELECT a.id, 'Post', 'x'
       FROM (SELECT floor(exp(random() * ln(2001)))::bigint AS rank FROM generate_series(1, 60000)) n
       JOIN (SELECT id, row_number() OVER (ORDER BY id) AS rank FROM users WHERE username LIKE '$name%') a ON a.rank = n.rank"
  member few some many most silent
  follow few 10 'rank <= 2000'
  follow some 100 'rank <= 2000'
  follow many 1200 true
  follow most 2500 true
  follow silent 1000 'rank > 2000'
  follow silent 10 'rank BETWEEN 1000 AND 2000'
  # What everybody's newest posts were, some of the others, and all of some.
  sql "DELETE FROM posts WHERE id IN (SELECT a.last_post_id FROM author_stats a JOIN users u ON u.id = a.user_id WHERE u.username LIKE '$name%' AND u.id % 7 = 0)"
  sql "DELETE FROM posts WHERE id % 13 = 0 AND user_id IN (SELECT id FROM users WHERE username LIKE '$name%')"
  sql "DELETE FROM posts WHERE user_id IN (SELECT id FROM users WHERE username LIKE '$name%' AND id % 50 = 1)"
  sql "UPDATE users SET blocked_at = now() WHERE username LIKE '$name%' AND id % 20 = 0"
  sql "DELETE FROM subscriptions WHERE follower_id IN ($(id_of few), $(id_of many)) AND following_id % 11 = 0"
  sql 'VACUUM ANALYZE'
}

# follow NAME COUNT CONDITION: NAME follows so many authors, at random.
follow() {
  sql "INSERT INTO subscriptions (follower_id, following_id)
       SELECT $(id_of "$1"), id FROM (SELECT id, row_number() OVER (ORDER BY id) AS rank FROM users WHERE username LIKE '$(full_name author)%') a
       WHERE $3 ORDER BY random() LIMIT $2"
}

# naive NAME COUNT: the ids of the feed, by its definition.
naive() {
  sql "SELECT p.id FROM posts p JOIN subscriptions f ON f.following_id = p.user_id JOIN users u ON u.id = p.user_id
       WHERE f.follower_id = $(id_of "$1") AND u.blocked_at IS NULL ORDER BY p.id DESC LIMIT $2"
}

# pages NAME LIMIT COUNT: the ids of the feed's first pages, as the service gives them; the address of the next one is in NEXT.
pages() {
  local n
  NEXT="/feed?limit=$2"
  for ((n = 0; n < $3; n++)); do
    if [[ -z $NEXT ]]; then return; fi
    as "$1" get "$NEXT"
    expect 200
    field '.posts[].id' || true
    NEXT=$(next_page)
  done
}

@test "the feed is what its naive definition says, page after page, for readers of few and of many, of the busy and of the silent" {
  local name
  for name in few some many most silent; do
    equal "$(pages "$name" 20 22 | xargs)" "$(naive "$name" 440 | xargs)" "the feed of $name"
    equal "$(pages "$name" 100 3 | xargs)" "$(naive "$name" 300 | xargs)" "the feed of $name, in large pages"
    equal "$(pages "$name" 1 3 | xargs)" "$(naive "$name" 3 | xargs)" "the feed of $name, one by one"
  done
  # It is no small matter that was compared, and the readers' feeds do end.
  [[ $(naive most 440 | wc -l) == 440 && $(naive silent 440 | wc -l) -gt 20 ]] || wrong 'too little to compare'
  equal "$(walk '/feed?limit=100' '.posts[].id' silent | xargs)" "$(naive silent 100000 | xargs)"
}

# bound FOLLOWED: what a page of 20 may read at most: so many posts of a walk, each with a look at the subscriptions; a subscription and the
# last post of each who is followed; 21 posts of 21 authors; and the page's own rows, a few each. No number of posts is in it.
bound() {
  local followed=$1 walked=0
  if ((followed >= 1000)); then walked=$((2 * followed < 4000 ? 2 * followed : 4000)); fi
  printf '%s' $((2 * walked + 2 * followed + 21 * 21 + 10 * 21))
}

@test "no feed reads more rows than its bound, on the first page and on the twentieth, and none scans a table" {
  local name followed path rows
  explain_service feed
  for name in few some many most silent; do
    followed=$(sql "SELECT following FROM author_stats WHERE user_id = $(id_of "$name")")
    pages "$name" 20 19 >/dev/null
    for path in '/feed?limit=20' "${NEXT:-/feed?limit=20&cursor=AQA}"; do
      rows=$(rows_read walked as "$name" get "$path")
      printf '%s follows %s: %s of at most %s\n' "$name" "$followed" "$rows" "$(bound "$followed")" >&2
      # Tables of a few rows are read whole by any plan; in this database these two may be that small.
      jq -e --argjson bound "$(bound "$followed")" '[.scans | to_entries[] | select(.key | test("^Seq Scan, (sessions|likes)$") | not) | .value]
        | add > 0 and add <= $bound' <<<"$rows" || wrong "$name reads too much"
      jq -e '[.scans | keys[] | select(startswith("Seq Scan")) | select(test("posts|post_stats|users|author_stats|subscriptions"))] == []' <<<"$rows" ||
        wrong "$name scans a table"
    done
  done
  leave_service feed
}
