# shellcheck shell=bash
# deploy/bench reads: the pages of posts and of comments beside pgbench of the statements that they are read with.
# shellcheck disable=SC2154 # what deploy/bench sets

# The statements of GET /posts and GET /posts/{id}/comments for somebody without a token (Sources/PostService/Queries.swift).
list_statement='
SELECT p.id, p.title, p.content, p.image_filename, p.image_key, p.image_alt, p.user_id, u.username, p.created_at, p.updated_at, s.likes, s.comments,
  coalesce((SELECT true FROM likes l WHERE l.user_id = :reader AND l.post_id = p.id), false)
FROM posts p JOIN users u ON u.id = p.user_id AND u.blocked_at IS NULL JOIN post_stats s ON s.post_id = p.id
WHERE p.id < :before
ORDER BY p.id DESC
LIMIT :fetch;'

comments_statement='
SELECT c.id, c.content, c.post_id, c.user_id, u.username, c.created_at
FROM posts p JOIN users author ON author.id = p.user_id AND author.blocked_at IS NULL
JOIN comments c ON c.post_id = p.id
JOIN users u ON u.id = c.user_id AND u.blocked_at IS NULL
WHERE p.id = :post AND c.id > :after
ORDER BY c.id
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
  row 'pgbench of the same statement' list-select
  row 'Chatty (ratio: to pgbench)' list list-select
  title "GET /posts/{id}/comments?limit=20, $connections connections"
  row 'pgbench of the same statement' comments-select
  row 'Chatty (ratio: to pgbench)' comments comments-select
}
