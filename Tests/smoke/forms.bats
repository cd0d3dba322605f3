#!/usr/bin/env bats
# Forms (multipart/form-data) as the libraries of real clients lay them out, byte by byte: each is written here as it goes over the wire.

load support

setup_file() {
  member ada
  # Two by two pixels.
  python3 - "$BATS_FILE_TMPDIR/x.png" <<'EOF_PNG'
import struct, sys, zlib
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"".join(b"\0" + bytes([row * 90 + column * 30 + band for column in range(2) for band in range(3)]) for row in range(2))
open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", 2, 2, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
EOF_PNG
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  PNG=$BATS_FILE_TMPDIR/x.png
  : >form
}

# -- Writing a form ---------------------------------------------------------------------------------------------------

# bytes TEXT: puts this, with printf's escapes, at the end of the form.
bytes() { printf '%b' "$1" >>form; }

# text BOUNDARY NAME TEXT: a part as most clients write it.
text() { bytes "--$1\r\nContent-Disposition: form-data; name=\"$2\"\r\n\r\n$3\r\n"; }

# texts BOUNDARY: a title and a content.
texts() {
  text "$1" title 'A title'
  text "$1" content 'Some content'
}

# picture BOUNDARY [PARAMETERS [HEADERS]]: a part with the picture; PARAMETERS of its Content-Disposition after the name.
picture() {
  bytes "--$1\r\nContent-Disposition: form-data; name=\"image\"${2-; filename=\"x.png\"}\r\n${3-Content-Type: image/png\r\n}\r\n"
  cat "$PNG" >>form
  bytes '\r\n'
}

