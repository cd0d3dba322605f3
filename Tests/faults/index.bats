#!/usr/bin/env bats
# The index of likes: when it is built, what a build holds up, and files that are no good.

load ../smoke/support
load ../smoke/stack

setup_file() {
  start_stack CHATTY_RECOMMENDATION_INTERVAL=1 CHATTY_LOG_LEVEL=info
  member reader
  resident author
  sql "INSERT INTO posts (user_id, title, content) SELECT $(id_of author), 'Post ' || n, 'x' FROM generate_series(1, 40) n"
}

teardown_file() {
  stop_stack
}

setup() {
  INDEX=$CHATTY_HOME/recommendations/likes.index
}

chatty() { "$ROOT/deploy/chatty" "$@"; }

# post_id NUMBER: the id of the author's so-many-th post.
post_id() { sql "SELECT id FROM posts WHERE user_id = $(id_of author) ORDER BY id LIMIT 1 OFFSET $1 - 1"; }

# friend NAME NUMBER…: a new user who likes these posts.
friend() {
  local number
  resident "$1"
  for number in "${@:2}"; do
    sql "INSERT INTO likes (user_id, post_id) VALUES ($(id_of "$1"), $(post_id "$number"))"
  done
}

indexed() { [[ $(chatty recommendations inspect 2>/dev/null | awk '$1 == "likes" { print $2 }') == "$1" ]]; }

all_likes() { sql 'SELECT count(*) FROM likes'; }

# recommended: what neighbours bring the reader.
recommended() {
  as reader get '/recommendations?limit=50'
  expect 200
  field '[.posts[] | select(.reason == "similar_users") | .id] | tojson'
}

# said SERVICE FILTER: whether the service has logged a line for which the filter holds.
said() {
  cat "$CHATTY_HOME/log/$1"/{@*,current} 2>/dev/null | jq -Re "[inputs | fromjson? | select($2)] | length > 0" >/dev/null
}

# refuses REASON: makes the index not be taken any more for this reason, shows that SQL answers instead, and that a good one is
# taken again.
refuses() {
  local name
  name=late-$BATS_TEST_NUMBER
  [[ $(recommended) == "[$(post_id 30)]" ]] || wrong 'the index is not in use'
  # By the index: somebody who is not in it is no neighbour.
  friend "$name" 1 2 31
  [[ $(recommended) == "[$(post_id 30)]" ]] || wrong 'somebody is a neighbour who is not in the index'
  "${@:2}"
  [[ $(recommended) == "[$(post_id 31),$(post_id 30)]" ]] || wrong 'SQL has not answered'
  said recommendations ".level == \"warning\" and (.message | test(\"refused, answering by SQL\")) and (.reason | test(\"$1\"))" ||
    wrong "no line in the log says '$1'"
  run chatty recommendations inspect
  [[ $status == 1 && $output == *"cannot be used: "* && $output =~ $1 ]] || wrong "inspect says $output"
  sql "DELETE FROM users WHERE id = $(id_of "$name")"
  chatty recommendations build --wait
  equal "$(recommended)" "[$(post_id 30)]"
}

# replaced COMMAND…: what it makes of the index takes its place.
replaced() {
  "$@" <"$INDEX" >"$INDEX.new"
  chmod 644 "$INDEX.new"
  mv "$INDEX.new" "$INDEX"
}

