#!/usr/bin/env bats
# Workers that die, or lack the disk, in the middle of an upload.

load ../smoke/support
load ../smoke/stack

setup_file() {
  start_stack
  member painter
  cd "$BATS_FILE_TMPDIR" || return
  # A second or two of a core for the decoder, and as large as an image may be.
  vips gaussnoise noise.v 8000 5000 --mean 128 --sigma 0.5
  vips cast noise.v long.png uchar
  # Half a second.
  vips gaussnoise noise.v 8000 5000 --mean 128 --sigma 6
  vips cast noise.v slow.jpg uchar
  vips gaussnoise noise2.v 300 200 --mean 128 --sigma 10
  vips cast noise2.v quick.jpg uchar
}

teardown_file() {
  stop_stack
}

setup() {
  cd "$BATS_FILE_TMPDIR" || return
}

files() { find "$CHATTY_HOME/media" -type f | wc -l; }
pending() { sql 'SELECT count(*) FROM pending_media'; }
is_there() { [[ $("$1") != 0 ]]; }
is_gone() { [[ $("$1") == 0 ]]; }

# decoders [PID]: the decoders of this stack's workers, or of one of them, each in a sandbox whose processes are its parent and grandparent.
decoders() {
  local pid
  for pid in ${1-$(workers chatty-posts)}; do pgrep --parent "$pid" || true; done | children | children chatty-image
}

# children [NAME]: the children of the processes on standard input, or those of this name.
children() {
  local pid
  while read -r pid; do pgrep --parent "$pid" ${1:+--exact "$1"} || true; done
}

# decoder: the process id of one of them, 0 if there is none.
decoder() {
  local found
  found=$(decoders | head -n 1)
  printf '%s' "${found:-0}"
}

# upload FILE [CURL ARGUMENT…]: as the painter, and prints the status.
upload() {
  curl --silent --output /dev/null --write-out '%{http_code}' --max-time 200 --header "Authorization: Bearer $(token_of painter)" \
    --form title=x --form content=y --form "image=@$1" "${@:2}" "$CHATTY_TEST_URL/posts"
}

@test "a worker that is killed in the middle of an upload leaves files that are removed after an hour, and no post" {
  local pid before
  equal "$(files)" 0
  before=$(workers chatty-posts)
  upload long.png >/dev/null 3>&- &
  eventually 10 is_there files
  # Whichever of the two pools they are of.
  for pid in $before; do kill -9 "$pid"; done
  wait
  sleep 2
  equal "$(sql 'SELECT count(*) FROM posts')" 0
  equal "$(pending)" 1
  [[ $(files) -gt 0 ]] || wrong 'no file is left: it was not killed in the middle'
  # Younger than an hour they may be somebody's.
  sv -w 30 restart "$CHATTY_HOME/service/worker" >/dev/null
  sleep 2
  equal "$(pending)" 1
  sql "UPDATE pending_media SET created_at = now() - interval '61 minutes'"
  eventually 15 is_gone files || wrong 'the files are still there'
  equal "$(pending)" 0
  equal "$(sql "SELECT max(media_bytes) FROM author_stats")" 0
  equal "$(sql "SELECT count(*) FROM outbox WHERE kind = 'media'")" 0
}

@test "a decoder that the machine has killed is no fault of the image: 503, and nothing is left" {
  local before pid
  before=$(files)
  upload long.png --dump-header "$BATS_TEST_TMPDIR/headers" >"$BATS_TEST_TMPDIR/code" 3>&- &
  # Not before it has become the decoder: prlimit, from which it begins, would end the same way.
  eventually 30 is_there decoder
  pid=$(decoder)
  # As the kernel does when it is out of memory.
  kill -9 "$pid"
  wait
  equal "$(<"$BATS_TEST_TMPDIR/code")" 503
  grep -qi '^Retry-After:' "$BATS_TEST_TMPDIR/headers" || wrong 'no Retry-After'
  equal "$(pending)" 0
  equal "$(files)" "$before"
  equal "$(sql 'SELECT max(media_bytes) FROM author_stats')" "$(sql 'SELECT coalesce(sum(image_bytes), 0) FROM posts')"
}

@test "while images are decoded everybody else is served, and the decoders end with their work" {
  local n
  for n in 1 2 3 4; do upload slow.jpg >"$BATS_TEST_TMPDIR/code$n" 3>&- & done
  eventually 10 is_there files
  for n in {1..20}; do
    [[ $(curl --silent --output /dev/null --write-out '%{http_code} %{time_total}' --max-time 5 "$CHATTY_TEST_URL/posts") =~ ^200\ 0 ]] || wrong 'a reader had to wait'
  done
  wait
  equal "$(cat "$BATS_TEST_TMPDIR"/code?)" 200200200200
  equal "$(decoders)" ''
  equal "$(sql 'SELECT count(*) FROM posts WHERE image_key IS NOT NULL')" 4
}

