#!/usr/bin/env bats
# The schema by itself: what each role may do, what the triggers count, what moderation does, and deploy/migrate.
#
# Everything happens in a database of its own, made by deploy/migrate beside the one that CHATTY_TEST_DATABASE_URL names (a URI, of
# a superuser). Roles belong to the cluster, so their passwords are those in CHATTY_HOME.

: "${CHATTY_TEST_DATABASE_URL:?a database of the cluster to test on, as a superuser}"
: "${CHATTY_HOME:?the folder with the secrets of this cluster}"

setup_file() {
  SCRATCH=chatty_schema_$$_$RANDOM
  SCRATCH_URL=$(sed -E "s|^(postgres(ql)?://[^/]*)/[^?]*|\1/$SCRATCH|" <<<"$CHATTY_TEST_DATABASE_URL")
  MIGRATE=$BATS_TEST_DIRNAME/../../deploy/migrate
  export SCRATCH SCRATCH_URL MIGRATE
  psql --no-psqlrc --quiet "$CHATTY_TEST_DATABASE_URL" --command "CREATE DATABASE $SCRATCH"
  migrate
  sql "INSERT INTO users (username, email, hashed_password, verified_at, role)
       SELECT 'user' || n, 'user' || n || '@example.org', 'x', now(), CASE n WHEN 1 THEN 'admin' WHEN 2 THEN 'admin' WHEN 3 THEN 'moderator' ELSE 'user' END
       FROM generate_series(1, 20) n"
  sql "INSERT INTO sessions (user_id, refresh_hash, expires_at) SELECT id, sha256(username::bytea), now() + interval '1 day' FROM users"
}

teardown_file() {
  psql --no-psqlrc --quiet "$CHATTY_TEST_DATABASE_URL" --command "DROP DATABASE $SCRATCH WITH (FORCE)"
}

setup() {
  bats_require_minimum_version 1.5.0
}

migrate() {
  CHATTY_DATABASE_OWNER_URL=$SCRATCH_URL "${@:-$MIGRATE}"
}

# sql STATEMENT…: each is a command of its own, the last one's rows come back, columns divided by |.
sql() {
  local arguments=() statement
  for statement; do arguments+=(--command "$statement"); done
  psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$SCRATCH_URL" "${arguments[@]}"
}

# trial ROLE STATEMENT…: as that role, and taken back afterwards.
trial() {
  local role=$1
  shift
  sql BEGIN "SET LOCAL ROLE chatty_$role" "$@" ROLLBACK
}

may() {
  run trial "$@"
  if [[ $status != 0 ]]; then
    printf '%s should be able to: %s\n%s\n' "$1" "${*:2}" "$output"
    return 1
  fi
}

may_not() {
  run trial "$@"
  if [[ $status == 0 || $output != *'permission denied'* ]]; then
    printf '%s should not be able to: %s\n%s\n' "$1" "${*:2}" "$output"
    return 1
  fi
}

# equal GOT WANT
equal() {
  if [[ $1 != "$2" ]]; then
    printf 'got:\n%s\nand not:\n%s\n' "$1" "$2"
    return 1
  fi
}

# new_post AUTHOR: prints its id.
new_post() { sql "INSERT INTO posts (user_id, title, content) VALUES ($1, 'A title', 'Some content') RETURNING id"; }

# moderate ACTOR ACTION TARGET [ROLE]: as the admin service does; prints what came of it.
moderate() {
  sql 'SET ROLE chatty_admin' "INSERT INTO moderation_actions (actor_id, action, target_id, role, reason)
    VALUES ($1, '$2', $3, ${4:-NULL}, 'because') RETURNING outcome"
}

# counters_are_right: fails and shows the rows whose counters are not what is there.
counters_are_right() {
  equal "$(sql "SELECT 'post', s.* FROM post_stats s FULL JOIN posts p ON p.id = s.post_id
      WHERE p.id IS NULL OR s.post_id IS NULL OR (s.likes, s.comments) <>
        ((SELECT count(*) FROM likes l WHERE l.post_id = p.id AND NOT l.hidden), (SELECT count(*) FROM comments c WHERE c.post_id = p.id AND NOT c.hidden))")" ''
  equal "$(sql "SELECT 'author', s.* FROM author_stats s FULL JOIN users u ON u.id = s.user_id
      WHERE u.id IS NULL OR s.user_id IS NULL
        OR s.last_post_id IS DISTINCT FROM (SELECT max(p.id) FROM posts p WHERE p.user_id = u.id)
        OR (s.posts, s.followers, s.following) <> ((SELECT count(*) FROM posts p WHERE p.user_id = u.id),
          (SELECT count(*) FROM subscriptions f WHERE f.following_id = u.id AND NOT f.follower_hidden),
          (SELECT count(*) FROM subscriptions f WHERE f.follower_id = u.id AND NOT f.following_hidden))")" ''
}

# -- Roles ------------------------------------------------------------------------------------------------------------

