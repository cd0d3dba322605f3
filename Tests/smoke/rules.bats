#!/usr/bin/env bats
# Rules that hold for every route: methods and addresses, what caches are told, dead tokens, what a body may be, what a text has to show.

load support

setup_file() {
  member ada bob
}

setup() {
  new_post ada
  POST=$NEW_POST
}

# bodyless METHOD PATH [CURL ARGUMENT…]: CODE and HEADERS of an answer without a body.
bodyless() {
  local answer=$BATS_TEST_TMPDIR/bodyless
  CODE=$(curl --silent --path-as-is --output "$answer" --dump-header "$answer.headers" --write-out '%{http_code}' --max-time 20 --request "$1" "${@:3}" "$CHATTY_TEST_URL$2")
  # shellcheck disable=SC2034 # expect and header read them
  HEADERS=$(tr -d '\r' <"$answer.headers") BODY='' REQUEST="$1 $2"
  [[ ! -s $answer ]] || wrong 'a body'
}

# -- Methods and addresses --------------------------------------------------------------------------------------------

@test "OPTIONS of a known path is 204 and says which methods there are, of an unknown one 404" {
  local path allow
  while read -r path allow; do
    bodyless OPTIONS "$path"
    expect 204
    equal "$(header Allow | tr -d ' ')" "$allow" "Allow of $path"
    [[ -z $(header Content-Length) && -n $(header X-Request-ID) ]] || wrong 'the headers of a 204'
  done <<EOF_ROUTES
/posts GET,HEAD,POST
/posts/$POST GET,HEAD,PATCH,DELETE
/posts/$POST/likes POST,GET,HEAD,DELETE
/auth/login POST
/auth/me GET,HEAD,PATCH,DELETE
/feed GET,HEAD
/subscribe/1 POST
/admin/stats GET,HEAD
/recommendations GET,HEAD
EOF_ROUTES
  call OPTIONS /nowhere
  expect_error 404 'Not Found'
  call OPTIONS /posts/1/nowhere
  expect_error 404 'Not Found'
}

@test "a path with a slash too much is sent to the one without, with its query, whatever the method" {
  local path location method
  while read -r method path location; do
    as ada call "$method" "$path"
    if [[ $method == HEAD ]]; then expect 308; else expect_error 308 'Permanent Redirect'; fi
    equal "$(header Location)" "$location" "Location of $path"
  done <<EOF_ROUTES
GET /posts/ /posts
GET /posts/?limit=2&user_id=1 /posts?limit=2&user_id=1
HEAD /posts/$POST/ /posts/$POST
PATCH /posts/$POST/ /posts/$POST
POST /posts/ /posts
DELETE /posts/$POST/likes/ /posts/$POST/likes
POST /auth/login/ /auth/login
GET /feed/ /feed
GET /recommendations/?limit=1 /recommendations?limit=1
GET /admin/stats/ /admin/stats
GET /p%6Fsts/ /p%6Fsts
EOF_ROUTES
  for path in /posts// //posts/ /nowhere/ //example.org/ /posts/1/nowhere/ /subscribe/; do
    get "$path"
    expect_error 404 'Not Found'
  done
  curl --silent --location --max-time 20 --header "Authorization: Bearer $(token_of ada)" --json '{"title": "By a detour", "content": "x"}' \
    "$CHATTY_TEST_URL/posts/" | jq -e '.message == "Post created"'
}

@test "an id is a positive number in plain decimal, in a path and in a query" {
  local id
  for id in +1 01 00 001 %2B1 %31%20 1.0 1e3 0x1 -1 0 -0 9223372036854775808 99999999999999999999 ' 1' 1_000; do
    get "/posts/${id// /%20}"
    expect 422 '.detail[0].loc == ["path", "post_id"]'
    get "/posts?user_id=${id// /%20}"
    expect 422 '.detail[0].loc == ["query", "user_id"]'
    as ada post "/posts/${id// /%20}/likes"
    expect 422
    as ada post "/subscribe/${id// /%20}"
    expect 422
  done
  get /posts/%31
  [[ $CODE == 200 || $CODE == 404 ]] || wrong 'an id in percent-encoding is the same id'
}

