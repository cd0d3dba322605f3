#!/usr/bin/env bats
# Posts with an image: what is kept of it, what is served, what is refused, and when it goes.

load support

setup_file() {
  member ada bob
  mkdir "$BATS_FILE_TMPDIR/images"
  cd "$BATS_FILE_TMPDIR/images" || return
  vips gaussnoise noise.v 1200 800 --mean 128 --sigma 30
  vips cast noise.v noise.png uchar
  vips copy noise.png plain.jpg
  vips copy noise.png plain.webp
  vips copy noise.png plain.gif
  # Held sideways: what is shown is 800 wide and 1200 high.
  exiftool -q -Orientation#=6 -GPSLatitude=48.2 -GPSLatitudeRef=N -GPSLongitude=16.4 -GPSLongitudeRef=E -Make=Camera -Comment=Secret \
    -XMP:Creator=Somebody -o photo.jpg plain.jpg
  exiftool -q -XMP:Creator=Somebody -Comment=Secret -o photo.png noise.png
  vips copy photo.jpg photo.webp
  vips gaussnoise tall.v 300 1500 --mean 128 --sigma 30
  vips cast tall.v tall.png uchar
  vips gifsave tall.png moving.gif --page-height 300
  vips webpsave tall.png moving0.webp --page-height 300
  # exiftool writes no WebP: the Exif and XMP of the still one, put into the one that moves.
  python3 - <<'EOF_WEBP'
def chunks(path):
    data, place = open(path, "rb").read(), 12
    while place < len(data):
        size = int.from_bytes(data[place + 4:place + 8], "little")
        yield data[place:place + 4], data[place + 8:place + 8 + size]
        place += 8 + size + size % 2
kept = [chunk for chunk in chunks("moving0.webp") if chunk[0] not in (b"EXIF", b"XMP ", b"ICCP")]
kept += [chunk for chunk in chunks("photo.webp") if chunk[0] in (b"EXIF", b"XMP ")]
kept[0] = (kept[0][0], bytes([kept[0][1][0] & ~0x20 | 0x0c]) + kept[0][1][1:])
body = b"".join(kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2) for kind, data in kept)
open("moving.webp", "wb").write(b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body)
EOF_WEBP
}

setup() {
  cd "$BATS_FILE_TMPDIR/images" || return
}

# upload NAME FILE [CURL ARGUMENT…]: a post with an image.
upload() {
  as "$1" call POST /posts '' --form title=Picture --form content=Painted --form "image=@$2" "${@:3}"
}

# fetch PATH FILE: a file of /media; its headers are in HEADERS.
fetch() {
  [[ $(curl --silent --output "$2" --dump-header "$BATS_TEST_TMPDIR/headers" --write-out '%{http_code}' --max-time 20 "$CHATTY_TEST_URL$1") == 200 ]] ||
    wrong "$1 is not served"
  # shellcheck disable=SC2034 # header reads it
  HEADERS=$(tr -d '\r' <"$BATS_TEST_TMPDIR/headers")
}

# files: every file of the store.
files() { find "$CHATTY_HOME/media" -type f | sort; }

# nothing_left BEFORE: no file, name or room has come of what was refused.
nothing_left() {
  equal "$(files)" "$1" 'the list of files'
  equal "$(sql "SELECT count(*) FROM pending_media")" 0 'the number of pending images'
  equal "$(sql "SELECT count(*) FROM author_stats a WHERE a.media_bytes <> (SELECT coalesce(sum(p.image_bytes), 0) FROM posts p WHERE p.user_id = a.user_id)")" 0
}

@test "an image of each kind is stored and served, with a thumbnail, under a random name, for minutes and for looking at only" {
  local ending path type
  for ending in jpg png gif webp; do
    cp plain."$ending" "mine.$ending" 2>/dev/null || cp noise.png mine.png
    upload ada "mine.$ending"
    expect 200 '.message == "Post created"' ".post | $POST_SHAPE" ".post | .image_filename == \"mine.$ending\" and .title == \"Picture\"" \
      ".post.image_url | test(\"^/media/[0-9a-f]{32}[.]$ending\$\")" '.post | .thumbnail_url == (.image_url | sub("/media/"; "/media/thumbnails/"))'
    type=image/${ending/jpg/jpeg}
    for path in $(field '.post.image_url, .post.thumbnail_url'); do
      fetch "$path" "got.$ending"
      equal "$(header Content-Type)" "$type" Content-Type
      equal "$(header Cache-Control)" 'public, max-age=300' Cache-Control
      equal "$(header X-Content-Type-Options)" nosniff X-Content-Type-Options
      [[ $(header Content-Security-Policy) == *sandbox* && $(header Content-Security-Policy) == *"default-src 'none'"* ]] || wrong 'no sandbox'
      [[ -n $(header X-Request-ID) && -n $(header ETag) ]] || wrong 'a header is missing'
    done
    equal "$(vipsheader -f width "got.$ending")x$(vipsheader -f height "got.$ending")" 400x267 "the thumbnail of a $ending"
    fetch "$(field .post.image_url)" "got.$ending"
    equal "$(vipsheader -f width "got.$ending")x$(vipsheader -f height "got.$ending")" 1200x800 "a $ending"
    get "/posts/$(field .post.id)"
    expect 200 ".image_filename == \"mine.$ending\""
  done
}