@test "there is a role for every service, which may log in and nothing else" {
  equal "$(sql "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'chatty\_%' AND rolcanlogin
      AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
      AND NOT EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid)")" \
    'chatty_admin chatty_auth chatty_feed chatty_operator chatty_posts chatty_recommendations chatty_worker'
}

@test "a stranger to the database can do nothing, not even connect" {
  equal "$(sql "SELECT has_database_privilege('public', current_database(), p) FROM unnest(ARRAY['CONNECT', 'TEMPORARY', 'CREATE']) p" | xargs)" 'f f f'
  equal "$(sql "SELECT has_schema_privilege('public', 'public', p) FROM unnest(ARRAY['USAGE', 'CREATE']) p" | xargs)" 'f f'
  equal "$(sql "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')")" ''
  equal "$(sql "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
    AND has_any_column_privilege('public', oid, 'SELECT, INSERT, UPDATE, REFERENCES')")" ''
}

@test "no service owns anything or may create, truncate or refer to anything" {
  equal "$(sql "SELECT rolname, relname FROM pg_roles, pg_class WHERE rolname LIKE 'chatty\_%' AND relnamespace = 'public'::regnamespace
    AND relkind IN ('r', 'v') AND (relowner = pg_roles.oid OR has_table_privilege(rolname, pg_class.oid, 'TRUNCATE, REFERENCES, TRIGGER'))")" ''
  equal "$(sql "SELECT rolname FROM pg_roles WHERE rolname LIKE 'chatty\_%' AND (has_schema_privilege(rolname, 'public', 'CREATE')
    OR has_database_privilege(rolname, current_database(), 'CREATE, TEMPORARY'))")" ''
}

@test "password hashes are read by auth alone, addresses by auth and the operator, refresh and link hashes by auth" {
  readers() {
    sql "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles
      WHERE rolname LIKE 'chatty\_%' AND has_column_privilege(rolname, '$1', '$2', 'SELECT')"
  }
  equal "$(readers users hashed_password)" chatty_auth
  equal "$(readers users email)" 'chatty_auth chatty_operator'
  equal "$(readers sessions refresh_hash)" chatty_auth
  equal "$(readers email_tokens token_hash)" chatty_auth
  equal "$(readers outbox payload)" chatty_worker
}

@test "each service writes its own tables and no others" {
  equal "$(sql "SELECT substr(rolname, 8) || ':', string_agg(relname || CASE WHEN has_any_column_privilege(rolname, c.oid, 'INSERT') THEN ' insert' ELSE '' END
        || CASE WHEN has_any_column_privilege(rolname, c.oid, 'UPDATE') THEN ' update' ELSE '' END
        || CASE WHEN has_table_privilege(rolname, c.oid, 'DELETE') THEN ' delete' ELSE '' END, ', ' ORDER BY relname)
      FROM pg_roles r, pg_class c WHERE rolname LIKE 'chatty\_%' AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
        AND (has_any_column_privilege(rolname, c.oid, 'INSERT, UPDATE') OR has_table_privilege(rolname, c.oid, 'DELETE'))
      GROUP BY rolname ORDER BY rolname" | tr -d '|')" \
'admin:moderation_actions insert, write_checks update
auth:email_tokens insert update delete, hashes_in_work insert update delete, login_places insert update delete, outbox insert, registration_keys insert update, sessions insert update, throttles insert update delete, users insert update delete, write_checks update
feed:idempotency_keys insert update, subscriptions insert delete, users update, write_checks update
operator:author_stats insert update, email_tokens delete, moderation_actions insert, outbox update delete, post_stats insert update, sessions update, throttles delete, users insert update
posts:author_stats update, comments insert delete, idempotency_keys insert update, likes insert delete, pending_media insert update delete, post_stats update, posts insert update delete, reports insert update, users update, write_checks update
recommendations:write_checks update
worker:email_tokens delete, idempotency_keys delete, login_places delete, outbox insert update delete, pending_media delete, registration_keys delete, sessions delete, throttles delete'
}

@test "nobody gives themselves an id, a role, a state, another author or a time" {
  local base="(username, email, hashed_password"
  may auth "INSERT INTO users $base) VALUES ('newcomer', 'newcomer@example.org', 'x')"
  may_not auth "INSERT INTO users $base, role) VALUES ('newcomer', 'newcomer@example.org', 'x', 'admin')"
  may_not auth "INSERT INTO users $base, verified_at) VALUES ('newcomer', 'newcomer@example.org', 'x', now())"
  may_not auth "UPDATE users SET role = 'admin'"
  may_not auth "UPDATE users SET blocked_at = NULL"
  may_not posts "INSERT INTO posts (user_id, title, content, created_at) VALUES (5, 't', 'c', '2001-01-01')"
  may_not posts "UPDATE posts SET user_id = 5"
  # Of a user they may set a generated column, which is to lock it.
  equal "$(sql "SELECT DISTINCT attname FROM pg_attribute, unnest(ARRAY['chatty_posts', 'chatty_feed']) service
    WHERE attrelid = 'users'::regclass AND attnum > 0 AND has_column_privilege(service, attrelid, attnum, 'UPDATE')")" is_active
  run trial posts "UPDATE users SET is_active = true"
  [[ $status != 0 && $output == *'can only be updated to DEFAULT'* ]]
  may_not posts "INSERT INTO comments (post_id, user_id, content, created_at) VALUES (1, 5, 'c', '2001-01-01')"
  may_not admin "INSERT INTO moderation_actions (actor_id, action, target_id, outcome) VALUES (1, 'block_user', 5, 'missing')"
  may_not admin "INSERT INTO moderation_actions (actor_id, actor, action, target_id) VALUES (1, 'user5', 'block_user', 5)"
  may_not admin "INSERT INTO moderation_actions (actor_id, created_at, action, target_id) VALUES (1, '2001-01-01', 'block_user', 5)"
}

