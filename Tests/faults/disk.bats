#!/usr/bin/env bats
# The disk under CHATTY_HOME is full: what is there can be read, what cannot be written is refused in time, and nothing has to be started
# again when there is room.

load ../smoke/support
load ../smoke/stack

# A small disk of its own.
new_home() {
  local folder
  folder=$(mktemp -d /tmp/chatty-XXXXXX)
  mount -t tmpfs -o size=800m,mode=755 tmpfs "$folder"
  printf '%s' "$folder"
}

setup_file() {
  [[ $EUID == 0 ]] || skip 'only root can mount a disk'
  start_stack CHATTY_LOG_LEVEL=info
  member ada grace
  cd "$BATS_FILE_TMPDIR" || return
  vips gaussnoise noise.v 300 200 --mean 128 --sigma 10
  vips cast noise.v small.jpg uchar
  # More than nginx holds in memory.
  vips gaussnoise noise.v 800 600 --mean 128 --sigma 60
  vips cast noise.v large.png uchar
  printf '{"title": "Long", "content": "%s"}' "$(letters 200000)" >long.json
}

teardown_file() {
  if [[ ${CHATTY_HOME-} != /tmp/chatty-* ]]; then return; fi
  rm -f "$CHATTY_HOME/filler"
  down || true
  umount "$CHATTY_HOME" || umount --lazy "$CHATTY_HOME"
  stop_stack
}

teardown() {
  rm -f "$CHATTY_HOME/filler"
}

# fill: until nothing is left; root's own writes included.
fill() { cat /dev/zero >"$CHATTY_HOME/filler" 2>/dev/null || true; }

# expect_no_room: the answer to what cannot be written.
expect_no_room() {
  expect_error 503 'Service temporarily unavailable'
  equal "$(header Retry-After)" 30 Retry-After
}

upload() {
  as ada call POST /posts '' --form title=Picture --form content=Painted --form "image=@$BATS_FILE_TMPDIR/$1"
}

can_post() {
  as ada post /posts '{"title": "Room", "content": "There is some"}'
  [[ $CODE == 200 ]]
}

is_ready() {
  ops /readyz
  [[ $CODE == 200 ]]
}

# logs NAME TEXT: whether a log has it.
logs() { grep -qF -- "$2" "$CHATTY_HOME/log/$1/current"; }

# pids: what would be others after a restart.
pids() { stack_processes | grep -E ' (chatty-|nginx|multiwatch)'; head -n 1 "$CHATTY_HOME/postgres/postmaster.pid"; }

@test "with a full disk reads go on, writes are 503 with a time to come back, and all goes on by itself when there is room" {
  local before kept=() id image filling
  upload small.jpg
  expect 200
  image=$(field .post.image_url)
  before=$(pids)

  # The disk fills while somebody writes.
  fill 3>&- &
  filling=$!
  for _ in {1..2000}; do
    as ada post /posts '{"title": "Kept", "content": "What was acknowledged stays"}'
    if [[ $CODE != 200 ]]; then break; fi
    kept+=("$(field .post.id)")
  done
  expect_no_room
  wait "$filling"
  equal "$(df --output=avail "$CHATTY_HOME" | tail -n 1 | tr -d ' ')" 0 'the room'

  # More lines of logs than pipes hold.
  equal "$(codes "/posts/${kept[-1]}" 3000)" 200 'the answers to reads'
  equal "$(codes /posts 100)" 200 'the answers to reads of a list'
  as ada get /feed
  expect 200
  as ada get /auth/me
  expect 200
  equal "$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 20 "$CHATTY_TEST_URL${image#"$CHATTY_TEST_URL"}")" 200 'an image'
  ops /livez
  expect 200
  for _ in {1..20}; do
    as ada post /posts '{"title": "Lost", "content": "Nothing is promised"}'
    expect_no_room
  done
  as ada post "/posts/${kept[0]}/likes"
  expect_no_room
  as ada delete "/posts/${kept[0]}"
  expect_no_room
  post /auth/login "$(credentials ada)"
  expect_no_room
  post /auth/register "$(account newcomer)"
  expect_no_room
  upload small.jpg
  expect_no_room
  # nginx would put these on the disk.
  upload large.png
  expect_no_room
  as ada post /posts '' --header 'Content-Type: application/json' --data-binary "@$BATS_FILE_TMPDIR/long.json"
  expect_no_room
  ops /readyz
  expect 503 '.detail == "auth: no room under CHATTY_HOME"'
  ops /readyz/uploads
  expect 503 '.detail == "uploads: no room under CHATTY_HOME"'

  run "$ROOT/deploy/status"
  equal "$status" 1 'the status of deploy/status'
  [[ $output == *"no room under CHATTY_HOME ($CHATTY_HOME): 0 MiB are free"*"$CHATTY_HOME/reserve"* ]] || wrong "deploy/status says: $output"
  run "$ROOT/deploy/up" </dev/null
  equal "$status" 1 'the status of deploy/up'
  [[ $output == "up: no room under CHATTY_HOME ($CHATTY_HOME): 0 MiB are free"* && ${#lines[@]} == 1 ]] || wrong "deploy/up says: $output"
  equal "$(pids)" "$before" 'the list of processes with a full disk'

  rm "$CHATTY_HOME/filler"
  eventually 15 can_post || wrong 'nothing can be written though there is room'
  eventually 15 is_ready || wrong 'not ready though there is room'
  upload large.png
  expect 200
  # The worker too is at work again: it writes the mail.
  newcomer newcomer
  for id in "${kept[@]}"; do
    get "/posts/$id"
    expect 200
  done
  equal "$(pids)" "$before" 'the list of processes'
  eventually 10 logs worker 'no room: work rests' || wrong 'the worker does not say that it rests'
  eventually 10 logs worker 'there is room again: work goes on' || wrong 'the worker does not say that it goes on'
  eventually 10 logs posts 'no room: what would be written is refused' || wrong 'the post service does not say why it refuses'
  if logs postgres PANIC; then wrong 'PostgreSQL has lost its disk'; fi
}

@test "a stack with a full disk can be stopped, and started again when there is room" {
  new_post ada
  fill
  run down
  equal "$status" 0 'the status of deploy/down'
  [[ $output == *'Chatty is stopped'* ]] || wrong "deploy/down says: $output"
  fill
  run "$ROOT/deploy/up" </dev/null 3>&-
  [[ $status == 1 && $output == "up: no room under CHATTY_HOME"* && ${#lines[@]} == 1 ]] || wrong "deploy/up says: $output"
  rm "$CHATTY_HOME/filler"
  up
  get "/posts/$NEW_POST"
  expect 200
  equal "$(stat --format %s "$CHATTY_HOME/reserve")" $((64 << 20)) 'the size of the reserve'
}
