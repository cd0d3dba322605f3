# shellcheck shell=bash
# deploy/bench reads: the pages of posts and of comments beside pgbench of plain statements that read the same.
# shellcheck disable=SC2154 # what deploy/bench sets

# What GET /posts and GET /posts/{id}/comments read for somebody without a token, without what ends a statement that comes by much of what is
# hidden (Sources/ServiceKit/Run/Walk.swift).
list_statement='
SELECT p.id, p.title, p.content, p.image_filename, p.image_key, p.image_alt, p.user_id, u.username, p.created_at, p.updated_at, s.likes, s.comments,
  coalesce((SELECT true FROM likes l WHERE l.user_id = :reader AND l.post_id = p.id), false)
FROM posts p CROSS JOIN LATERAL (SELECT username FROM users WHERE id = p.user_id AND blocked_at IS NULL LIMIT 1) u
CROSS JOIN LATERAL (SELECT likes, comments FROM post_stats WHERE post_id = p.id LIMIT 1) s
WHERE p.id < :before AND NOT p.hidden
ORDER BY p.id DESC NULLS LAST
LIMIT :fetch;'

comments_statement='
SELECT c.id, c.content, c.post_id, c.user_id, u.username, c.created_at
FROM comments c CROSS JOIN LATERAL (SELECT username FROM users WHERE id = c.user_id AND blocked_at IS NULL LIMIT 1) u
WHERE (c.post_id, c.hidden, c.id) > (
    (SELECT p.id FROM posts p WHERE p.id = :post AND (SELECT true FROM users a WHERE a.id = p.user_id AND a.blocked_at IS NULL)), false, :after
  ) AND (c.post_id, c.hidden) <= (:post, false)
ORDER BY c.post_id, c.hidden, c.id
LIMIT :fetch;'

bench_reads() {
  local round
  sql "INSERT INTO comments (post_id, user_id, content)
       SELECT $post_id, $(id_of bench), 'A remark of the usual length, which is not very long.' FROM generate_series(1, 200)"
  sql 'VACUUM ANALYZE'
  printf '%s\n' "$list_statement" >"$work/list.sql"
  printf '%s\n' "$comments_statement" >"$work/comments.sql"
  for ((round = 1; round <= rounds; round++)); do
    say "GET /posts and GET /posts/{id}/comments, round $round of $rounds"
    transactions list-select "$connections" "$work/list.sql" --define reader=0 --define before=9223372036854775807 --define fetch=21
    load list "$CHATTY_TEST_URL/posts?limit=20"
    transactions comments-select "$connections" "$work/comments.sql" --define "post=$post_id" --define after=0 --define fetch=21
    load comments "$CHATTY_TEST_URL/posts/$post_id/comments?limit=20"
  done
  title "GET /posts?limit=20, $connections connections"
  row 'pgbench of the plain statement' list-select
  row 'Chatty (ratio: to pgbench)' list list-select
  title "GET /posts/{id}/comments?limit=20, $connections connections"
  row 'pgbench of the plain statement' comments-select
  row 'Chatty (ratio: to pgbench)' comments comments-select
}