@test "each service can do its work" {
  local post
  post=$(new_post 5)
  may auth "INSERT INTO users (username, email, hashed_password) VALUES ('newcomer', 'newcomer@example.org', 'x')" \
    "INSERT INTO outbox (kind, payload) VALUES ('mail', '{}')" "SELECT hashed_password FROM users" \
    "INSERT INTO sessions (user_id, refresh_hash, expires_at, ip, user_agent) VALUES (5, sha256('x'), now(), NULL, NULL)" \
    "UPDATE sessions SET ended_at = now() FROM active_sessions a WHERE a.id = sessions.id" "UPDATE users SET verified_at = now()"
  may posts "INSERT INTO posts (user_id, title, content) VALUES (5, 't', 'c')" "SELECT * FROM posts WHERE id = $post FOR KEY SHARE" \
    "INSERT INTO likes (user_id, post_id) VALUES (5, $post) ON CONFLICT DO NOTHING" "UPDATE post_stats SET likes = likes + 1 WHERE post_id = $post" \
    "INSERT INTO comments (post_id, user_id, content) VALUES ($post, 6, 'c')" "DELETE FROM comments WHERE user_id = 6" \
    "INSERT INTO reports (post_id, user_id, reason) VALUES ($post, 6, 'r') ON CONFLICT (post_id, user_id) WHERE resolved_at IS NULL DO NOTHING" "DELETE FROM posts WHERE id = $post"
  may feed "INSERT INTO subscriptions (follower_id, following_id) VALUES (5, 6) ON CONFLICT DO NOTHING" "DELETE FROM subscriptions" "SELECT * FROM posts"
  may admin "INSERT INTO moderation_actions (actor_id, action, target_id) VALUES (1, 'delete_post', $post)" "SELECT count(*) FROM comments"
  may recommendations "SELECT * FROM likes, posts, post_stats, active_sessions"
  may worker "SELECT * FROM outbox FOR UPDATE SKIP LOCKED" "UPDATE outbox SET attempts = 1, claim = nextval('outbox_claims')" "DELETE FROM outbox" \
    "SELECT remove_abandoned_accounts('7 days', 1)"
  may operator "UPDATE users SET verified_at = now() WHERE username = 'user5'" "SELECT version FROM migrations"
  sql "DELETE FROM posts WHERE id = $post"
}

@test "moderation is inserted by admin and the operator, and changed by nobody, not even the owner" {
  may_not posts "INSERT INTO moderation_actions (actor_id, action) VALUES (1, 'view_stats')"
  moderate 1 view_stats NULL
  may_not admin "UPDATE moderation_actions SET actor = 'nobody'"
  may_not admin "DELETE FROM moderation_actions"
  local statement
  for statement in "UPDATE moderation_actions SET actor = 'nobody'" 'DELETE FROM moderation_actions' 'TRUNCATE moderation_actions'; do
    run ! sql "$statement"
    [[ $output == *'only ever added to'* ]]
  done
}

# -- Rows -------------------------------------------------------------------------------------------------------------

@test "a username and an address are taken in every case" {
  run ! sql "INSERT INTO users (username, email, hashed_password) VALUES ('USER5', 'other@example.org', 'x')"
  [[ $output == *users_username_key* ]]
  run ! sql "INSERT INTO users (username, email, hashed_password) VALUES ('other', 'User5@Example.ORG', 'x')"
  [[ $output == *users_email_key* ]]
}

@test "only a session that neither ended nor expired, of an active user, is active" {
  active() { sql "SELECT username, role FROM active_sessions WHERE user_id = 9"; }
  equal "$(active)" 'user9|user'
  sql "UPDATE users SET blocked_at = now() WHERE id = 9"
  equal "$(active)" ''
  sql "UPDATE users SET blocked_at = NULL, verified_at = NULL WHERE id = 9"
  equal "$(active)" ''
  sql "UPDATE users SET verified_at = now() WHERE id = 9"
  equal "$(active)" 'user9|user'
  sql "UPDATE sessions SET expires_at = now() WHERE user_id = 9"
  equal "$(active)" ''
  sql "UPDATE sessions SET expires_at = now() + interval '1 day', ended_at = now() WHERE user_id = 9"
  equal "$(active)" ''
}

