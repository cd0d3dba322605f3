#!/usr/bin/env bats
# The room that a user's images may take, to the byte, and how images are served: to whom, for how long, and what of them.

load support
load stack

QUOTA=$((40 << 20))

setup_file() {
  start_stack CHATTY_MEDIA_QUOTA=40m
  member ada
  mkdir "$BATS_FILE_TMPDIR/images"
  cd "$BATS_FILE_TMPDIR/images" || return
  vips gaussnoise noise.v 300 200 --mean 128 --sigma 30
  vips cast noise.v small.png uchar
  vips gaussnoise noise.v 2600 2600 --mean 128 --sigma 60
  vips cast noise.v large.png uchar
}

teardown_file() {
  stop_stack
}

setup() {
  cd "$BATS_FILE_TMPDIR/images" || return
}

# upload NAME FILE [CURL ARGUMENT…]: a post with an image.
upload() {
  as "$1" call POST /posts '' --form title=Picture --form content=Painted --form "image=@$2" "${@:3}"
}

# quietly_upload NAME FILE OUTPUT: the same beside others; the status goes into a file.
quietly_upload() {
  curl --silent --output "$3.body" --write-out '%{http_code}\n' --max-time 60 --header "Authorization: Bearer $(token_of "$1")" \
    --form title=Picture --form content=Painted --form "image=@$2" "$CHATTY_TEST_URL/posts" >"$3"
}

# files: every file of the store.
files() { find "$CHATTY_HOME/media" -type f | sort; }

# room_of NAME: what the user's images take, in bytes.
room_of() { sql "SELECT media_bytes FROM author_stats WHERE user_id = $(id_of "$1")"; }

# leave_room NAME BYTES: as if other images had taken the rest of the quota.
leave_room() { sql "UPDATE author_stats SET media_bytes = $QUOTA - $2 WHERE user_id = $(id_of "$1")"; }

# new_image NAME: a post with a small image, whose paths are in IMAGE and THUMBNAIL, its name in KEY and its id in POST.
new_image() {
  upload "$1" small.png
  expect 200
  POST=$(field .post.id) IMAGE=$(field .post.image_url) THUMBNAIL=$(field .post.thumbnail_url)
  KEY=${IMAGE##*/}
}

# fetch PATH [CURL ARGUMENT…]: what /media answers; the body is in the file `got`. CODE and HEADERS as from call.
fetch() {
  rm -f "$BATS_TEST_TMPDIR/got" "$BATS_TEST_TMPDIR/headers"
  CODE=$(curl --silent --output "$BATS_TEST_TMPDIR/got" --dump-header "$BATS_TEST_TMPDIR/headers" --write-out '%{http_code}' --max-time 20 \
    "${@:2}" "$CHATTY_TEST_URL$1")
  # shellcheck disable=SC2034 # support.bash reads them
  HEADERS=$(tr -d '\r' <"$BATS_TEST_TMPDIR/headers") BODY='' REQUEST="$1 ${*:2}"
}

# same_file PATH: what was fetched is this file of the store.
same_file() { cmp "$BATS_TEST_TMPDIR/got" "$CHATTY_HOME/media/${1#/media/}" || wrong "not the file $1"; }

# guarded: the headers of every answer under /media.
guarded() {
  equal "$(header X-Content-Type-Options)" nosniff X-Content-Type-Options
  equal "$(header Content-Security-Policy)" "default-src 'none'; sandbox; frame-ancestors 'none'" Content-Security-Policy
  [[ $(header X-Request-ID | wc -l) == 1 && -n $(header X-Request-ID) ]] || wrong 'not one X-Request-ID'
}

# -- Room -------------------------------------------------------------------------------------------------------------

@test "a quota of 40 MiB is full when 40 MiB are, and not before" {
  local count=0 each
  member bea
  while ((count < 50)); do
    upload bea large.png
    [[ $CODE == 200 ]] || break
    count=$((count + 1))
    each=$(sql "SELECT max(image_bytes) FROM posts WHERE user_id = $(id_of bea)")
    equal "$(room_of bea)" $((count * each)) "the room of $count"
  done
  expect_error 413 'Image storage quota exceeded'
  equal "$count" $((QUOTA / each)) 'the number of images that were taken'
  ((count >= 2)) || wrong 'the image of this test is too large'
  equal "$(sql 'SELECT count(*) FROM pending_media')" 0
}

@test "the last byte of the room can be used, and one byte too little refuses an image whose files are made already" {
  local before used
  member cleo
  upload cleo small.png
  expect 200
  used=$(room_of cleo)
  before=$(files)
  leave_room cleo $((used - 1))
  upload cleo small.png
  expect_error 413 'Image storage quota exceeded'
  equal "$(files)" "$before" 'the list of files'
  equal "$(sql 'SELECT count(*) FROM pending_media')" 0
  equal "$(room_of cleo)" $((QUOTA - used + 1))
  leave_room cleo "$used"
  upload cleo small.png
  expect 200
  equal "$(room_of cleo)" "$QUOTA"
  before=$(files)
  upload cleo small.png
  expect_error 413 'Image storage quota exceeded'
  equal "$(files)" "$before" 'the list of files'
}

@test "four at once are taken where there is room for four, and no more where there is room for fewer" {
  local used n before room
  member dan
  upload dan small.png
  expect 200
  used=$(room_of dan)
  for room in 4 3 1; do
    leave_room dan $((room * used))
    before=$(files | wc -l)
    for n in 1 2 3 4; do quietly_upload dan small.png "$BATS_TEST_TMPDIR/code$n" 3>&- & done
    wait
    equal "$(cat "$BATS_TEST_TMPDIR"/code? | sort | uniq -c | xargs)" "$(printf '%s\n' "$room 200" "$((4 - room)) 413" | grep -v '^0' | xargs)" 'the answers'
    equal "$(room_of dan)" "$QUOTA" 'what is taken'
    equal "$(files | wc -l)" $((before + 2 * room)) 'the number of files'
  done
  equal "$(sql 'SELECT count(*) FROM pending_media')" 0
}

@test "an image that is refused for want of room, with an Idempotency-Key, is taken when it is sent again and there is room" {
  local used
  member eva
  upload eva small.png
  used=$(room_of eva)
  leave_room eva $((used - 1))
  upload eva small.png --header 'Idempotency-Key: want-of-room'
  expect_error 413 'Image storage quota exceeded'
  leave_room eva "$used"
  upload eva small.png --header 'Idempotency-Key: want-of-room'
  expect 200 '.post.image_url != null'
  equal "$(room_of eva)" "$QUOTA"
}

@test "a broken image takes no room" {
  local before
  member finn
  before=$(files)
  head -c 20000 large.png >broken.png
  upload finn broken.png
  expect 422
  equal "$(room_of finn)" 0
  equal "$(files)" "$before"
  equal "$(sql 'SELECT count(*) FROM pending_media')" 0
}
