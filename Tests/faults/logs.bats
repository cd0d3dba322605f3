#!/usr/bin/env bats
# Logs: whatever happens to a log's keeper or to its disk, nobody waits for it; and all logs together stay within what they may take.

load ../smoke/support
load ../smoke/stack

setup_file() {
  start_stack CHATTY_LOG_LEVEL=info
  member ada
  new_post ada
  printf '%s' "$NEW_POST" >"$BATS_FILE_TMPDIR/post"
}

teardown_file() {
  stop_stack
}

teardown() {
  signal CONT
  if mountpoint --quiet "$BATS_TEST_TMPDIR/disk"; then umount --lazy "$BATS_TEST_TMPDIR/disk"; fi
}

# signal NAME: to every keeper of a log.
signal() {
  local file
  for file in "$CHATTY_HOME"/service/*/log/supervise/pid; do kill "-$1" "$(<"$file")"; done
}

# keep TOTAL_MB DAYS LOGS NAME: a keeper without a stack.
keep() { "$CHATTY_HOME/bin/chatty-log" keep "$@"; }

logs() { grep -qF -- "$2" "$CHATTY_HOME/log/$1/current"; }

@test "a keeper that is stopped holds up no answer, and what was dropped meanwhile is told" {
  local path
  # Lines of a kilobyte: some thousand are more than a pipe holds.
  path=/$(printf 'a-long-way-of-short-steps/%.0s' {1..36})
  signal STOP
  equal "$(codes "$path" 3000)" 404 'the answers of nginx'
  equal "$(codes "/posts/$(<"$BATS_FILE_TMPDIR/post")" 6000)" 200 'the answers of the post service'
  timeout 60 psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$CHATTY_TEST_DATABASE_URL" --command \
    "DO \$\$ BEGIN FOR i IN 1..20000 LOOP RAISE LOG '% %', i, repeat('x', 200); END LOOP; END \$\$" || wrong 'PostgreSQL waits for its log'
  ops /readyz
  expect 200
  signal CONT
  eventually 20 has_room_for_lines || wrong 'nothing is logged any more'
  eventually 10 grep -qE '"dropped":"[1-9][0-9]*"' "$CHATTY_HOME/log/posts/current" ||
    wrong 'the post service does not tell of lines that were dropped'
}

# has_room_for_lines: a request is in the logs.
has_room_for_lines() {
  local id=request-$RANDOM$RANDOM
  get "/posts/$(<"$BATS_FILE_TMPDIR/post")" --header "X-Request-ID: $id"
  expect 200
  eventually 3 logs nginx "$id" && eventually 3 logs posts "$id"
}

@test "a keeper that dies is replaced, and the next line is there" {
  signal KILL
  get /posts
  expect 200
  eventually 20 has_room_for_lines || wrong 'nothing is logged any more'
}

@test "all logs together keep the newest of what they may take, and no longer than their days" {
  local logs=$BATS_TEST_TMPDIR/logs name first last pids=()
  mkdir -p "$logs/quiet"
  head -c 1000 /dev/zero >"$logs/quiet/@old"
  touch --date '40 days ago' "$logs/quiet/@old"
  head -c 1000 /dev/zero >"$logs/quiet/@older-than-a-day"
  touch --date '2 days ago' "$logs/quiet/@older-than-a-day"
  printf 'of another day\n' >"$logs/quiet/current"
  touch --date '3 days ago' "$logs/quiet/current"
  printf 'of today\n' | keep 16 30 "$logs" quiet
  [[ ! -e $logs/quiet/@old ]] || wrong 'a file of 40 days ago is still there'
  [[ -e $logs/quiet/@older-than-a-day ]] || wrong 'a file of 2 days ago is gone'
  equal "$(<"$logs/quiet/current")" 'of today' 'the present file'

  for name in a b c; do
    seq -f "$name %.0f and some more words to make the line longer" 300000 | keep 16 30 "$logs" "$name" &
    pids+=($!)
  done
  wait "${pids[@]}"
  local bytes
  bytes=$(find "$logs" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
  ((bytes <= 16000000)) || wrong "the logs take $bytes bytes"
  ((bytes > 12000000)) || wrong "only $bytes bytes were kept"
  for name in a b c; do
    # Without a gap from the first that is kept to the last.
    cat "$logs/$name"/{@*,current} | cut -d ' ' -f 2 >"$BATS_TEST_TMPDIR/kept" 2>/dev/null
    first=$(head -n 1 "$BATS_TEST_TMPDIR/kept") last=$(tail -n 1 "$BATS_TEST_TMPDIR/kept")
    equal "$last" 300000 'the last line'
    seq "$first" "$last" | cmp - "$BATS_TEST_TMPDIR/kept" || wrong "lines of $name are missing"
  done
}

@test "a keeper whose disk is full goes on reading, and counts what it drops" {
  [[ $EUID == 0 ]] || skip 'only root can mount a disk'
  local disk=$BATS_TEST_TMPDIR/disk written dropped keeper
  mkdir "$disk"
  mount -t tmpfs -o size=40m tmpfs "$disk"
  mkfifo "$BATS_TEST_TMPDIR/pipe"
  keep 1000 30 "$disk" full <"$BATS_TEST_TMPDIR/pipe" 3>&- &
  keeper=$!
  exec 8>"$BATS_TEST_TMPDIR/pipe"
  # Twice what there is room for.
  timeout 100 seq -f 'line %.0f, which is no longer than it has to be' 2000000 >&8 || wrong 'the keeper has stopped reading'
  ((2000000 > $(cat "$disk"/full/* | wc -l))) || wrong 'the disk was not full'
  # Room again, without losing what was written.
  mount -o remount,size=200m "$disk"
  eventually 20 grep -q 'lines of this log were dropped' "$disk/full/current" || wrong 'nothing is said of what was dropped'
  printf 'the last line\n' >&8
  exec 8>&-
  wait "$keeper"
  equal "$(tail -n 1 "$disk/full/current")" 'the last line' 'the last line'
  written=$(cat "$disk"/full/* | grep -c '^line')
  dropped=$(cat "$disk"/full/* | sed -n 's/.*"lines of this log were dropped","lines":\([0-9]*\)}.*/\1/p' | awk '{ sum += $1 } END { print sum }')
  equal $((written + dropped)) 2000000 'written and dropped lines together'
}

@test "a keeper that is told to end writes what has come" {
  local logs=$BATS_TEST_TMPDIR/logs keeper
  mkdir "$logs"
  mkfifo "$BATS_TEST_TMPDIR/pipe"
  # Not by the function: this process is the one that is told to end.
  "$CHATTY_HOME/bin/chatty-log" keep 16 30 "$logs" short <"$BATS_TEST_TMPDIR/pipe" 3>&- &
  keeper=$!
  exec 8>"$BATS_TEST_TMPDIR/pipe"
  eventually 10 test -e "$logs/short/current"
  printf 'one\ntwo' >&8
  kill -TERM "$keeper"
  wait "$keeper"
  exec 8>&-
  equal "$(<"$logs/short/current")" $'one\ntwo' 'what was written'
}

@test "settings of the logs that cannot be are refused by name" {
  local given
  for given in CHATTY_LOG_SIZE=15 CHATTY_LOG_DAYS=0 CHATTY_LOG_SIZE=1g; do
    run env "$given" "$ROOT/deploy/up" </dev/null
    equal "$status" 78 "the status with $given"
    [[ $output == "up: ${given%=*} is '${given#*=}', not a whole number from "* ]] || wrong "deploy/up says: $output"
  done
}