@test "a row in the outbox wakes the worker" {
  equal "$(sql 'LISTEN outbox' "INSERT INTO outbox (kind, payload) VALUES ('mail', '{}')" 'DELETE FROM outbox' | grep -c 'notification "outbox" with payload "mail"')" 1
}

@test "the image of a post that goes, whichever way, is left to the worker; a post without one leaves nothing" {
  sql "INSERT INTO users (username, email, hashed_password) VALUES ('painter', 'painter@example.org', 'x')"
  sql "INSERT INTO posts (user_id, title, content, image_filename, image_key)
       SELECT id, 't', 'c', n || '.png', n FROM users, unnest(ARRAY['first', 'second', NULL]) n WHERE username = 'painter'"
  sql "DELETE FROM posts WHERE image_key = 'first'"
  sql "DELETE FROM users WHERE username = 'painter'"
  equal "$(sql "SELECT kind, payload FROM outbox ORDER BY id")" $'media|{"image_key": "first"}\nmedia|{"image_key": "second"}'
  sql 'DELETE FROM outbox'
}

# -- Counters ---------------------------------------------------------------------------------------------------------

@test "whatever comes and goes, the counters follow" {
  local a b c
  a=$(new_post 5) b=$(new_post 5) c=$(new_post 6)
  sql "INSERT INTO subscriptions (follower_id, following_id) VALUES (5, 6), (6, 5), (7, 5)"
  sql "INSERT INTO likes (user_id, post_id) SELECT u, p FROM generate_series(5, 8) u, unnest(ARRAY[$a, $b, $c]::bigint[]) p"
  sql "INSERT INTO comments (user_id, post_id, content) SELECT u, p, 'c' FROM generate_series(5, 9) u, unnest(ARRAY[$a, $b, $c]::bigint[]) p"
  sql "UPDATE post_stats SET likes = 4, comments = 5"
  counters_are_right
  sql "DELETE FROM likes WHERE user_id = 7"
  sql "DELETE FROM comments WHERE user_id IN (8, 9) AND post_id IN ($a, $c)"
  counters_are_right
  equal "$(sql "SELECT likes, comments FROM post_stats WHERE post_id IN ($a, $b) ORDER BY post_id" | xargs)" '3|3 3|5'
  sql "DELETE FROM subscriptions WHERE follower_id = 6"
  sql "DELETE FROM posts WHERE id = $b"
  counters_are_right
  equal "$(sql "SELECT last_post_id = $a, posts, followers, following FROM author_stats WHERE user_id = 5")" 't|1|1|1'
  sql "DELETE FROM users WHERE id = 6"
  counters_are_right
  sql "DELETE FROM posts"
  counters_are_right
}

@test "an author's newest post is right when one is deleted while another is written" {
  local old
  old=$(new_post 10)
  (sql BEGIN "INSERT INTO posts (user_id, title, content) VALUES (10, 't', 'c')" "SELECT pg_sleep(1)" COMMIT) &
  sleep 0.3
  sql "DELETE FROM posts WHERE id = $old"
  wait
  counters_are_right
  equal "$(sql "SELECT posts, last_post_id > $old FROM author_stats WHERE user_id = 10")" '1|t'
}

# The statements of the services, at random, on few rows, so that they meet.
@test "sixteen clients who like, unlike, comment, follow and delete neither deadlock nor miscount" {
  sql "INSERT INTO posts (user_id, title, content) SELECT 11 + n % 8, 't', 'c' FROM generate_series(1, 24) n"
  local first
  first=$(sql "SELECT min(id) FROM posts")
  cd "$BATS_TEST_TMPDIR"
  local like="WITH post AS (SELECT p.id FROM posts p WHERE p.id = :post FOR KEY SHARE),
    liked AS (INSERT INTO likes (user_id, post_id) SELECT :user, id FROM post ON CONFLICT DO NOTHING RETURNING post_id)
    UPDATE post_stats s SET likes = s.likes + 1 FROM liked WHERE s.post_id = liked.post_id;"
  local comment="WITH post AS (SELECT p.id FROM posts p WHERE p.id = :post FOR KEY SHARE),
    added AS (INSERT INTO comments (user_id, post_id, content) SELECT :user, id, 'c' FROM post RETURNING post_id)
    UPDATE post_stats s SET comments = s.comments + 1 FROM added WHERE s.post_id = added.post_id;"
  local pick="\\set user random(11, 18)
\\set other random(11, 18)
\\set post random($first, $((first + 60)))"
  printf '%s\n%s\n' "$pick" "$like" >like.sql
  printf '%s\n%s\n' "$pick" "DELETE FROM likes WHERE user_id = :user AND post_id = :post;" >unlike.sql
  printf '%s\n%s\n' "$pick" "$comment" >comment.sql
  printf '%s\n%s\n' "$pick" "DELETE FROM comments WHERE user_id = :user AND post_id = :post;" >uncomment.sql
  printf '%s\n%s\n' "$pick" "INSERT INTO posts (user_id, title, content) VALUES (:user, 't', 'c');" >write.sql
  printf '%s\n%s\n' "$pick" "DELETE FROM posts WHERE id = :post;" >delete.sql
  printf '%s\n%s\n' "$pick" "INSERT INTO moderation_actions (actor_id, action, target_id) VALUES (3, 'delete_post', :post);" >moderate.sql
  printf '%s\n%s\n' "$pick" "INSERT INTO subscriptions (follower_id, following_id) SELECT :user, :other WHERE :user <> :other ON CONFLICT DO NOTHING;" >follow.sql
  printf '%s\n%s\n' "$pick" "DELETE FROM subscriptions WHERE follower_id = :user AND following_id = :other;" >unfollow.sql
  run pgbench --no-vacuum --client 16 --time 8 --protocol prepared "$SCRATCH_URL" \
    -f like.sql@20 -f unlike.sql@20 -f comment.sql@10 -f uncomment.sql@10 -f write.sql@2 -f delete.sql@1 -f moderate.sql@1 -f follow.sql@8 -f unfollow.sql@8
  [[ $status == 0 ]] || printf '%s\n' "$output"
  [[ $output == *'number of failed transactions: 0 '* && $output != *aborted* && $output != *ERROR* ]]
  counters_are_right
}

