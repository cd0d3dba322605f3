#!/usr/bin/env bats
# The rules that hold for every route: who is asked for a token, what a wrong path, method, body or parameter gets,
# and what even nginx's own errors look like.

load support

setup_file() {
  member ada bob
  new_post ada
  printf '%s' "$NEW_POST" >"$BATS_FILE_TMPDIR/post"
  new_comment ada "$NEW_POST"
  printf '%s' "$NEW_COMMENT" >"$BATS_FILE_TMPDIR/comment"
}

setup() {
  ADAS_POST=$(<"$BATS_FILE_TMPDIR/post")
  ADAS_COMMENT=$(<"$BATS_FILE_TMPDIR/comment")
}

# with_token: every route that asks who is calling, as METHOD PATH.
with_token() {
  printf '%s\n' \
    'POST /auth/logout' 'GET /auth/me' \
    'POST /posts' "PATCH /posts/$ADAS_POST" "DELETE /posts/$ADAS_POST" "POST /posts/$ADAS_POST/comments" \
    "DELETE /posts/$ADAS_POST/comments/$ADAS_COMMENT" \
    "POST /posts/$ADAS_POST/likes" "DELETE /posts/$ADAS_POST/likes" "POST /posts/$ADAS_POST/reports" \
    "POST /subscribe/$(id_of bob)" "DELETE /unsubscribe/$(id_of bob)" 'GET /feed' \
    "POST /admin/users/$(id_of bob)/block" "DELETE /admin/users/$(id_of bob)/block" "DELETE /admin/posts/$ADAS_POST" \
    "DELETE /admin/comments/$ADAS_COMMENT" 'GET /admin/stats' 'GET /recommendations'
}

# with_id: every route with an id in its path, as METHOD PREFIX SUFFIX.
with_id() {
  printf '%s\n' \
    'GET /auth/users/' 'GET /auth/verify/ ?token=xxxxxxxx' \
    'GET /posts/' 'PATCH /posts/' 'DELETE /posts/' 'GET /posts/ /comments' 'POST /posts/ /comments' 'POST /posts/ /likes' 'DELETE /posts/ /likes' \
    'GET /posts/ /likes' 'POST /posts/ /reports' "DELETE /posts/ /comments/$ADAS_COMMENT" "DELETE /posts/$ADAS_POST/comments/" \
    'POST /subscribe/' 'DELETE /unsubscribe/' \
    'POST /admin/users/ /block' 'DELETE /admin/users/ /block' 'DELETE /admin/posts/' 'DELETE /admin/comments/'
}

# body_for METHOD PATH: a body that the route accepts, where it wants one.
body_for() {
  case "$1 $2" in
    'POST /posts' | 'PATCH /posts/'*) printf '{"title": "A title", "content": "Some content"}' ;;
    'POST /posts/'*'/comments') printf '{"content": "A remark"}' ;;
    'POST /posts/'*'/reports') printf '{"reason": "A reason"}' ;;
  esac
}

# -- Who is calling ---------------------------------------------------------------------------------------------------

@test "401 where a token is missing, malformed or not ours, on every route that wants one" {
  local method path
  while read -r method path; do
    call "$method" "$path" "$(body_for "$method" "$path")"
    expect_unauthenticated
    bearing nonsense call "$method" "$path" "$(body_for "$method" "$path")"
    expect_unauthenticated
    bearing eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. call "$method" "$path" "$(body_for "$method" "$path")"
    expect_unauthenticated
  done < <(with_token)
  get "/posts/$ADAS_POST"
  expect 200 '.updated_at == null and .comment_count == 1 and .like_count == 0'
}

@test "401 where the caller has logged out, on every route that wants a token" {
  member gone
  as gone post /auth/logout
  expect 200
  local method path
  while read -r method path; do
    as gone call "$method" "$path" "$(body_for "$method" "$path")"
    expect_unauthenticated
  done < <(with_token)
}

@test "401 where the caller is blocked, on every route that wants a token, even for an admin" {
  member fallen
  appoint fallen admin
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of fallen)"
  local method path
  while read -r method path; do
    as fallen call "$method" "$path" "$(body_for "$method" "$path")"
    expect_unauthenticated
  done < <(with_token)
}

@test "what anyone may read, a reader with a dead token does not: they are told so" {
  bearing nonsense get "/posts/$ADAS_POST"
  expect_unauthenticated
}

# -- Paths and methods ------------------------------------------------------------------------------------------------

