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

# -- Serving ----------------------------------------------------------------------------------------------------------

@test "an image is served whole, with its type and length, for minutes, to people without a token" {
  local path
  new_image ada
  for path in "$IMAGE" "$THUMBNAIL"; do
    fetch "$path"
    expect 200
    same_file "$path"
    guarded
    equal "$(header Content-Type)" image/png Content-Type
    equal "$(header Cache-Control)" 'public, max-age=300' Cache-Control
    equal "$(header Content-Length)" "$(stat -c %s "$CHATTY_HOME/media/${path#/media/}")" Content-Length
    equal "$(header Set-Cookie)$(header X-Accel-Redirect)$(header Vary)" '' 'what should not be there'
    fetch "$path" --header 'Authorization: Bearer nonsense'
    expect 200
  done
}

@test "HEAD, conditions and ranges work on an image" {
  local path tag modified size
  new_image ada
  for path in "$IMAGE" "$THUMBNAIL"; do
    fetch "$path"
    tag=$(header ETag) modified=$(header Last-Modified) size=$(header Content-Length)
    [[ $tag == '"'*'"' ]] || wrong 'no strong entity tag'
    fetch "$path" --head
    expect 200
    guarded
    equal "$(header ETag) $(header Content-Length) $(header Content-Type)" "$tag $size image/png"
    fetch "$path" --header "If-None-Match: $tag"
    expect 304
    guarded
    [[ ! -s $BATS_TEST_TMPDIR/got ]] || wrong 'a body'
    equal "$(header ETag) $(header Cache-Control)" "$tag public, max-age=300"
    fetch "$path" --header 'If-None-Match: "other"'
    expect 200
    fetch "$path" --header "If-Modified-Since: $modified"
    expect 304
    fetch "$path" --range 10-19
    expect 206
    guarded
    equal "$(header Content-Range)" "bytes 10-19/$size"
    cmp "$BATS_TEST_TMPDIR/got" <(tail -c +11 "$CHATTY_HOME/media/${path#/media/}" | head -c 10) || wrong 'not that part'
    fetch "$path" --range 10-19 --header 'If-Range: "other"'
    expect 200
    same_file "$path"
    get "$path" --range 99999999-
    expect_error 416 'Range Not Satisfiable'
    guarded
    get "$path" --header 'If-Match: "other"'
    expect_error 412 'Precondition Failed'
  done
}

@test "an image is only to be read: other methods are 405 with Allow, and what is no image is 404" {
  local path method
  new_image ada
  for path in "$IMAGE" "$THUMBNAIL"; do
    for method in POST PUT PATCH DELETE; do
      call "$method" "$path" '{}'
      expect_error 405 'Method Not Allowed'
      equal "$(header Allow)" 'GET, HEAD' Allow
      guarded
    done
  done
  for path in "/-$IMAGE" "/-$THUMBNAIL" /-/media/ "/media/${KEY^^}" "/media/0$KEY" "/media/${KEY%.png}" "/media/${KEY%.png}.jpg" "/media/thumbnails" \
    "/media/thumbnails/thumbnails/$KEY" "$IMAGE/" "$IMAGE/x" "/media/$(printf '%032d' 0).png"; do
    get "$path"
    expect_error 404 'Not Found'
    head_of "$path"
    expect 404
  done
  # The same address written otherwise.
  for path in "/media/%$(printf '%x' "'${KEY:0:1}")${KEY:1}" "$IMAGE?size=small"; do
    fetch "$path"
    expect 200
    same_file "$IMAGE"
  done
}

@test "the images of a blocked user are 404 at once, for whomever and with whatever tag, and are back when the block ends" {
  local path tag before after
  member gil moe
  appoint moe admin
  new_image gil
  fetch "$IMAGE"
  tag=$(header ETag)
  before=$(files)
  for path in "$IMAGE" "$THUMBNAIL"; do
    as moe post "/admin/users/$(id_of gil)/block" '{}'
    expect 200
    get "$path"
    expect_error 404 'Not Found'
    guarded
    equal "$(header Cache-Control)" no-store Cache-Control
    get "$path" --header "If-None-Match: $tag"
    expect_error 404 'Not Found'
    get "$path" --range 0-9
    expect_error 404 'Not Found'
    head_of "$path"
    expect 404
    as gil get "$path"
    expect_error 404 'Not Found'
    equal "$(files)" "$before" 'the list of files'
    as moe delete "/admin/users/$(id_of gil)/block"
    expect 200
    fetch "$path"
    expect 200
    same_file "$path"
  done
  after=$(header ETag)
  fetch "$IMAGE"
  equal "$(header ETag)" "$tag" 'the tag after the block'
  [[ -n $after ]] || wrong 'no tag'
}

@test "the image of a post that was deleted, by its author, a moderator or with the account, is 404 with the answer, before its files are gone" {
  member hal ida mod
  appoint mod moderator
  # So that it is not the missing file that is noticed.
  sv -w 30 down "$CHATTY_HOME/service/worker" >/dev/null
  new_image hal
  as hal delete "/posts/$POST"
  expect 200
  [[ -e $CHATTY_HOME/media/$KEY ]] || wrong 'the file has gone'
  get "$IMAGE"
  expect_error 404 'Not Found'
  new_image hal
  as mod delete "/admin/posts/$POST"
  expect 200
  get "$THUMBNAIL"
  expect_error 404 'Not Found'
  new_image ida
  as ida delete /auth/me "$(jq -cn --arg password "$PASSWORD" '{current_password: $password}')"
  expect 200
  get "$IMAGE"
  expect_error 404 'Not Found'
  sv -w 30 up "$CHATTY_HOME/service/worker" >/dev/null
}

@test "an image that is being made, or never became a post's, is not served" {
  local key
  key=$(printf '%032d' 42).png
  cp small.png "$CHATTY_HOME/media/$key"
  sql "INSERT INTO pending_media (image_key, user_id, reserved) VALUES ('$key', $(id_of ada), 0)"
  get "/media/$key"
  expect_error 404 'Not Found'
  sql "DELETE FROM pending_media WHERE image_key = '$key'"
  get "/media/$key"
  expect_error 404 'Not Found'
  rm "$CHATTY_HOME/media/$key"
}

# logged: what nginx has logged so far.
logged() { cat "$CHATTY_HOME/log/nginx/current"; }

@test "a file that is not there is 404 and no line at level error, with a row or without" {
  local path
  new_image ada
  rm "$CHATTY_HOME/media/$KEY"
  for path in "$IMAGE" "/media/$(printf '%032d' 1).png" "/media/thumbnails/$(printf '%032d' 2).webp" /media/nothing.png /media/; do
    get "$path" --header 'X-Request-ID: asked-for-nothing'
    expect_error 404 'Not Found'
  done
  eventually 10 eval 'logged | grep -q "\"request_id\":\"asked-for-nothing\".*\"path\":\"/media/\""' || wrong 'no line in the access log'
  equal "$(logged | grep -F '[error]' | grep -F media || true)" '' 'the lines at level error'
  sql "DELETE FROM posts WHERE id = $POST"
}

@test "the access log has an image by the address that was asked for" {
  new_image ada
  fetch "$IMAGE" --header 'X-Request-ID: seen-in-the-log'
  eventually 10 eval "logged | grep -q '\"request_id\":\"seen-in-the-log\",\"pool\":\"posts\".*\"path\":\"$IMAGE\",\"status\":200'" ||
    wrong "logged: $(logged | grep seen-in-the-log)"
}

@test "a link in the folder serves no other file" {
  new_image ada
  mv "$CHATTY_HOME/media/$KEY" "$CHATTY_HOME/media/kept"
  ln -s "$CHATTY_HOME/media/kept" "$CHATTY_HOME/media/$KEY"
  get "$IMAGE"
  expect_error 404 'Not Found'
  ln -sf /etc/passwd "$CHATTY_HOME/media/$KEY"
  get "$IMAGE"
  expect_error 404 'Not Found'
  mv "$CHATTY_HOME/media/thumbnails" "$CHATTY_HOME/media/elsewhere"
  ln -s elsewhere "$CHATTY_HOME/media/thumbnails"
  get "$THUMBNAIL"
  expect_error 404 'Not Found'
  rm "$CHATTY_HOME/media/thumbnails"
  mv "$CHATTY_HOME/media/elsewhere" "$CHATTY_HOME/media/thumbnails"
  mv "$CHATTY_HOME/media/kept" "$CHATTY_HOME/media/$KEY"
  fetch "$IMAGE"
  expect 200
}

@test "an image is looked up by its name: no list of posts is read" {
  local rows
  load plans
  new_image ada
  sql "INSERT INTO posts (user_id, title, content) SELECT $(id_of ada), 'Many', 'more' FROM generate_series(1, 2000)"
  sql 'ANALYZE posts'
  explain_service posts
  rows=$(rows_read 'p.image_key = ' fetch "$IMAGE")
  leave_service posts
  jq -e '[.scans[]] | add <= 3' <<<"$rows" || wrong "read: $rows"
}

is_served() { fetch "$IMAGE" && [[ $CODE == 200 ]]; }

@test "without the post service an image is 503 with Retry-After, and is there again with it" {
  new_image ada
  sv -w 30 down "$CHATTY_HOME/service/posts" >/dev/null
  get "$IMAGE"
  expect_error 503 'Service temporarily unavailable'
  [[ -n $(header Retry-After) ]] || wrong 'no Retry-After'
  guarded
  head_of "$THUMBNAIL"
  expect 503
  sv -w 30 up "$CHATTY_HOME/service/posts" >/dev/null
  eventually 20 is_served || wrong 'it is not there again'
}

@test "without the database an image is 503 with Retry-After, and is there again with it" {
  new_image ada
  sv -w 30 down "$CHATTY_HOME/service/postgres" >/dev/null
  get "$IMAGE"
  expect_error 503 'Service temporarily unavailable'
  [[ -n $(header Retry-After) ]] || wrong 'no Retry-After'
  sv -w 30 up "$CHATTY_HOME/service/postgres" >/dev/null
  eventually 20 is_served || wrong 'it is not there again'
}