# settle: every step that is left.
settle() {
  while [[ $(sql 'SELECT settle_next_accounts(7)') == t ]]; do :; done
  equal "$(sql 'SELECT * FROM unsettled_accounts')" ''
}

# hidden_is_right: every flag is that of its user.
hidden_is_right() {
  local table
  for table in posts comments likes; do
    equal "$(sql "SELECT '$table', r.* FROM $table r JOIN users u ON u.id = r.user_id WHERE r.hidden <> (u.blocked_at IS NOT NULL)")" ''
  done
  equal "$(sql "SELECT f.* FROM subscriptions f JOIN users a ON a.id = f.follower_id JOIN users b ON b.id = f.following_id
    WHERE (f.follower_hidden, f.following_hidden) <> (NOT a.is_active, NOT b.is_active)")" ''
}

# As the services do it: whoever adds something locks their own row, and who is followed theirs.
@test "while people are blocked, let in again and deleted nobody deadlocks, and in the end what is hidden and what is counted is right" {
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
    SELECT 'crowd' || n, 'crowd' || n || '@example.org', 'x', now() FROM generate_series(1, 10) n"
  local first last post pick me
  first=$(sql "SELECT id FROM users WHERE username = 'crowd1'")
  last=$((first + 9))
  sql "INSERT INTO posts (user_id, title, content) SELECT $first + n % 8, 't', 'c' FROM generate_series(1, 24) n"
  post=$(sql "SELECT max(id) - 23 FROM posts")
  cd "$BATS_TEST_TMPDIR"
  pick="\\set user random($first, $last)
\\set other random($first, $last)
\\set post random($post, $((post + 60)))"
  me="WITH me AS (SELECT id FROM users WHERE id = :user AND is_active FOR SHARE), post AS (SELECT p.id, me.id AS user_id FROM me, posts p
    WHERE p.id = :post AND (SELECT true FROM users a WHERE a.id = p.user_id AND a.blocked_at IS NULL) FOR KEY SHARE OF p)"
  statement() { printf '%s\n%s\n' "$pick" "$2" >"$1.sql"; }
  statement like "$me, liked AS (INSERT INTO likes (user_id, post_id) SELECT user_id, id FROM post ON CONFLICT DO NOTHING RETURNING post_id)
    UPDATE post_stats s SET likes = s.likes + 1 FROM liked WHERE s.post_id = liked.post_id;"
  statement comment "$me, added AS (INSERT INTO comments (user_id, post_id, content) SELECT user_id, id, 'c' FROM post RETURNING post_id)
    UPDATE post_stats s SET comments = s.comments + 1 FROM added WHERE s.post_id = added.post_id;"
  statement follow "WITH pair AS (SELECT u.id AS a, other.id AS b FROM users u, users other WHERE u.id = :user AND u.is_active AND other.id = :other
    AND other.id <> u.id AND other.is_active FOR SHARE) INSERT INTO subscriptions (follower_id, following_id) SELECT a, b FROM pair ON CONFLICT DO NOTHING;"
  statement unlike "DELETE FROM likes WHERE user_id = :user AND post_id = :post;"
  statement unfollow "DELETE FROM subscriptions WHERE follower_id = :user AND following_id = :other;"
  statement write "INSERT INTO posts (user_id, title, content) SELECT id, 't', 'c' FROM users WHERE id = :user AND is_active FOR SHARE;"
  statement delete "DELETE FROM posts WHERE id = :post;"
  statement block "INSERT INTO moderation_actions (actor_id, action, target_id) VALUES (1, 'block_user', :user);"
  statement unblock "INSERT INTO moderation_actions (actor_id, action, target_id) VALUES (1, 'unblock_user', :user);"
  statement settle "SELECT settle_next_accounts(5);"
  statement leave "SELECT delete_account(:user, NULL) WHERE :user >= $last - 1;"
  run pgbench --no-vacuum --client 16 --time 8 --protocol prepared "$SCRATCH_URL" -f like.sql@20 -f unlike.sql@10 -f comment.sql@10 \
    -f follow.sql@10 -f unfollow.sql@5 -f write.sql@3 -f delete.sql@1 -f block.sql@2 -f unblock.sql@4 -f settle.sql@4 -f leave.sql@1
  [[ $status == 0 ]] || printf '%s\n' "$output"
  [[ $output == *'number of failed transactions: 0 '* && $output != *aborted* && $output != *ERROR* && $output != *WARNING* ]]
  settle
  hidden_is_right
  equal "$(sql "SELECT count(*) FROM users WHERE deleted_at IS NOT NULL AND (EXISTS (SELECT FROM posts WHERE user_id = users.id)
    OR EXISTS (SELECT FROM likes WHERE user_id = users.id) OR EXISTS (SELECT FROM subscriptions WHERE users.id IN (follower_id, following_id)))")" 0
  sql "DELETE FROM users WHERE deleted_at IS NOT NULL"
  counters_are_right
}