# A combining mark that stands on an angle bracket is one character with it to people, and to a parser nothing but itself.
@test "the address in Link ends where its bracket ends, whatever is in the query" {
  local link
  new_post ada
  for query in 'a=<b>' 'a="b"' 'a=<%CC%81>' $'a=<\u0301>\u0301"\u0301' $'a=\u00e9'; do
    get "/posts?$query&limit=1"
    expect 200
    link=$(header Link)
    [[ $link =~ ^\<[!-~]+\>\;\ rel=\"next\"$ ]] || wrong "Link: $link"
    [[ $(tr -cd '<>' <<<"$link") == '<>' && $(tr -cd '"' <<<"$link") == '""' ]] || wrong "Link: $link"
  done
}

# -- Caches -----------------------------------------------------------------------------------------------------------

@test "what a caller alone may see is kept by nobody" {
  local path
  for path in /auth/me /auth/sessions /feed /recommendations; do
    as ada get "$path"
    expect 200
    equal "$(header Cache-Control)" no-store "Cache-Control of $path"
    equal "$(header Vary)" Authorization "Vary of $path"
    get "$path"
    expect 401
    equal "$(header Cache-Control)" no-store "Cache-Control of $path"
  done
  post /auth/login "$(credentials ada)"
  expect 200
  equal "$(header Cache-Control)" no-store
  post /auth/refresh "$(jq -c '{refresh_token}' <<<"$BODY")"
  expect 200
  equal "$(header Cache-Control)" no-store
  as ada post /posts '{"title": "x", "content": "y"}'
  equal "$(header Cache-Control)" no-store
}

@test "what a token adds something to is the reader's own, and asked for by its tag" {
  local path tag
  for path in /posts '/posts?limit=1' "/posts?user_id=$(id_of ada)" "/posts/$POST"; do
    get "$path"
    expect 200
    equal "$(header Cache-Control)" 'private, no-cache' "Cache-Control of $path"
    equal "$(header Vary)" Authorization "Vary of $path"
    tag=$(header ETag)
    [[ $tag =~ ^\"[^\"]+\"$ ]] || wrong 'no strong tag'
    bodyless GET "$path" --header "If-None-Match: $tag"
    expect 304
    equal "$(header Cache-Control), $(header Vary), $(header ETag)" "private, no-cache, Authorization, $tag"
  done
  as bob post "/posts/$POST/likes"
  get "/posts?limit=1" --header "If-None-Match: $tag"
  expect 200
  tag=$(header ETag)
  as bob get '/posts?limit=1' --header "If-None-Match: $tag"
  expect 200 '.[0].liked_by_me'
  get /posts/9223372036854775807
  expect 404
  equal "$(header Cache-Control)" 'private, no-cache'
}

# -- Tokens -----------------------------------------------------------------------------------------------------------

@test "a reader whose token is dead is told so, and not answered as if they were in or somebody else" {
  local how path
  for how in ended blocked deleted; do
    member "dead$how"
    as "dead$how" post "/posts/$POST/likes"
    as "dead$how" get "/posts/$POST"
    expect 200 .liked_by_me
  done
  as deadended post /auth/logout
  expect 200
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of deadblocked)"
  as deaddeleted delete /auth/me "{\"current_password\": \"$PASSWORD\"}"
  expect 200
  for how in ended blocked deleted; do
    for path in "/posts/$POST" /posts '/posts?limit=1' "/posts?user_id=$(id_of ada)" /posts/9223372036854775807; do
      as "dead$how" get "$path"
      expect_unauthenticated
    done
  done
  for how in nonsense "$(token_of ada | sed 's/.$//')" "$(token_of ada)x"; do
    bearing "$how" get "/posts/$POST"
    expect_unauthenticated
  done
  get "/posts/$POST"
  expect 200 '.liked_by_me == false'
}

# -- Bodies -----------------------------------------------------------------------------------------------------------

@test "a body that is compressed is 415, and told what would be right" {
  local coding
  printf '{"title": "x", "content": "y"}' | gzip >"$BATS_TEST_TMPDIR/body.gz"
  for coding in gzip deflate br 'gzip, gzip' x-gzip; do
    as ada call POST /posts '' --header 'Content-Type: application/json' --header "Content-Encoding: $coding" --data-binary "@$BATS_TEST_TMPDIR/body.gz"
    expect_error 415 'Content-Encoding is not supported: send the body as it is'
    equal "$(header Accept-Encoding)" identity
  done
  as ada call POST /posts '' --header "Content-Encoding: gzip" --form title=x --form content=y
  expect 415
  post /auth/login "$(credentials ada)" --header 'Content-Encoding: gzip'
  expect 415
  as ada post /posts '{"title": "x", "content": "y"}' --header 'Content-Encoding: identity'
  expect 200
}

@test "a byte order mark before JSON and a tab in its media type are taken" {
  local type
  printf '\xef\xbb\xbf{"title": "marked", "content": "y"}' >"$BATS_TEST_TMPDIR/marked.json"
  as ada call POST /posts '' --header 'Content-Type: application/json' --data-binary "@$BATS_TEST_TMPDIR/marked.json"
  expect 200 '.post.title == "marked"'
  for type in $'application/json\t; charset=utf-8' $'application/json \t ;charset=utf-8' $'application/json;\tcharset=utf-8' 'Application/JSON ; x=y'; do
    as ada call POST /posts '' --header "Content-Type: $type" --data-binary '{"title": "x", "content": "y"}'
    expect 200
  done
  # Once, and at the beginning.
  printf '\xef\xbb\xbf\xef\xbb\xbf{"title": "x", "content": "y"}' >"$BATS_TEST_TMPDIR/marked.json"
  as ada call POST /posts '' --header 'Content-Type: application/json' --data-binary "@$BATS_TEST_TMPDIR/marked.json"
  expect 422 '.detail[0].type == "json_invalid"'
}

@test "JSON that is right but beyond our bounds is told which one, and what is no JSON that it is none" {
  local body
  body="{\"title\": \"x\", \"content\": \"y\", \"z\": $(letters 40 '[')$(letters 40 ']')}"
  as ada post /posts "$body"
  expect 422 '.detail[0].type == "value_error" and (.detail[0].msg | test("nested"))'
  body="{\"title\": \"x\", \"content\": \"y\", \"z\": [$(letters 1200 '1,')1]}"
  as ada post /posts "$body"
  expect 422 '.detail[0].type == "value_error" and (.detail[0].msg | test("1000 values"))'
  as ada post /posts '{"title": "x", "content": "y", "z": 1e999}'
  expect 422 '.detail[0].type == "value_error" and (.detail[0].msg | test("double"))'
  for body in '{"title": "x",}' '{' '[1, 2' '{"title": "x" "content": "y"}' 'nonsense'; do
    as ada post /posts "$body"
    expect 422 '.detail[0].type == "json_invalid" and .detail[0].msg == "JSON decode error"'
  done
}

# -- Pages ------------------------------------------------------------------------------------------------------------

@test "a page is no longer than 256 kB, has one row at least, and the next one goes on" {
  local n content ids
  member writer
  content=$(letters 20000 ä)
  for n in $(seq 12); do new_post writer "Long $n" "$content"; done
  get "/posts?user_id=$(id_of writer)&limit=100"
  expect 200 'length >= 1 and length < 12'
  ((${#BODY} > 100000)) || wrong 'a page that is too short'
  equal "$(printf '%s' "$BODY" | wc -c | awk '{ print ($1 <= 256000) }')" 1 'within 256 kB'
  ids=$(walk "/posts?user_id=$(id_of writer)&limit=100" '.[].id')
  equal "$(sort -rn <<<"$ids" | uniq | wc -l) $(sort -rn <<<"$ids" | cmp - <(printf '%s\n' "$ids") && echo in order)" '12 in order'
  # In a feed too.
  as bob post "/subscribe/$(id_of writer)"
  as bob get '/feed?limit=100'
  expect 200 '.posts | length >= 1 and length < 12'
  equal "$(printf '%s' "$BODY" | wc -c | awk '{ print ($1 <= 256000) }')" 1 'within 256 kB'
  equal "$(walk '/feed?limit=100' '.posts[].id' bob | sort -u | wc -l)" 12
}

# -- Texts ------------------------------------------------------------------------------------------------------------

@test "a text that shows nothing is blank, in every field" {
  local text
  # Zero-width space, joiner and no-break space, word joiner, soft hyphen, a mark without a letter, a variation selector, a Hangul filler, the
  # braille pattern of no dots, a tag character, controls, an enclosing mark, directions, a line separator.
  for text in '\u200b' '\u200b\u200d\ufeff' '\u2060' '\u00ad' '\u0301' '\u0301\u0302 \u0300' '\ufe0f' '\u3164' '\u115f\u1160' '\uffa0' '\u2800' \
    '\udb40\udc41' '\u0001\u0007' '\u001b' '\u20dd' '\u202e\u2066' '\u2028' '\u0085' '\u180e' '\u034f' ' \u200b\t\u00a0 ' '\ufff9' '\u007f'; do
    as ada post /posts "{\"title\": \"$text\", \"content\": \"$text\"}"
    expect_invalid body.title:string_too_short body.content:string_too_short
    as ada patch "/posts/$POST" "{\"title\": \"$text\"}"
    expect_invalid body.title:string_too_short
    as ada post "/posts/$POST/comments" "{\"content\": \"$text\"}"
    expect_invalid body.content:string_too_short
    as bob post "/posts/$POST/reports" "{\"reason\": \"$text\"}"
    expect_invalid body.reason:string_too_short
  done
  # What shows something stays as it is.
  for text in 'e\u0301' '\u2764\ufe0f' '\ud83d\udc69\u200d\ud83d\udcbb' '\u0639\u0631\u0628\u064a' '\ud55c' '1\ufe0f\u20e3' '\ud83c\udde9\ud83c\uddea' '.' '\u2026'; do
    as ada post /posts "{\"title\": \"$text\", \"content\": \"$text\"}"
    expect 200 ".post.title == \"$text\" and .post.content == \"$text\""
  done
}

@test "a title is one line without controls; a content may have lines" {
  local text
  for text in 'a\nb' 'a\rb' 'a\r\nb' 'a\u001b[31mb' 'a\tb' 'a\u0000b' 'a\u0008b' 'a\u0085b' 'a\u2028b' 'a\u2029b' 'a\u009bb' 'a\u007fb' 'a\u000bb'; do
    as ada post /posts "{\"title\": \"$text\", \"content\": \"y\"}"
    expect_invalid body.title:value_error
    as ada patch "/posts/$POST" "{\"title\": \"$text\"}"
    expect_invalid body.title:value_error
  done
  as ada post /posts '{"title": " \n in the middle\n", "content": "one\ntwo\n\tthree"}'
  expect 200 '.post.title == "in the middle" and .post.content == "one\ntwo\n\tthree"'
  as ada call POST /posts '' --form "title=a"$'\n'"b" --form content=y
  expect_invalid body.title:value_error
}