@test "an image is turned upright, and nothing is kept of where and by whom it was taken" {
  local file path
  for file in photo.jpg photo.png photo.webp moving.webp; do
    [[ $(exiftool "$file") =~ Somebody ]] || wrong "the test's own $file has lost its metadata"
    upload ada "$file"
    expect 200
    for path in $(field '.post.image_url, .post.thumbnail_url'); do
      fetch "$path" "stripped-$file"
      equal "$(exiftool -G -s "stripped-$file" | grep -iE 'gps|somebody|secret|camera|orientation|^\[(exif|xmp|icc_profile|iptc)\]' || true)" '' "what is left in $file"
    done
  done
  upload ada photo.jpg
  fetch "$(field .post.image_url)" upright.jpg
  equal "$(vipsheader -f width upright.jpg)x$(vipsheader -f height upright.jpg)" 800x1200
  fetch "$(field .post.thumbnail_url)" upright.jpg
  equal "$(vipsheader -f width upright.jpg)x$(vipsheader -f height upright.jpg)" 267x400
}

@test "an animation stays animated" {
  local file
  for file in moving.gif moving.webp; do
    upload ada "$file"
    expect 200
    fetch "$(field .post.image_url)" "still-$file"
    equal "$(vipsheader -f n-pages "still-$file")" 5 "the number of frames of $file"
  done
}

@test "a form without an image is a post like any other" {
  as ada call POST /posts '' --form 'title= No picture ' --form content=Words
  expect 200 '.post | .title == "No picture" and .content == "Words" and .image_url == null and .image_filename == null and .thumbnail_url == null'
  # What a browser sends when no file was chosen.
  printf -- '--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nÜber\r\n--b\r\nContent-Disposition: form-data; name="content"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name="image"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--b--\r\n' >form
  as ada call POST /posts '' --header 'Content-Type: multipart/form-data; boundary=b' --data-binary @form
  expect 200 '.post | .title == "Über" and .image_url == null'
}

@test "of a file's name the last part is kept" {
  upload ada 'noise.png;filename="C:\\pictures\\Ünï côde.png"'
  expect 200 '.post.image_filename == "Ünï côde.png"'
  upload ada 'noise.png;filename=../../etc/passwd'
  expect 200 '.post.image_filename == "passwd"' '.post.image_url | test("^/media/[0-9a-f]{32}[.]png$")'
}

@test "what is wrong with a form and its image is said together, field by field" {
  echo '<svg xmlns="http://www.w3.org/2000/svg"/>' >drawing.png
  as ada call POST /posts '' --form 'title= ' --form image=@drawing.png
  expect_invalid body.title:string_too_short body.content:missing body.image:value_error
  as ada call POST /posts '' --form title=x --form content=y --form image=text
  expect_invalid body.image:value_error
  as ada call POST /posts '' --form title=x --form title=y --form content=z
  expect_invalid body:value_error
  as ada call POST /posts '' --header 'Content-Type: multipart/form-data; boundary=b' --data-binary $'--b\r\nhalf a form'
  expect_invalid body:value_error
  local many=() n
  for n in {1..70}; do many+=(--form "f$n=x"); done
  as ada call POST /posts '' --form title=x --form content=y "${many[@]}"
  expect_invalid body:value_error
}

# peak PID: the most memory that the process has held since it began, or since its peak was forgotten, in KiB.
peak() { awk '$1 == "VmHWM:" { print $2 }' "/proc/$1/status"; }

# forget_peak PID: its peak is what it holds now (proc_pid_clear_refs(5)).
forget_peak() { echo 5 >"/proc/$1/clear_refs"; }

