#!/usr/bin/env bats
# Who writes something while their account, or that of somebody whom they are about to follow, is being deleted.

load support
load stack

setup_file() {
  member friend
  new_post friend
  printf '%s' "$NEW_POST" >"$BATS_FILE_TMPDIR/post"
}

setup() {
  POST=$(<"$BATS_FILE_TMPDIR/post")
  LEAVING=leaving$BATS_TEST_NUMBER
  member "$LEAVING"
}

# holding SQL: a transaction that has done this and goes on when more is written to HOLDER. The SQL gives one row.
holding() {
  coproc HOLDER { psql --no-psqlrc --quiet --tuples-only --no-align "$CHATTY_TEST_DATABASE_URL" 2>&1 3>&-; }
  printf 'BEGIN;\n%s;\n' "$1" >&"${HOLDER[1]}"
  read -r <&"${HOLDER[0]}"
}

# let_go SQL: the end of that transaction, and what it says.
let_go() {
  local pid=$HOLDER_PID said
  # Of its own: bash closes those of a coprocess that has ended.
  exec {said}<&"${HOLDER[0]}"
  printf '%s;\nCOMMIT;\n\\q\n' "$1" >&"${HOLDER[1]}"
  cat <&"$said"
  exec {said}<&-
  wait "$pid"
}

# send NAME CALLER METHOD PATH [CURL ARGUMENT…]: a request in the background; its status and body come into the file NAME.
send() {
  local name=$1 caller=$2 method=$3 path=$4
  shift 4
  curl --silent --write-out '%{http_code}' --max-time 20 --request "$method" --header "Authorization: Bearer $(token_of "$caller")" "$@" \
    "$CHATTY_TEST_URL$path" >"$BATS_TEST_TMPDIR/$name" 3>&- &
}

# got NAME: what came back, the status last.
got() { cat "$BATS_TEST_TMPDIR/$1"; }

waiting() {
  [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename IN ('chatty_posts', 'chatty_feed')") == "$1" ]]
}

# refused_while_leaving NAME…: these requests of a member's that is being deleted all wait, and none is answered but with 401. Four to one pool at
# most: they may all come to one worker, which has four connections for writes (CHATTY_WRITE_CONNECTIONS).
refused_while_leaving() {
  local before name
  before=$(sql "SELECT likes, comments FROM post_stats WHERE post_id = $POST")
  holding "DELETE FROM users WHERE id = $(id_of "$LEAVING") RETURNING id"
  for name; do "send_$name"; done
  eventually 15 waiting $#
  let_go ''
  wait
  for name; do
    equal "$(got "$name")" '{"detail":"Not authenticated"}401' "the answer to a $name"
  done
  equal "$(sql "SELECT likes, comments FROM post_stats WHERE post_id = $POST")" "$before"
}

send_post() { send post "$LEAVING" POST /posts --json '{"title": "x", "content": "y"}'; }
send_comment() { send comment "$LEAVING" POST "/posts/$POST/comments" --json '{"content": "x"}'; }
send_once() {
  send once "$LEAVING" POST "/posts/$POST/comments" --json '{"content": "x"}' --header "Idempotency-Key: leaving-$(id_of "$LEAVING")"
}
send_like() { send like "$LEAVING" POST "/posts/$POST/likes"; }
send_report() { send report "$LEAVING" POST "/posts/$POST/reports" --json '{"reason": "x"}'; }
send_follow() { send follow "$LEAVING" POST "/subscribe/$(id_of friend)"; }

@test "whoever posts or comments while their account is being deleted is nobody any more" {
  refused_while_leaving post comment once
}

@test "whoever likes, reports or follows while their account is being deleted is nobody any more" {
  refused_while_leaving like report follow
}

@test "who is gone cannot be followed, also when it was seen a moment ago" {
  holding "DELETE FROM users WHERE id = $(id_of "$LEAVING") RETURNING id"
  send follow friend POST "/subscribe/$(id_of "$LEAVING")"
  eventually 15 waiting 1
  let_go ''
  wait
  equal "$(got follow)" '{"detail":"User not found"}404'
  equal "$(sql "SELECT following FROM author_stats WHERE user_id = $(id_of friend)")" 0
}

# Everybody locks users first, so that nobody waits for somebody who waits for them.
@test "a comment, a like or a post of a user's waits for the deletion of their account, and not the one for the other" {
  local own name
  new_post "$LEAVING"
  own=$NEW_POST
  new_comment "$LEAVING" "$POST"
  as "$LEAVING" post "/posts/$POST/likes"
  expect 200
  # As a deletion begins: the rest comes once the others wait.
  holding "SELECT id FROM users WHERE id = $(id_of "$LEAVING") FOR UPDATE"
  send comment "$LEAVING" POST "/posts/$POST/comments" --json '{"content": "x"}'
  send own "$LEAVING" POST "/posts/$own/comments" --json '{"content": "x"}'
  send like "$LEAVING" POST "/posts/$own/likes"
  send report "$LEAVING" POST "/posts/$own/reports" --json '{"reason": "x"}'
  eventually 15 waiting 4
  let_go "DELETE FROM users WHERE id = $(id_of "$LEAVING") RETURNING 'gone'" >"$BATS_TEST_TMPDIR/said"
  wait
  equal "$(<"$BATS_TEST_TMPDIR/said")" gone
  for name in comment own like report; do
    equal "$(got "$name")" '{"detail":"Not authenticated"}401' "the answer to a $name"
  done
  equal "$(sql "SELECT likes, comments FROM post_stats WHERE post_id = $POST")" '0|0'
}

@test "a comment that waited for a deletion that was given up is made" {
  holding "DELETE FROM users WHERE id = $(id_of "$LEAVING") RETURNING id"
  send comment "$LEAVING" POST "/posts/$POST/comments" --json '{"content": "x"}'
  eventually 15 waiting 1
  let_go ROLLBACK >/dev/null
  wait
  [[ $(got comment) == *'"message":"Comment added"'*200 ]] || wrong "$(got comment)"
}