# submit CONTENT_TYPE [PATH [METHOD]]: sends the form as ada, in a request that is written to the socket as it is here.
submit() {
  local host=${CHATTY_TEST_URL#http://}
  printf '%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n' \
    "${3-POST}" "${2-/posts}" "$host" "$(token_of ada)" "$1" "$(stat --format=%s form)" >request
  cat form >>request
  exec 9<>"/dev/tcp/${host%:*}/${host##*:}"
  cat request >&9
  timeout 20 cat <&9 | tr -d '\r' >answer
  exec 9>&-
  # shellcheck disable=SC2034 # support.bash reads them
  REQUEST="$1: $(head -c 2000 form | cat -v)"
  # shellcheck disable=SC2034
  CODE=$(awk 'NR == 1 { print $2 }' answer) HEADERS=$(sed '/^$/q' answer) BODY=$(sed '1,/^$/d' answer)
  : >form
}

# expect_post [FILTER…]: the post with the picture is there, and these hold of it.
expect_post() {
  expect 200 '.message == "Post created"' '.post | .title == "A title" and .content == "Some content" and .image_url != null'
  local filter
  for filter; do expect 200 ".post | $filter"; done
}

# -- What is around the parts ------------------------------------------------------------------------------------------

@test "axios and ruby-multipart-post: one more line break after the last boundary" {
  local end
  for end in '\r\n\r\n' '\r\n\r\n\r\n' '\n' '\r\n' '' ' \t' '\r\nThis is the epilogue.\r\n' '\r\n--b\r\nContent-Disposition: none\r\n'; do
    texts axios-1.7.7-boundary-aBc
    picture axios-1.7.7-boundary-aBc
    bytes "--axios-1.7.7-boundary-aBc--$end"
    submit 'multipart/form-data; boundary=axios-1.7.7-boundary-aBc'
    expect_post '.image_filename == "x.png"'
  done
}

@test "lines before the first boundary are passed over" {
  local start
  for start in '\r\n' '\r\n\r\n' 'This is a multi-part message in MIME format.\r\n' 'x\r\n\r\n--c\r\n-\r\n'; do
    bytes "$start"
    texts ---------------------------14737809831466499882746641449
    picture ---------------------------14737809831466499882746641449
    bytes '-----------------------------14737809831466499882746641449--\r\n'
    submit 'multipart/form-data; boundary=---------------------------14737809831466499882746641449'
    expect_post
  done
}

@test "long lines around the parts take no more memory than the request has" {
  letters 3000000 '-' >form
  bytes '\r\n'
  texts b
  picture b
  bytes '--b--\r\n'
  letters 3000000 '-' >>form
  submit 'multipart/form-data; boundary=b'
  expect_post
}

@test "App Engine and Go: a part without content, whose boundary follows its headers at once" {
  bytes '--b\r\nContent-Disposition: form-data; name=empty\r\n\r\n'
  texts b
  picture b
  bytes '--b--'
  submit 'multipart/form-data; boundary=b'
  expect_post
}

@test "the boundaries of clients on Android and others: stars, dollars, whatever can be seen" {
  local boundary
  # shellcheck disable=SC2016 # dollars that are meant
  for boundary in '*****' '*' '9704338192090380615194531385$' '$$$' '+++' '===1700000000===' '####' '||' 'a!b%c&d^e~f`g{h}i[j]k<l>m@n' "dart-'()_,-./:?"; do
    texts "$boundary"
    picture "$boundary"
    bytes "--$boundary--\r\n"
    submit "multipart/form-data;boundary=$boundary"
    expect_post
  done
  texts 'a b;c'
  picture 'a b;c'
  bytes '--a b;c--'
  submit 'multipart/form-data; boundary="a b;c"'
  expect_post
}

@test "a semicolon at the end of a header, blanks around an equals sign, and the comma of RFC 1867" {
  local type
  for type in 'multipart/form-data; boundary=b;' 'multipart/form-data; boundary="b" ; ' 'multipart/form-data;; charset=utf-8; boundary=b;' \
    'Multipart/Form-Data; Boundary = b' 'multipart/form-data, boundary=b'; do
    bytes '--b\r\nContent-Disposition: form-data; name="title";\r\nContent-Type: text/plain;\r\n\r\nA title\r\n'
    bytes '--b\r\nContent-Disposition: form-data; name = content ; \r\nContent-Type: text/plain; charset=utf-8;\r\nContent-Transfer-Encoding: 8bit;\r\n\r\nSome content\r\n'
    picture b '; filename="x.png";' 'Content-Type: image/png;\r\n'
    bytes '--b--\r\n'
    submit "$type"
    expect_post '.image_filename == "x.png"'
  done
}

# -- Parts ------------------------------------------------------------------------------------------------------------

@test "an empty Content-Type, none, and one in the case of shouting" {
  local type
  for type in 'Content-Type:\r\n' 'Content-Type: \r\n' '' 'CONTENT-TYPE: IMAGE/PNG\r\nContent-Length: 70\r\n' 'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n'; do
    bytes "--b\r\nContent-Disposition: form-data; name=\"title\"\r\nContent-Type: \r\n\r\nA title\r\n"
    text b content 'Some content'
    picture b '; filename="x.png"' "$type"
    bytes '--b--\r\n'
    submit 'multipart/form-data; boundary=b'
    expect_post
  done
}

@test "Apache HttpClient: texts in ISO-8859-1, in US-ASCII, and utf8 for UTF-8" {
  local charset
  for charset in ISO-8859-1 'iso-8859-1;' '"latin1"' windows-1252; do
    bytes "--b\r\nContent-Disposition: form-data; name=\"title\"\r\nContent-Type: text/plain; charset=$charset\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xdcber \xe9\r\n"
    text b content 'Sôme'
    picture b '; filename="\xfc.png"'
    bytes '--b--\r\n'
    submit 'multipart/form-data; boundary=b'
    expect 200 '.post | .title == "Über é" and .content == "Sôme" and .image_filename == "ü.png"'
  done
  for charset in utf8 UTF-8 '"Utf8"' US-ASCII ''; do
    bytes "--b\r\nContent-Disposition: form-data; name=\"title\"\r\nContent-Type: text/plain; charset=$charset\r\n\r\nÜber\r\n"
    text b content x
    bytes '--b--\r\n'
    submit 'multipart/form-data; boundary=b'
    expect 200 '.post.title == "Über"'
  done
}

@test "_charset_ says how the texts of a form are written that do not say it" {
  text b _charset_ ISO-8859-1
  text b title '\xdcber'
  bytes '--b\r\nContent-Disposition: form-data; name="content"\r\nContent-Type: text/plain; charset=utf8\r\n\r\nÜber\r\n--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect 200 '.post | .title == "Über" and .content == "Über"'
  text b _charset_ utf8
  text b title 'Über'
  text b content 'Über'
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect 200 '.post.title == "Über"'
}

@test "a text of another encoding, or not in its own, is told with its field" {
  text b title '\xff\xfe'
  bytes '--b\r\nContent-Disposition: form-data; name="content"\r\nContent-Type: text/plain; charset=utf-16\r\n\r\nx\r\n--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_invalid body.title:value_error body.content:value_error
  text b title '\xe9'
  bytes '--b\r\nContent-Disposition: form-data; name="content"\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\xe9\r\n--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_invalid body.title:value_error body.content:value_error
}

@test "clients that were made for mail: folded headers, base64, quoted-printable" {
  bytes '--b\r\nContent-Type: text/plain;\r\n charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: form-data;\r\n\tname="title"\r\n\r\nw5xiZXI=\r\n'
  bytes '--b\r\nContent-Disposition: form-data; name="content"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nS=C3=B4m=\r\ne\r\n'
  bytes '--b\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
  base64 "$PNG" | sed 's/$/\r/' >>form
  bytes '\r\n--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect 200 '.post | .title == "Über" and .content == "Sôme" and .image_filename == "x.png" and .image_url != null'
}

# -- Names of files ---------------------------------------------------------------------------------------------------

# named PARAMETERS NAME: of a picture with these parameters, this is the name.
named() {
  texts b
  picture b "; $1"
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_post
  equal "$(field .post.image_filename)" "$2" "the name from $1"
}

@test "Guzzle and old Firefox: quotation marks in a file's name" {
  named 'filename="a"b.png"' 'a"b.png'
  named 'filename="say "hi""' 'say "hi"'
  named 'filename=""x" and "y".png"' '"x" and "y".png'
  named 'filename="a";b.png"' 'a";b.png'
  named 'filename="a\\"b.png"' 'a"b.png'
  named 'filename="a%22b.png"' 'a"b.png'
}

@test ".NET and Spring: filename* wins, and an encoded-word counts where there is nothing better" {
  named 'filename="=?utf-8?B?w7xiZXIucG5n?="; filename*=utf-8'"''"'%C3%BCber.png' über.png
  named 'filename="plain.png"; filename*=UTF-8'"''"'%e2%82%ac%20rates.png' '€ rates.png'
  named 'filename*=UTF-8'"'en'"'other.png; filename="plain.png"' other.png
  named 'filename*=iso-8859-1'"''"'%FC.png' ü.png
  named 'filename="plain.png"; filename*=UTF-8'"''"'%FF' plain.png
  named 'filename*0*=UTF-8'"''"'%C3%BC; filename*1=".png"' ü.png
  named 'filename="=?utf-8?B?w7xiZXIucG5n?="' über.png
  named 'filename="=?UTF-8?Q?=C3=BC_ber.png?="' 'ü ber.png'
  named 'filename="=?x?="' '=?x?='
}

@test "a file's name is shown without what would change how it reads, and is no path" {
  named 'filename="photo\xe2\x80\xaegnp.exe"' photognp.exe
  named 'filename*=UTF-8'"''"'a%E2%80%AE%E2%81%A6%00%0D%0A%1B%7F%C2%85b.png' ab.png
  named 'filename="=?utf-8?B?4oCuYS9iLnBuZw==?="' b.png
  named 'filename="\xef\xbb\xbf\xe2\x80\x8bx.png"' x.png
  named 'filename="../../x.png"' x.png
  named 'filename="C:\\\\dir\\\\x.png"' x.png
  named 'filename="\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7.png"' $'\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7.png'
  # Nothing is left of these.
  named 'filename=".."' image.png
  named 'filename="../.."' image.png
  named 'filename="\xe2\x80\xae"' image.png
  named 'filename=" . "' image.png
}

# -- Fields -----------------------------------------------------------------------------------------------------------

@test "a field that nobody knows is ignored, however often it comes and whatever is in it" {
  text b 'tags[]' a
  texts b
  text b 'tags[]' b
  text b bytes '\xff\xfe\x00'
  text b '\xfc\xff' x
  bytes '--b\r\nContent-Disposition: form-data; name="more"; filename="a"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name="more"; filename="b"\r\n\r\n2\r\n'
  bytes '--b\r\nContent-Disposition: form-data; name="odd"\r\nContent-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: x\r\n\r\n\xff\r\n'
  picture b
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_post
}

@test "a field that is known comes once, as a text or as a file" {
  texts b
  text b title 'Another title'
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_invalid body:value_error
  texts b
  picture b
  picture b
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_invalid body:value_error
  # An input element without a file, and a script's way to say that there is none.
  texts b
  bytes '--b\r\nContent-Disposition: form-data; name="image"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n'
  picture b
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_post
  texts b
  text b image ''
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect 200 '.post.image_url == null'
}

@test "CR LF and CR are LF before a text is counted, alike as JSON and as a form" {
  local lines
  lines=$(awk 'BEGIN { for (n = 0; n < 6666; n++) printf "x\\r\\n" }')
  text b title x
  text b content "${lines}xxxxxx$(letters 6662)"
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect 200 '.post.content | length == 20000 and (test("\r") | not) and startswith("x\nx\n")'
  local kept
  kept=$(field .post.content)
  printf '{"title": "x", "content": "%s"}' "${lines}xxxxxx$(letters 6662)" >form
  submit application/json
  expect 200
  equal "$(field .post.content)" "$kept" 'the content from JSON'
  local post
  post=$(field .post.id)
  text b title x
  text b content "${lines}xxxxxx$(letters 6663)"
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_invalid body.content:string_too_long
  printf '{"content": "a\\rb\\r\\r\\nc\\r\\n"}' >form
  submit application/json "/posts/$post" PATCH
  expect 200 '.post.content == "a\nb\n\nc"'
  printf '{"content": "\\r\\na\\r\\nb"}' >form
  submit application/json "/posts/$post/comments"
  expect 200 '.comment.content == "a\nb"'
  printf '{"content": "%s"}' "$(awk 'BEGIN { for (n = 0; n < 2000; n++) printf "x\\r\\n" }')" >form
  submit application/json "/posts/$post/comments"
  expect 200
  printf '{"reason": "a\\r\\nb"}' >form
  submit application/json "/posts/$post/reports"
  expect 200
  equal "$(sql "SELECT reason FROM reports WHERE post_id = $post")" $'a\nb' 'the reason'
}

# -- Errors -----------------------------------------------------------------------------------------------------------

# expect_short: no error repeats more than 200 bytes of the input, and the answer is short.
expect_short() {
  expect 422 '.detail | all(.[]; .input | if type == "string" then utf8bytelength <= 200 else tojson | utf8bytelength <= 200 end)'
  ((${#BODY} < 3000)) || wrong 'a long answer'
}

@test "an error repeats 200 bytes of the input, and tells how many there were" {
  letters 9437184 x >long
  bytes '--b\r\nContent-Disposition: form-data; name="content"\r\n\r\n'
  cat long >>form
  bytes '\r\n--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_invalid body.title:missing body.content:string_too_long
  expect_short
  expect 422 '.detail | map(select(.loc[1] == "content"))[0] | .input == "x" * 200 and .input_length == 9437184' \
    '.detail | map(select(.loc[1] == "title"))[0].input_length > 9437184'
  # Between characters.
  printf '{"title": "x%s", "content": "x"}' "$(letters 300 €)" >form
  submit application/json
  expect_short
  expect 422 '.detail[0] | .input == "x" + "€" * 66 and .input_length == 901'
  # Objects, arrays, and what a field is missing from.
  printf '{"title": {"%s": 1}, "content": ["%s"]}' "$(letters 5000)" "$(letters 5000)" >form
  submit application/json
  expect_short
  expect 422 '.detail[1].input_length == 5004'
  printf '{"id": "%s"}' "$(letters 5000)" >form
  submit application/json
  expect_short
  expect 422 '.detail | length == 2 and all(.[]; .type == "missing" and .input_length > 5000)'
  printf '["%s"]' "$(letters 5000)" >form
  submit application/json
  expect_short
  # Names of files, paths, queries.
  texts b
  bytes "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"$(letters 3000)\"\r\n\r\nno picture\r\n--b--\r\n"
  submit 'multipart/form-data; boundary=b'
  expect_short
  get "/posts/$(letters 3000)"
  expect_short
  expect 422 '.detail[0].input_length == 3000'
  get "/posts?limit=$(letters 2000)&cursor=$(letters 2000)&user_id=$(letters 2000 9)"
  expect_short
  expect 422 '.detail | length == 3'
  # What is short is repeated as it is.
  printf '{"title": 7, "content": ["x"]}' >form
  submit application/json
  expect 422 '.detail | map(has("input_length")) == [false, false] and map(.input) == [7, ["x"]]'
}

@test "no message repeats what a form's headers say" {
  local headers
  for headers in "Content-Disposition: form-data; name=\"title\"\r\nContent-Transfer-Encoding: $(letters 3000)" \
    "Content-Disposition: form-data; name=\"title\"\r\nContent-Type: text/plain; charset=$(letters 3000)" \
    "Content-Disposition: $(letters 3000); name=\"title\"" "$(letters 3000): x"; do
    text b content x
    bytes "--b\r\n$headers\r\n\r\nx\r\n--b--\r\n"
    submit 'multipart/form-data; boundary=b'
    expect_short
  done
}

@test "a form is bounded as ever: its parts, their headers, its end" {
  texts b
  for _ in {1..63}; do text b x x; done
  bytes '--b--\r\n'
  submit 'multipart/form-data; boundary=b'
  expect_invalid body:value_error
  bytes "--b\r\nContent-Disposition: form-data; name=\"title\"\r\nX: $(letters 4096)\r\n\r\nx\r\n--b--\r\n"
  submit 'multipart/form-data; boundary=b'
  expect_invalid body:value_error
  local body
  for body in '' 'no boundary at all' '--b' '--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nx' '--b\r\n\r\nx\r\n--b--' '--bb--\r\n' '\r\n--b-\r\n'; do
    bytes "$body"
    submit 'multipart/form-data; boundary=b'
    expect_invalid body:value_error
  done
  texts b
  bytes '--b--'
  submit 'multipart/form-data'
  expect_error 415 'Unsupported media type'
  texts b
  submit "multipart/form-data; boundary=$(letters 71)"
  expect_error 415 'Unsupported media type'
}