@test "404 for an unknown route, wherever it leads" {
  local path
  for path in / /nowhere /post /postss "/posts/$ADAS_POST/nowhere" "/posts/$ADAS_POST/comments/1/more" /feed/nowhere/at/all /auth \
    /auth/nowhere /admin /admin/nowhere /subscribe /unsubscribe /recommendations/1 /favicon.ico /.git/config /posts//comments; do
    get "$path"
    expect_error 404 'Not Found'
    as ada call POST "$path" '{}'
    expect_error 404 'Not Found'
  done
}

@test "the services' readiness and the operations listener's pages cannot be reached from outside" {
  local path
  for path in /-/ready /posts/-/ready /metrics /stub_status /livez /readyz /readyz/posts; do
    get "$path"
    [[ $CODE == 404 || $CODE == 422 ]] || wrong 'reachable from outside'
  done
}

@test "a path cannot climb out of its service" {
  local path
  for path in '/posts/../admin/stats' '/posts/%2e%2e/%2e%2e/etc/passwd' '/../../etc/passwd' '/media/../../secrets/posts.password'; do
    get "$path"
    [[ $CODE == 4?? ]] || wrong 'an answer to a path that climbs'
  done
}

@test "405 with Allow for a known path and another method" {
  local method path allow
  while read -r method path allow; do
    as ada call "$method" "$path" '{}'
    expect_error 405 'Method Not Allowed'
    equal "$(header Allow | tr -d ' ' | tr , '\n' | sort | paste -sd,)" "$allow" "Allow of $path"
  done <<EOF_ROUTES
DELETE /posts GET,HEAD,POST
PUT /posts GET,HEAD,POST
BREW /posts GET,HEAD,POST
PUT /posts/$ADAS_POST DELETE,GET,HEAD,PATCH
POST /posts/$ADAS_POST DELETE,GET,HEAD,PATCH
DELETE /posts/$ADAS_POST/comments GET,HEAD,POST
GET /posts/$ADAS_POST/comments/$ADAS_COMMENT DELETE
PUT /posts/$ADAS_POST/likes DELETE,GET,HEAD,POST
GET /posts/$ADAS_POST/reports POST
GET /auth/login POST
POST /reset-password GET,HEAD
DELETE /reset-password.js GET,HEAD
GET /auth/register POST
GET /auth/logout POST
POST /auth/.well-known/jwks.json GET,HEAD
DELETE /auth/users/1 GET,HEAD
GET /subscribe/1 POST
POST /unsubscribe/1 DELETE
POST /feed GET,HEAD
GET /admin/users/1/block DELETE,POST
GET /admin/posts/1 DELETE
POST /admin/stats GET,HEAD
POST /recommendations GET,HEAD
EOF_ROUTES
}

@test "HEAD answers as GET does, without the body" {
  local path got type link
  appoint bob admin
  for path in /posts '/posts?limit=1' "/posts/$ADAS_POST" "/posts/$ADAS_POST/comments" "/posts/$ADAS_POST/likes" "/auth/users/$(id_of ada)" /auth/me \
    /auth/.well-known/jwks.json /feed /admin/stats /recommendations /posts/9223372036854775807 /posts/0 /nowhere; do
    as bob get "$path"
    got=$CODE type=$(header Content-Type) link=$(header Link)
    as bob head_of "$path"
    expect "$got"
    equal "$(header Content-Type)" "$type" 'Content-Type'
    equal "$(header Link)" "$link" Link
  done
  head_of /feed
  expect 401
  appoint bob user
}

# -- Ids, cursors and other parameters --------------------------------------------------------------------------------

@test "422 for an id that is not a positive integer of 64 bits, on every route with an id" {
  local method prefix suffix id
  while read -r method prefix suffix; do
    for id in 0 -1 9223372036854775808 99999999999999999999999999 x 1.5 1e3 0x10 %31x 1%00 '%F0%9F%98%80'; do
      as bob call "$method" "$prefix$id$suffix" "$(body_for "$method" "$prefix$id$suffix")"
      if [[ $id == '1%00' && $CODE == 400 ]]; then continue; fi # nginx may refuse a NUL itself
      expect 422 '.detail | length == 1' '.detail[0] | .loc[0] == "path" and (.loc | length == 2) and (.msg | length > 0)'
    done
  done < <(with_id)
}

@test "the types of a wrong id tell what is wrong with it" {
  get /posts/x
  expect 422 '.detail[0] | .type == "int_parsing" and .input == "x"' '.detail[0].msg == "Input should be a valid integer, unable to parse string as an integer"'
  get /posts/0
  expect 422 '.detail[0] | .type == "greater_than" and .msg == "Input should be greater than 0"'
}

