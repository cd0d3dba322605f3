#!/usr/bin/env bats
# A service that somebody has got the better of lays links where others work: root at the next deploy/up or `chatty media check`, the worker,
# nginx. Nobody follows one.

load ../smoke/support
load ../smoke/stack

setup_file() {
  start_stack
  member ada
}

teardown_file() {
  stop_stack
}

setup() {
  if [[ $EUID != 0 ]]; then skip 'a stack that is one user has nobody to protect from another'; fi
  # What is root's, and nobody else's.
  TREASURE=$BATS_TEST_TMPDIR/treasure
  mkdir -m 700 "$TREASURE"
  KEY=$(printf '%032d' 7).png
  printf 'secret' >"$TREASURE/$KEY"
  touch -d '2 hours ago' "$TREASURE/$KEY"
  chmod 600 "$TREASURE/$KEY"
  BEFORE=$(stat -c '%n %a %u %g %s %i' "$TREASURE" "$TREASURE"/*)
}

# is_untouched: and nothing was added or taken away.
is_untouched() {
  equal "$(stat -c '%n %a %u %g %s %i' "$TREASURE" "$TREASURE"/*)" "$BEFORE" 'what is root'"'"'s'
}

# as_service NAME COMMAND…: with all that the service's processes have.
as_service() {
  local group=$1
  if [[ $1 == worker ]]; then group=worker,chatty-posts; fi
  setpriv --reuid="chatty-$1" --regid="chatty-$1" --groups="chatty-$group" "${@:2}"
}

@test "every folder is root's, or no folder of anybody else's is in it that root works with" {
  equal "$(find "$CHATTY_HOME" \( -path "$CHATTY_HOME/postgres" -o -path "$CHATTY_HOME/media" -o -path "$CHATTY_HOME/mail" -o -path "$CHATTY_HOME/recommendations" \
    -o -path "$CHATTY_HOME/nginx/tmp/*" -o -path "$CHATTY_HOME/run" \) -prune -o -type d \( ! -user root -o -perm /022 \) -print)" ''
  equal "$(stat -c '%U %a' "$CHATTY_HOME/media" "$CHATTY_HOME/media/thumbnails" | sort -u)" 'root 775'
  # Everybody writes sockets there, and nobody touches another's.
  equal "$(stat -c '%U %a' "$CHATTY_HOME/run")" 'root 1775'
}

@test "up touches nothing that a link in the place of the thumbnails leads to, and says so" {
  mv "$CHATTY_HOME/media/thumbnails" "$CHATTY_HOME/media/elsewhere"
  as_service posts ln -s "$TREASURE" "$CHATTY_HOME/media/thumbnails"
  run "$ROOT/deploy/up" </dev/null 3>&-
  [[ $status != 0 && $output == *"$CHATTY_HOME/media/thumbnails is no folder"* ]] || wrong "$output"
  is_untouched
  run "$ROOT/deploy/chatty" media check --remove
  [[ $status != 0 && $output == *'cannot be read'* ]] || wrong "$output"
  is_untouched
  # Nor does the service itself.
  vips black "$BATS_TEST_TMPDIR/black.png" 20 20
  as ada call POST /posts '' --form title=x --form content=y --form "image=@$BATS_TEST_TMPDIR/black.png"
  expect 503
  is_untouched
  rm "$CHATTY_HOME/media/thumbnails"
  mv "$CHATTY_HOME/media/elsewhere" "$CHATTY_HOME/media/thumbnails"
}

@test "media check removes a link and not what it leads to, nor does the worker" {
  local link
  for link in "$KEY" "thumbnails/$KEY"; do
    as_service posts ln -s "$TREASURE/$KEY" "$CHATTY_HOME/media/$link"
    touch --no-dereference -d '2 hours ago' "$CHATTY_HOME/media/$link"
  done
  run "$ROOT/deploy/chatty" media check --remove
  [[ $output == *"no post has $KEY: removed"* && $output == *"no post has thumbnails/$KEY: removed"* ]] || wrong "$output"
  [[ ! -L $CHATTY_HOME/media/$KEY && ! -L $CHATTY_HOME/media/thumbnails/$KEY ]]
  is_untouched
  # The worker follows no folder either, of its own that the post service has replaced.
  mv "$CHATTY_HOME/media/thumbnails" "$CHATTY_HOME/media/elsewhere"
  local folder
  folder=$(mktemp -d /tmp/chatty-XXXXXX)
  chown chatty-worker: "$folder"
  as_service worker touch "$folder/$KEY"
  as_service posts ln -s "$folder" "$CHATTY_HOME/media/thumbnails"
  sql "INSERT INTO outbox (kind, payload) VALUES ('media', '{\"image_key\": \"$KEY\"}')"
  sleep 3
  [[ -e $folder/$KEY ]] || wrong 'the worker has followed a link'
  rm -r "$folder"
  rm "$CHATTY_HOME/media/thumbnails"
  mv "$CHATTY_HOME/media/elsewhere" "$CHATTY_HOME/media/thumbnails"
  sql "UPDATE outbox SET next_attempt_at = now()"
  is_untouched
}

@test "a link in the place of the index of likes is refused, and replaced by the next index" {
  as_service worker rm -f "$CHATTY_HOME/recommendations/likes.index"
  as_service worker ln -s "$TREASURE/$KEY" "$CHATTY_HOME/recommendations/likes.index"
  run "$ROOT/deploy/chatty" recommendations inspect
  [[ $status != 0 && $output != *secret* ]] || wrong "$output"
  as_service worker ln -s "$TREASURE/new" "$CHATTY_HOME/recommendations/likes.index.unfinished" || true
  "$ROOT/deploy/chatty" recommendations build
  [[ ! -L $CHATTY_HOME/recommendations/likes.index && -f $CHATTY_HOME/recommendations/likes.index ]]
  is_untouched
}

@test "nobody but root puts anything where keys are, and a rotation leaves the key to those who had it" {
  run as_service auth touch "$CHATTY_HOME/keys/new"
  [[ $status != 0 ]] || wrong 'the auth service can write there'
  "$ROOT/deploy/chatty" keys rotate
  equal "$(stat -c '%U %a' "$CHATTY_HOME/keys/private.pem" "$CHATTY_HOME/keys/jwks.json" | xargs)" 'chatty-auth 600 chatty-auth 644'
  # A first key too.
  mv "$CHATTY_HOME/keys/private.pem" "$BATS_TEST_TMPDIR/private.pem"
  "$ROOT/deploy/chatty" keys rotate
  equal "$(stat -c '%U %a' "$CHATTY_HOME/keys/private.pem")" 'chatty-auth 600'
  log_in ada
  as ada get /auth/me
  expect 200
}

@test "up runs nothing that the database's user has written where its version is" {
  local version=$CHATTY_HOME/postgres/PG_VERSION before
  before=$(<"$version")
  setpriv --reuid=postgres --regid=postgres --clear-groups sh -c "printf '../../../tmp/\$(touch $BATS_TEST_TMPDIR/run)' >'$version'"
  run "$ROOT/deploy/up" </dev/null 3>&-
  printf '%s\n' "$before" >"$version"
  [[ $status != 0 && $output == *'PG_VERSION is no version'* && ! -e $BATS_TEST_TMPDIR/run ]] || wrong "$output"
  up
}