# -- Moderation -------------------------------------------------------------------------------------------------------

@test "a block sets one column, and lifting it gives back what was before" {
  local before
  before=$(sql "SELECT u FROM users u WHERE id = 12")
  equal "$(moderate 1 block_user 12)" applied
  equal "$(sql "SELECT blocked_at IS NOT NULL, is_active FROM users WHERE id = 12")" 't|f'
  equal "$(sql "SELECT count(*) FROM active_sessions WHERE user_id = 12")" 0
  local since
  since=$(sql "SELECT blocked_at FROM users WHERE id = 12")
  equal "$(moderate 1 block_user 12)" applied
  equal "$(sql "SELECT blocked_at FROM users WHERE id = 12")" "$since"
  equal "$(moderate 1 unblock_user 12)" applied
  equal "$(sql "SELECT u FROM users u WHERE id = 12")" "$before"
  equal "$(sql "SELECT count(*) FROM active_sessions WHERE user_id = 12")" 1
}

@test "an action is recorded with who did it, to whom, why and what came of it" {
  local post
  post=$(new_post 12)
  moderate 3 delete_post "$post"
  moderate 1 set_role 13 "'moderator'"
  moderate 1 block_user 9223372036854775807
  moderate 1 view_stats NULL
  equal "$(sql "SELECT actor_id, actor, action, target_type, target_id, target, role, reason, outcome FROM moderation_actions ORDER BY id DESC LIMIT 4")" \
"1|user1|view_stats|||||because|applied
1|user1|block_user|user|9223372036854775807|||because|missing
1|user1|set_role|user|13|user13|moderator|because|applied
3|user3|delete_post|post|$post|user12||because|applied"
  equal "$(sql "SELECT count(*) FROM posts WHERE id = $post")" 0
  equal "$(sql "SELECT role FROM users WHERE id = 13")" moderator
  moderate 1 set_role 13 "'user'"
}

@test "an action on what is not there is kept as missing" {
  local action
  for action in block_user unblock_user delete_post delete_comment; do
    equal "$(moderate 1 "$action" 9223372036854775807)" missing
  done
  equal "$(moderate 1 set_role 9223372036854775807 "'admin'")" missing
}

@test "nobody acts on themselves or on an equal or higher role" {
  local action
  for action in block_user unblock_user; do
    equal "$(moderate 1 "$action" 1)" forbidden
    equal "$(moderate 1 "$action" 2)" forbidden
  done
  equal "$(moderate 1 set_role 2 "'user'")" forbidden
  equal "$(moderate 1 set_role 1 "'user'")" forbidden
  equal "$(sql "SELECT count(*) FROM users WHERE role = 'admin' AND is_active")" 2
  equal "$(moderate 1 block_user 3)" applied
  equal "$(moderate 1 unblock_user 3)" applied
}

@test "a moderator acts on content only, a user on nothing" {
  local post comment action
  post=$(new_post 12)
  comment=$(sql "INSERT INTO comments (post_id, user_id, content) VALUES ($post, 12, 'c') RETURNING id")
  for action in block_user unblock_user; do equal "$(moderate 3 "$action" 12)" forbidden; done
  equal "$(moderate 3 set_role 12 "'admin'")" forbidden
  equal "$(moderate 3 view_stats NULL)" forbidden
  equal "$(moderate 14 delete_post "$post")" forbidden
  equal "$(moderate 14 delete_comment "$comment")" forbidden
  equal "$(sql "SELECT count(*) FROM comments WHERE id = $comment")" 1
  sql "UPDATE post_stats SET comments = 1 WHERE post_id = $post"
  equal "$(moderate 3 delete_comment "$comment")" applied
  equal "$(moderate 3 delete_post "$post")" applied
  counters_are_right
}