@test "an id of 64 bits is looked for, and not found" {
  get /posts/9223372036854775807
  expect_error 404 'Post not found'
}

@test "422 for a limit that is none, a cursor that was not given out, and an author that cannot be, all at once" {
  local query
  for query in limit=0 limit=101 limit=-1 limit=x limit= limit=99999999999999999999 'cursor=!' cursor=garbage cursor=AAAAAAAAAAAAAAAAAAAAAAAA \
    'cursor=%00' user_id=0 user_id=x user_id=9223372036854775808; do
    get "/posts?$query"
    expect 422 ".detail | map(.loc) | unique == [[\"query\", \"${query%%=*}\"]]"
  done
  get '/posts?limit=0&cursor=garbage&user_id=x'
  expect 422 '.detail | map(.loc[1]) | sort == ["cursor", "limit", "user_id"]'
  get "/posts/$ADAS_POST/comments?limit=0"
  expect 422
  as ada get '/feed?limit=101'
  expect 422
}

@test "an unknown parameter is ignored, an escaped one is understood" {
  get '/posts?colour=red&limit=%31'
  expect 200 'length == 1'
}

# -- Bodies -----------------------------------------------------------------------------------------------------------

@test "422 for a body that is not JSON" {
  local text
  for text in '{' '{"title": }' "{'title': 'x'}" '{"title": "x"} {}' '{"title": "x",}' '{"title": [1,]}' 'title=x' '{"title": "\x"}' '{"title": "unclosed}' NaN; do
    as ada post /posts "$text"
    expect 422 '.detail | length == 1' '.detail[0] | .type == "json_invalid" and .loc[0] == "body"'
  done
}

@test "422 for bytes that are not UTF-8, and for half a surrogate pair" {
  printf '{"title": "\xff\xfe", "content": "x"}' >"$BATS_TEST_TMPDIR/bytes"
  as ada post /posts "@$BATS_TEST_TMPDIR/bytes"
  expect 422 '.detail[0].loc[0] == "body"'
  as ada post /posts '{"title": "\ud800", "content": "x"}'
  expect 422 '.detail[0].loc[0] == "body"'
}

@test "422 for JSON that is not an object, and for no body at all" {
  local text
  for text in '[]' '"title"' null 17 true '[{"title": "x", "content": "x"}]'; do
    as ada post /posts "$text"
    expect 422 '.detail | length == 1' '.detail[0].loc[0] == "body"'
  done
  as ada post /posts '' --header 'Content-Type: application/json'
  expect 422 '.detail[0].loc[0] == "body"'
}

@test "422 for a body nested beyond reason, and the worker lives" {
  local open
  open=$(letters 100000 '[')
  printf '{"title": %s' "$open" >"$BATS_TEST_TMPDIR/deep"
  as ada post /posts "@$BATS_TEST_TMPDIR/deep"
  expect 422
  printf '{"title": "x", "content": "x", "more": %s%s}' "$open" "$(letters 100000 ']')" >"$BATS_TEST_TMPDIR/deep"
  as ada post /posts "@$BATS_TEST_TMPDIR/deep"
  [[ $CODE == 422 || $CODE == 200 ]] || wrong 'neither refused nor ignored'
}

@test "422 lists every field that is missing or of a wrong type" {
  as ada post /posts '{}'
  expect_invalid body.title:missing body.content:missing
  jq -e '.detail[0] | .msg == "Field required"' <<<"$BODY"
  as ada post /posts '{"title": 7, "content": ["x"]}'
  expect_invalid body.title:string_type body.content:string_type
  jq -e '.detail | map({(.loc[1]): {msg, input}}) | add == {title: {msg: "Input should be a valid string", input: 7},
    content: {msg: "Input should be a valid string", input: ["x"]}}' <<<"$BODY"
  as ada post /posts '{"title": null, "content": null}'
  expect_invalid body.title:string_type body.content:string_type
  as ada post /posts "{\"title\": \"\", \"content\": \"$(letters 20001)\"}"
  expect_invalid body.title:string_too_short body.content:string_too_long
}

@test "422 for a NUL in a text, and not an error of the database's" {
  as ada post /posts '{"title": "a\u0000b", "content": "\u0000"}'
  expect 422 '.detail | map(.loc) | sort == [["body", "content"], ["body", "title"]]'
  as ada post "/posts/$ADAS_POST/comments" '{"content": "a\u0000b"}'
  expect 422 '.detail | map(.loc) == [["body", "content"]]'
  as ada patch "/posts/$ADAS_POST" '{"title": "a\u0000b"}'
  expect 422 '.detail | map(.loc) == [["body", "title"]]'
  post /auth/register '{"username": "abc\u0000", "email": "a\u0000@example.org", "password": "long enough"}'
  expect 422 '.detail | map(.loc) | sort == [["body", "email"], ["body", "username"]]'
  post /auth/login '{"username": "abc\u0000", "password": "long enough"}'
  [[ $CODE == 422 || $CODE == 400 ]] || wrong 'a NUL reached the database'
}