@test "bombs, broken files and what only pretends to be an image are 422, leave no file, and no worker dead or grown" {
  local before workers file pid held=()
  python3 - <<'EOF_BOMB'
import struct, zlib
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
def bomb(path, width, height):
    packer = zlib.compressobj(9)
    row = b"\0" + bytes(width // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
bomb("bomb.png", 30000, 30000)
# It says to be small, and what is in it is not.
png = open("noise.png", "rb").read()
open("liar.png", "wb").write(png[:16] + struct.pack(">II", 6000, 6000) + png[24:29] + struct.pack(">I", zlib.crc32(png[12:16] + struct.pack(">II", 6000, 6000) + png[24:29])) + png[33:])
EOF_BOMB
  head -c 20000 plain.jpg >truncated.jpg
  echo '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>' >drawing.png
  echo '<!doctype html><script>alert(1)</script>' >page.png
  printf 'GIF89a=1;alert(document.domain)//' >code.gif
  printf '' >empty.png
  before=$(files)
  workers=$(pgrep -f "$CHATTY_HOME/bin/chatty-posts" | sort)
  for pid in $workers; do
    forget_peak "$pid"
    held[pid]=$(peak "$pid")
  done
  for file in bomb.png liar.png truncated.jpg drawing.png page.png code.gif empty.png; do
    upload ada "$file"
    expect_invalid body.image:value_error
  done
  nothing_left "$before"
  equal "$(pgrep -f "$CHATTY_HOME/bin/chatty-posts" | sort)" "$workers" 'the list of workers'
  # The smaller of the bombs unpacks to 34 MiB.
  for pid in "${!held[@]}"; do
    (($(peak "$pid") < held[pid] + 16384)) || wrong "worker $pid held ${held[pid]} KiB, then up to $(peak "$pid")"
  done
}

@test "of a file that is an image and something else besides the image alone is kept" {
  local file path
  { cat plain.jpg; echo '<script>alert(1)</script>'; } >script.jpg
  python3 - <<'EOF_ARCHIVE'
import io, zipfile
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as file: file.writestr("run.sh", "<script>id\n")
jpeg, comment = open("plain.jpg", "rb").read(), archive.getvalue()
open("archive.jpg", "wb").write(jpeg[:-2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[-2:])
EOF_ARCHIVE
  { cat plain.gif; echo '/*<?php system("id"); */'; } >code.gif
  exiftool -q -Comment='<?php system("id"); ?>' -o comment.jpg plain.jpg
  exiftool -q -Comment='<?php system("id"); ?>' -o comment.png noise.png
  for file in script.jpg archive.jpg code.gif comment.jpg comment.png; do
    upload ada "$file"
    expect 200
    for path in $(field '.post.image_url, .post.thumbnail_url'); do
      fetch "$path" "kept-$file"
      if grep -aqE '<script>|<\?php|run\.sh' "kept-$file"; then wrong "something else is kept of $file"; fi
    done
  done
}

@test "an image of more than 10 MiB is 413, said or found out, and a file that is not even said to be an image is 415" {
  local before
  before=$(files)
  head -c 10485761 /dev/zero >large.png
  upload ada large.png
  expect_error 413 'Request body too large'
  head -c 20000000 /dev/zero >larger.png
  upload ada larger.png
  expect_error 413 'Request body too large'
  upload ada large.png --header 'Transfer-Encoding: chunked'
  expect_error 413 'Request body too large'
  echo '%PDF-1.7' >letter.pdf
  upload ada 'letter.pdf;type=application/pdf'
  expect_error 415 'Unsupported media type'
  nothing_left "$before"
}

@test "nobody uploads without a token" {
  local before
  before=$(files)
  call POST /posts '' --form title=x --form content=y --form image=@plain.jpg
  expect_unauthenticated
  member gone
  as gone post /auth/logout
  upload gone plain.jpg
  expect_unauthenticated
  nothing_left "$before"
}

gone() {
  local path
  for path; do
    if [[ $(curl --silent --output /dev/null --write-out '%{http_code}' "$CHATTY_TEST_URL$path") != 404 ]]; then return 1; fi
  done
}

eventually() {
  local deadline=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

@test "the files go with their post, by its author, by a moderator and with the account" {
  local paths=() name
  member carl
  appoint bob moderator
  upload carl plain.jpg
  mapfile -t paths < <(field '.post.image_url, .post.thumbnail_url')
  as carl delete "/posts/$(field .post.id)"
  expect 200
  eventually 10 gone "${paths[@]}" || wrong "the files of a post that its author has deleted are still there"
  upload carl plain.jpg
  mapfile -t paths < <(field '.post.image_url, .post.thumbnail_url')
  as bob delete "/admin/posts/$(field .post.id)"
  expect 200
  eventually 10 gone "${paths[@]}" || wrong "the files of a post that a moderator has deleted are still there"
  paths=()
  for name in plain.jpg noise.png; do
    upload carl "$name"
    mapfile -t -O ${#paths[@]} paths < <(field '.post.image_url, .post.thumbnail_url')
  done
  sql "DELETE FROM users WHERE id = $(id_of carl)"
  eventually 10 gone "${paths[@]}" || wrong "the files of an account that is gone are still there"
  equal "$(sql "SELECT count(*) FROM outbox WHERE kind = 'media'")" 0
}

@test "a user's images have so much room and no more, and what goes makes room" {
  local before used
  member dora
  upload dora plain.jpg
  expect 200
  local id
  id=$(field .post.id)
  used=$(sql "SELECT media_bytes FROM author_stats WHERE user_id = $(id_of dora)")
  equal "$used" "$(sql "SELECT image_bytes FROM posts WHERE id = $id")" 'the room that is used'
  equal "$used" "$(find "$CHATTY_HOME/media" -name "$(sql "SELECT image_key FROM posts WHERE id = $id")" -printf '%s\n' | awk '{ sum += $1 } END { print sum }')"
  # As if others took all that there is but a byte less than one more needs.
  sql "UPDATE author_stats SET media_bytes = (1 << 30) - $used + 1 WHERE user_id = $(id_of dora)"
  before=$(files)
  upload dora plain.jpg
  expect_error 413 'Image storage quota exceeded'
  equal "$(files)" "$before" 'the list of files'
  "$BATS_TEST_DIRNAME/../../deploy/chatty" recount
  equal "$(sql "SELECT media_bytes FROM author_stats WHERE user_id = $(id_of dora)")" "$used"
  upload dora plain.jpg
  expect 200
  sql "DELETE FROM posts WHERE user_id = $(id_of dora)"
  equal "$(sql "SELECT media_bytes FROM author_stats WHERE user_id = $(id_of dora)")" 0
}

@test "an upload that is sent again with the same key is one post with one image, whatever the boundary" {
  local key="upload-$RANDOM$RANDOM" first before
  upload ada plain.jpg --header "Idempotency-Key: $key"
  expect 200
  first=$BODY before=$(files)
  upload ada plain.jpg --header "Idempotency-Key: $key"
  expect 200 "$first"
  nothing_left "$before"
  upload ada noise.png --header "Idempotency-Key: $key"
  expect_error 422 'Idempotency-Key was used for another request'
  nothing_left "$before"
}

@test "only images are served from /media, and only to be read" {
  local path
  for path in /media /media/ /media/thumbnails/ /media/x.png /media/../secrets/posts.password /media/%2e%2e/secrets/posts.password; do
    get "$path"
    [[ $CODE == 404 || $CODE == 400 ]] || wrong 'something is served'
  done
  upload ada plain.jpg
  path=$(field .post.image_url)
  call POST "$path" '{}'
  expect 405
  as ada call POST /-/uploads '' --form title=x --form content=y
  expect_error 404 'Not Found'
}

@test "chatty media check finds files without a post and posts without files, and removes the first when told to" {
  local chatty=$BATS_TEST_DIRNAME/../../deploy/chatty orphan odd young id key
  orphan=$(printf '%032d' 7).png odd=notes.txt young=$(printf '%032d' 8).png
  bats_require_minimum_version 1.5.0
  run -0 "$chatty" media check
  touch -d '2 hours ago' "$CHATTY_HOME/media/$orphan" "$CHATTY_HOME/media/thumbnails/$odd"
  touch "$CHATTY_HOME/media/$young"
  upload ada plain.jpg
  id=$(field .post.id) key=$(sql "SELECT image_key FROM posts WHERE id = $(field .post.id)")
  touch -d '2 hours ago' "$CHATTY_HOME/media/$key"
  rm "$CHATTY_HOME/media/thumbnails/$key"
  run -1 "$chatty" media check
  [[ $output == *"no post has $orphan"* && $output == *"no post has thumbnails/$odd"* && $output == *"post $id has no files $key"* ]] || wrong "$output"
  [[ $output != *"$young"* && $output != *"no post has $key"* ]] || wrong "$output"
  run -1 "$chatty" media check --remove
  [[ ! -e $CHATTY_HOME/media/$orphan && ! -e $CHATTY_HOME/media/thumbnails/$odd && -e $CHATTY_HOME/media/$young && -e $CHATTY_HOME/media/$key ]] || wrong "$output"
  as ada delete "/posts/$id"
  rm "$CHATTY_HOME/media/$young"
  eventually 10 test ! -e "$CHATTY_HOME/media/$key"
  run -0 "$chatty" media check
}