@test "an action without an actor is the operator's, whom no role outranks" {
  local insert="INSERT INTO moderation_actions (action, target_id) VALUES ('block_user', 1) RETURNING outcome"
  logged_in() { sql "SET SESSION AUTHORIZATION chatty_$1" BEGIN "$insert" ROLLBACK; }
  equal "$(logged_in operator)" applied
  run ! logged_in admin
  [[ $output == *"is the operator's"* ]]
}

@test "one who is blocked moderates nothing" {
  sql "UPDATE users SET blocked_at = now() WHERE id = 3"
  run ! moderate 3 delete_post 1
  sql "UPDATE users SET blocked_at = NULL WHERE id = 3"
}

# -- deploy/migrate ---------------------------------------------------------------------------------------------------

# checkout: a copy of what deploy/migrate needs, to change files in.
checkout() {
  mkdir -p "$BATS_TEST_TMPDIR/deploy"
  cp -r "$BATS_TEST_DIRNAME"/../../deploy/{lib,postgres} "$BATS_TEST_TMPDIR/deploy/"
  cp "$MIGRATE" "$BATS_TEST_TMPDIR/deploy/migrate"
  cp -r "$BATS_TEST_DIRNAME/../../sql" "$BATS_TEST_TMPDIR/sql"
  COPY=$BATS_TEST_TMPDIR/deploy/migrate
}

applied() { sql "SELECT string_agg(m::text, ' ' ORDER BY version) FROM migrations m"; }

@test "with nothing to do it says so and changes nothing" {
  local before
  before=$(applied)
  equal "$(migrate)" 'the database is up to date'
  equal "$(applied)" "$before"
}

@test "a file that was changed after it was applied is an error that names it" {
  checkout
  echo '-- a comment' >>"$BATS_TEST_TMPDIR/sql/0002_posts.sql"
  run ! migrate "$COPY"
  [[ $output == *'sql/0002_posts.sql has changed'* ]]
}

@test "a file that fails leaves nothing behind" {
  checkout
  printf 'CREATE TABLE half (id integer);\nSELECT 1 / 0;\n' >"$BATS_TEST_TMPDIR/sql/9000_half.sql"
  run ! migrate "$COPY"
  [[ $output == *'9000_half.sql'*'division by zero'* ]]
  equal "$(sql "SELECT to_regclass('half') IS NULL, NOT EXISTS (SELECT FROM migrations WHERE version = 9000)")" 't|t'
}

@test "two at once apply each file once" {
  checkout
  printf 'SELECT pg_sleep(1);\nCREATE TABLE once (id integer);\n' >"$BATS_TEST_TMPDIR/sql/9000_once.sql"
  migrate "$COPY" >"$BATS_TEST_TMPDIR/one" &
  local one=$!
  migrate "$COPY" >"$BATS_TEST_TMPDIR/two"
  wait "$one"
  equal "$(cat "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two" | sort)" $'applied sql/9000_once.sql\nthe database is up to date'
  run ! migrate
  [[ $output == *'the database is newer'*9000_once.sql* ]]
  sql 'DROP TABLE once' 'DELETE FROM migrations WHERE version = 9000'
}

@test "another stack does not take the roles from the one that has them, unless it is told to" {
  local before home=$BATS_TEST_TMPDIR/home
  before=$(sql "SELECT string_agg(rolpassword, ' ' ORDER BY rolname) FROM pg_authid WHERE rolname LIKE 'chatty\_%'")
  mkdir "$home"
  CHATTY_HOME=$home run ! migrate
  [[ $output == *'has the roles chatty_… already'*--new-passwords* ]]
  [[ ! -e $home/secrets ]]
  equal "$(sql "SELECT string_agg(rolpassword, ' ' ORDER BY rolname) FROM pg_authid WHERE rolname LIKE 'chatty\_%'")" "$before"
  CHATTY_HOME=$home run ! migrate "$MIGRATE" --other
  [[ $output == *'takes --new-passwords and nothing else'* ]]
  CHATTY_HOME=$home migrate "$MIGRATE" --new-passwords
  # The next test finds that the stack has them back.
  [[ $(sql "SELECT string_agg(rolpassword, ' ' ORDER BY rolname) FROM pg_authid WHERE rolname LIKE 'chatty\_%'") != "$before" ]]
}

# is_password ROLE: whether what the server has of a role's password is made of the one in its file (RFC 5802).
is_password() {
  /usr/bin/python3 - "$(sql "SELECT rolpassword FROM pg_authid WHERE rolname = 'chatty_$1'")" "$(<"$CHATTY_HOME/secrets/$1.password")" <<'PYTHON'
import base64, hashlib, hmac, sys
stored, password = sys.argv[1], sys.argv[2].encode()
_, salted, keys = stored.split("$")
rounds, salt = salted.split(":")
salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(salt), int(rounds))
key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
sys.exit(base64.b64encode(key).decode() != keys.split(":")[0])
PYTHON
}

@test "each role has its password" {
  local role
  migrate
  for role in auth posts feed admin recommendations worker operator; do is_password "$role" || wrong_password "$role"; done
}