# with_byte OFFSET: standard input with this byte changed.
with_byte() {
  local byte=$((8#$(od -An -v -to1 -j "$1" -N 1 "$INDEX" | tr -d ' ')))
  head -c "$1" "$INDEX"
  # shellcheck disable=SC2059 # the format is the byte
  printf "\\x$(printf %x $((byte ^ 1)))"
  tail -c +$(($1 + 2)) "$INDEX"
}

@test "chatty-worker builds an index by itself, and again when likes have come or gone" {
  eventually 20 indexed "$(all_likes)"
  if [[ $EUID == 0 ]]; then
    equal "$(stat -c '%U %G %a' "$INDEX")" 'chatty-worker chatty-recommendations 640'
    equal "$(stat -c '%U %G %a' "${INDEX%/*}")" 'chatty-worker chatty-recommendations 2750'
  fi
  as reader post "/posts/$(post_id 1)/likes"
  as reader post "/posts/$(post_id 2)/likes"
  friend ada 1 2 30
  eventually 30 indexed 5
  equal "$(recommended)" "[$(post_id 30)]"
  friend passing 3
  eventually 30 indexed 6
  sql "DELETE FROM users WHERE id = $(id_of passing)"
  eventually 30 indexed 5
  said worker '.message == "index of likes built" and (.output | test("^Indexed 5 likes by 2 users in "))'
  run chatty recommendations inspect
  [[ $status == 0 && $output == *'verified   every checksum and list'* && $output == *'likes      5 by 2 active users, of 5 in all'* ]]
}

@test "there is one build at a time; who asks for another is told, or waits" {
  local holder waiting
  # The lock is held until that file is gone, with its folder at the latest: however long takes what follows.
  # shellcheck disable=SC2016 # the other bash's
  flock "${INDEX%/*}" bash -c 'touch "$1"; while [[ -e $1 ]]; do sleep 0.1; done' _ "$BATS_TEST_TMPDIR/held" 3>&- &
  holder=$!
  eventually 30 test -e "$BATS_TEST_TMPDIR/held"
  run chatty recommendations build
  [[ $status == 75 && $output == 'Another build is at work.' ]]
  # The worker comes by meanwhile, and makes no fuss.
  friend crowd 5
  sleep 1.5
  run said worker '.message == "index of likes not built"'
  ((status != 0))
  chatty recommendations build --wait >"$BATS_TEST_TMPDIR/output" 3>&- &
  waiting=$!
  sleep 1
  kill -0 "$waiting"
  [[ ! -s $BATS_TEST_TMPDIR/output ]] || wrong 'two have built at once'
  rm "$BATS_TEST_TMPDIR/held"
  wait "$holder" "$waiting"
  [[ $(<"$BATS_TEST_TMPDIR/output") =~ ^'Indexed 6 likes by 3 users in '[0-9]+' ms: '[0-9]+' bytes.'$ ]]
  sql "DELETE FROM users WHERE id = $(id_of crowd)"
  chatty recommendations build --wait
}

is_build_held_up() {
  [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE usename = 'chatty_worker' AND wait_event_type = 'Lock' AND query LIKE 'COPY (SELECT user_id, post_id FROM likes%'") == 1 ]]
}

is_locked() { [[ $(sql "SELECT count(*) FROM pg_locks WHERE relation = 'likes'::regclass AND mode = 'AccessExclusiveLock' AND granted") == 1 ]]; }

no_build() { [[ -z $(stack_processes | awk '$2 == "chatty"') ]]; }

@test "mail goes out while a build takes long, and the worker's end is the build's" {
  # A change of an account would wait for the lock too, so it comes before, and the worker finds it afterwards.
  sv -w 10 down "$CHATTY_HOME/service/worker"
  resident somebody
  sql "UPDATE users SET verified_at = now() WHERE id = $(id_of somebody)"
  sql "BEGIN; LOCK TABLE likes; SELECT pg_sleep(20); COMMIT" 3>&- &
  local holder=$!
  eventually 5 is_locked
  sv -w 10 up "$CHATTY_HOME/service/worker"
  eventually 15 is_build_held_up
  register waiting
  link_for waiting
  is_build_held_up
  sv -w 10 restart "$CHATTY_HOME/service/worker"
  # The new one may begin a build of its own: it is ended with its worker too.
  sv -w 10 down "$CHATTY_HOME/service/worker"
  eventually 5 no_build
  kill "$holder"
  sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%LOCK TABLE likes%' AND pid <> pg_backend_pid()"
  sv -w 10 up "$CHATTY_HOME/service/worker"
}

@test "a build that fails is told, changes nothing, and is tried again" {
  chatty recommendations build --wait
  local before
  before=$(sha256sum "$INDEX")
  sql 'REVOKE SELECT (user_id) ON likes FROM chatty_worker'
  friend unseen 7
  eventually 20 said worker '.level == "error" and .message == "index of likes not built" and .status == "1" and (.output | test("permission denied"))'
  equal "$(sha256sum "$INDEX")" "$before"
  equal "$(recommended)" "[$(post_id 30)]"
  equal "$(ls -A "${INDEX%/*}")" likes.index
  sql 'GRANT SELECT (user_id) ON likes TO chatty_worker'
  sql "DELETE FROM users WHERE id = $(id_of unseen)"
  # After a pause; or at once, when the worker is new.
  sv -w 10 restart "$CHATTY_HOME/service/worker"
  eventually 20 indexed 5
  # From here on nobody builds but the tests.
  sv -w 10 down "$CHATTY_HOME/service/worker"
}

@test "without an index SQL answers" {
  chatty recommendations build --wait
  equal "$(recommended)" "[$(post_id 30)]"
  rm "$INDEX"
  friend new 1 2 31
  equal "$(recommended)" "[$(post_id 31),$(post_id 30)]"
  said recommendations '.message | test("no index of likes: answering by SQL")'
  run chatty recommendations inspect
  [[ $status == 1 && $output == *'cannot be used: '*'No such file or directory'* ]]
  sql "DELETE FROM users WHERE id = $(id_of new)"
  chatty recommendations build --wait
}

@test "a file that was cut is refused" {
  refuses 'it has [0-9]+ bytes where there should be' replaced head -c -4
}

@test "a file of something else is refused" {
  refuses 'it is not an index of likes' replaced base64
}

@test "a file of another version is refused" {
  refuses 'it is of version 0 of the format, and this program reads version 1' replaced with_byte 8
}

@test "a file with a wrong byte is refused" {
  refuses 'its checksum is wrong' replaced with_byte 136
  refuses 'a list names what is not there' replaced with_byte $(($(stat -c %s "$INDEX") - 1))
  refuses 'the checksum of its header is wrong' replaced with_byte 40
}

@test "a file that is written over in place is refused" {
  refuses 'its checksum is wrong' overwritten
}

overwritten() {
  printf 'x' | dd of="$INDEX" bs=1 seek=136 conv=notrunc status=none
}

@test "a large index is verified beside the requests, then used" {
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
       SELECT 'many-' || n, n || '@many.example.org', 'x', now() FROM generate_series(1, 5000) n"
  sql "INSERT INTO likes (user_id, post_id) SELECT u.id, p.id FROM users u, posts p WHERE u.username LIKE 'many-%' AND p.title NOT IN ('Post 1', 'Post 2')"
  chatty recommendations build
  (($(stat -c %s "$INDEX") > 1 << 20))
  local requests
  for ((requests = 0; requests < 200; requests++)); do
    as reader get /recommendations
    expect 200
    if said recommendations '.message == "index of likes in use" and (.likes | tonumber) > 100000'; then break; fi
  done
  ((requests < 200))
  as reader get '/recommendations?limit=1'
  expect 200 ".posts | map(.id) == [$(post_id 30)]"
}