@test "unknown fields are ignored" {
  as ada post /posts '{"title": "Known", "content": "unknown", "colour": {"deep": [1, 2, {"a": null}]}, "": ""}'
  expect 200 '.post.title == "Known"'
}

@test "413 for a body that is too large, said or found out" {
  printf '{"title": "x", "content": "%s"}' "$(letters 1100000)" >"$BATS_TEST_TMPDIR/large"
  as ada post /posts "@$BATS_TEST_TMPDIR/large"
  expect 413 '.detail | type == "string"'
  as ada post /posts "@$BATS_TEST_TMPDIR/large" --header 'Transfer-Encoding: chunked'
  expect 413 '.detail | type == "string"'
}

@test "a large body within the limit is read to its end, with its length or in chunks" {
  printf '{"title": "Large", "content": "x", "padding": "%s"}' "$(letters 900000)" >"$BATS_TEST_TMPDIR/large"
  as ada post /posts "@$BATS_TEST_TMPDIR/large"
  expect 200 '.post.title == "Large"'
  as ada post /posts "@$BATS_TEST_TMPDIR/large" --header 'Transfer-Encoding: chunked'
  expect 200 '.post.title == "Large"'
}

@test "415 for a body of another type" {
  local type
  for type in text/plain application/x-www-form-urlencoded application/xml application/jsonp multipart/form-data; do
    as ada call POST /posts '' --header "Content-Type: $type" --data-binary '{"title": "x", "content": "x"}'
    expect 415 '.detail | type == "string"'
    post /auth/login '' --header "Content-Type: $type" --data-binary '{"username": "abc", "password": "long enough"}'
    expect 415 '.detail | type == "string"'
  done
}

@test "JSON may name its character set, its type in any case, or no type at all" {
  as ada call POST /posts '' --header 'Content-Type:' --data-binary '{"title": "x", "content": "x"}'
  expect 200
  as ada call POST /posts '' --header 'Content-Type: Application/JSON; charset=UTF-8' --data-binary '{"title": "x", "content": "x"}'
  expect 200
}

# -- What every answer carries ----------------------------------------------------------------------------------------

@test "a request's own id is taken when it is 8 to 64 of the allowed characters" {
  local id
  for id in 12345678 A.b_c-d.e "$(letters 64 r)"; do
    get "/posts/$ADAS_POST" --header "X-Request-ID: $id"
    equal "$(header X-Request-ID)" "$id"
    get /nowhere --header "X-Request-ID: $id"
    equal "$(header X-Request-ID)" "$id"
  done
}

@test "any other id is replaced, and no two made ones are the same" {
  local id
  for id in 1234567 "$(letters 65 r)" 'with blanks' 'with"quotes"' 'naïve-one' 'new,line,x'; do
    get "/posts/$ADAS_POST" --header "X-Request-ID: $id"
    [[ $(header X-Request-ID) != "$id" ]] || wrong 'a bad id was taken'
  done
  get /posts
  id=$(header X-Request-ID)
  get /posts
  [[ $(header X-Request-ID) != "$id" ]] || wrong 'one id for two requests'
}

@test "every answer forbids sniffing, and none tells the server's version" {
  local path
  for path in "/posts/$ADAS_POST" /nowhere /posts/0 /auth/me; do
    get "$path"
    equal "$(header X-Content-Type-Options)" nosniff X-Content-Type-Options
    [[ ! $(header Server) =~ [0-9] ]] || wrong 'a version'
    [[ -z $(header X-Powered-By) ]] || wrong 'a program'
  done
}

@test "nginx's own errors are JSON like all others, and carry an id" {
  raw 'GET /posts HTTP/1.1\r\n\r\n'
  judge_every_answer GET
  expect 400 '.detail | type == "string"'
  get "/posts?x=$(letters 40000)"
  expect 414 '.detail | type == "string"'
  get /posts --header "X-Long: $(letters 40000)"
  [[ $CODE == 400 || $CODE == 431 ]] || wrong 'expected a refusal of the header'
  expect "$CODE" '.detail | type == "string"'
  # What the services say themselves is not replaced by nginx's pages.
  get /posts/0
  expect 422 '.detail | type == "array"'
}