wrong_password() {
  printf 'the password of %s is not the one in its file\n' "$1"
  return 1
}

# -- What a service cannot do to others ---------------------------------------------------------------------------------

@test "what keeps others waiting, or fills the disk, is not for the services" {
  local statement
  for statement in 'pg_advisory_lock(1)' 'pg_advisory_xact_lock(1)' 'pg_try_advisory_lock(1)' 'pg_advisory_lock(1, 2)' 'pg_advisory_lock_shared(1)' \
    'pg_try_advisory_xact_lock(1)' 'lo_create(0)' "lo_from_bytea(0, 'x')" 'lo_creat(-1)' "pg_logical_emit_message(false, 'x', 'y')"; do
    may_not feed "SELECT $statement"
    may_not auth "SELECT $statement"
  done
  may feed 'SELECT take_key(1)'
  may posts 'SELECT take_key(1)'
  for statement in admin recommendations worker operator; do may_not "$statement" 'SELECT take_key(1)'; done
  for statement in 'LOCK TABLE migrations' 'LOCK TABLE turns' 'LOCK TABLE users' 'SELECT FROM turns FOR UPDATE'; do may_not feed "$statement"; done
  may_not operator 'LOCK TABLE migrations IN SHARE MODE'
  may_not auth "SELECT name FROM turns WHERE name = 'settling' FOR UPDATE"
  may_not operator "SELECT name FROM turns WHERE name = 'settling' FOR UPDATE"
  may_not auth "UPDATE turns SET name = 'another'"
  may_not auth "DELETE FROM turns"
  may_not posts "CREATE TEMPORARY TABLE x (y integer)"
}

@test "a service sees its own stored answers and no others, and the sweep sees when they were made" {
  local count="SELECT count(*) FROM idempotency_keys WHERE key LIKE 'mine-%'"
  seen() { sql BEGIN "SET LOCAL ROLE chatty_$1" "$2" COMMIT; }
  seen posts "INSERT INTO idempotency_keys (user_id, key, fingerprint, answer) VALUES (5, 'mine-1', sha256('x'), 'of posts')"
  seen feed "INSERT INTO idempotency_keys (user_id, key, fingerprint, answer) VALUES (5, 'mine-2', sha256('x'), 'of feed')"
  equal "$(seen posts "SELECT encode(answer, 'escape') FROM idempotency_keys")" 'of posts'
  equal "$(seen feed "SELECT encode(answer, 'escape') FROM idempotency_keys")" 'of feed'
  seen feed "UPDATE idempotency_keys SET answer = 'forged'"
  equal "$(sql "SELECT encode(answer, 'escape') FROM idempotency_keys WHERE key = 'mine-1'")" 'of posts'
  # Nor by a conflict with it.
  run trial feed "INSERT INTO idempotency_keys (user_id, key, fingerprint, answer) VALUES (5, 'mine-1', sha256('x'), 'forged')
    ON CONFLICT (user_id, key) DO UPDATE SET answer = excluded.answer"
  [[ $status != 0 && $output == *'row-level security'* ]]
  may_not feed "INSERT INTO idempotency_keys (user_id, key, fingerprint, answer, service) VALUES (5, 'mine-3', sha256('x'), 'x', 'chatty_posts')"
  equal "$(seen worker "$count")" 2
  equal "$(seen worker "DELETE FROM idempotency_keys WHERE key LIKE 'mine-%' RETURNING key" | wc -l)" 2
}

@test "what a role has been made to set for itself is gone after migrate, and what the schema sets is still there" {
  settings() { sql "SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE setrole = 'chatty_feed'::regrole AND datname = current_database()"; }
  local before
  before=$(settings)
  [[ $before == *plan_cache_mode=force_generic_plan* ]]
  sql 'SET SESSION AUTHORIZATION chatty_feed' 'ALTER ROLE chatty_feed SET default_transaction_read_only = on' 'ALTER ROLE chatty_feed SET search_path = pg_temp' \
    "ALTER ROLE chatty_feed IN DATABASE $SCRATCH SET statement_timeout = 1"
  migrate
  equal "$(sql "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'chatty_feed'::regrole AND setdatabase = 0")" ''
  equal "$(settings)" "$before"
}

@test "roles have as many connections as migrate is told, for each of Chatty's databases, and a wrong number is refused" {
  local old
  old=$(sql "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'chatty_feed'")
  databases() { sql "SELECT count(*) FROM pg_database, aclexplode(datacl) a WHERE a.grantee = 'chatty_feed'::regrole AND a.privilege_type = 'CONNECT'"; }
  CHATTY_CONNECTION_LIMITS='feed=7 ' migrate
  equal "$(sql "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'chatty_feed'")" $((7 * $(databases)))
  sql "ALTER ROLE chatty_feed CONNECTION LIMIT $old"
  CHATTY_CONNECTION_LIMITS='feed=x' run ! migrate
  [[ $output == *CHATTY_CONNECTION_LIMITS* ]]
}