@test "more uploads than there is room for are 503 with Retry-After at once, and those that were taken are done" {
  local n
  seq 60 | xargs -P 60 -I{} curl --silent --output "$BATS_TEST_TMPDIR/answer{}" --dump-header "$BATS_TEST_TMPDIR/headers{}" --write-out '%{http_code}\n' --max-time 120 \
    --header "Authorization: Bearer $(token_of painter)" --form title=x --form content=y --form image=@slow.jpg "$CHATTY_TEST_URL/posts" >"$BATS_TEST_TMPDIR/codes"
  printf '%s\n' "$(sort "$BATS_TEST_TMPDIR/codes" | uniq -c | xargs)" >&2
  equal "$(grep -vE '^(200|503)$' "$BATS_TEST_TMPDIR/codes" || true)" '' 'an answer that nobody expects'
  [[ $(grep -c 200 "$BATS_TEST_TMPDIR/codes") -ge 4 && $(grep -c 503 "$BATS_TEST_TMPDIR/codes") -ge 1 ]] || wrong 'all were taken, or none'
  for n in {1..60}; do
    if grep -q '^HTTP/1.1 503' "$BATS_TEST_TMPDIR/headers$n"; then grep -qi '^Retry-After:' "$BATS_TEST_TMPDIR/headers$n" || wrong 'no Retry-After'; fi
  done
  equal "$(pending)" 0
  equal "$(decoders)" ''
}

# painters: the workers of the pool for images.
painters() { pgrep --parent "$(<"$CHATTY_HOME/service/uploads/supervise/pid")"; }

# are_held COUNT: there are so many decoders, and all are stopped, as if there were no processor time for them.
are_held() {
  decoders | xargs --no-run-if-empty kill -STOP
  [[ $(decoders | wc -l) == "$1" ]]
}

@test "images that take their time are done, with their key or without, behind one another and through a restart" {
  local n places pid restart key
  places=$((2 * $(painters | wc -l)))
  for ((n = 1; n <= places + 2; n++)); do
    if ((n % 2 == 1)); then key=(--header "Idempotency-Key: slow-$n"); else key=(); fi
    upload long.png "${key[@]}" >"$BATS_TEST_TMPDIR/code$n" 3>&- &
  done
  eventually 30 are_held "$places" || wrong "not $places decoders but $(decoders | wc -l)"
  # Each worker has as many as it has places.
  for pid in $(painters); do equal "$(decoders "$pid" | wc -l)" 2 "the decoders of worker $pid"; done
  "$ROOT/deploy/restart" uploads >"$BATS_TEST_TMPDIR/restart" 2>&1 </dev/null 3>&- &
  restart=$!
  # Longer than a worker waits for anything else.
  sleep 35
  decoders | xargs kill -CONT
  wait "$restart" || wrong "restart: $(<"$BATS_TEST_TMPDIR/restart")"
  wait
  for ((n = 1; n <= places + 2; n++)); do equal "$(<"$BATS_TEST_TMPDIR/code$n")" 200 "the status of upload $n"; done
  equal "$(pending)" 0
}

@test "a store that cannot be written to is 503 and leaves nothing" {
  local before
  before=$(files)
  mv "$CHATTY_HOME/media/thumbnails" "$CHATTY_HOME/media/elsewhere"
  equal "$(upload quick.jpg)" 503
  mv "$CHATTY_HOME/media/elsewhere" "$CHATTY_HOME/media/thumbnails"
  equal "$(pending)" 0
  equal "$(files)" "$before"
  equal "$(upload quick.jpg)" 200
}

@test "chatty media check leaves out what the outbox is to remove, and not what it has given up" {
  local chatty=$ROOT/deploy/chatty key
  bats_require_minimum_version 1.5.0
  # What the other tests have left is not asked about.
  sql 'DELETE FROM posts'
  eventually 30 is_gone files || wrong 'the files of the other tests are still there'
  equal "$(upload quick.jpg)" 200
  key=$(sql 'SELECT image_key FROM posts')
  touch -d '2 hours ago' "$CHATTY_HOME/media/$key" "$CHATTY_HOME/media/thumbnails/$key"
  sv -w 30 down "$CHATTY_HOME/service/worker" >/dev/null
  sql 'DELETE FROM posts'
  run -0 "$chatty" media check
  [[ $output == '2 files, 0 without a post, 0 posts without files.' ]] || wrong "$output"
  sql "UPDATE outbox SET dead_at = now() WHERE kind = 'media'"
  run -1 "$chatty" media check
  [[ $output == *"no post has $key"* && $output == *"no post has thumbnails/$key"* ]] || wrong "$output"
  sql "UPDATE outbox SET dead_at = NULL WHERE kind = 'media'"
  sv -w 30 up "$CHATTY_HOME/service/worker" >/dev/null
  eventually 30 is_gone files || wrong 'the files are still there'
  run -0 "$chatty" media check
}
