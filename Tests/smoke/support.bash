#!/usr/bin/env bash
# How the smoke tests talk to a running stack through nginx, and how they judge its answers.
#
# A test sends a request with a verb, as nobody or as somebody, and says what must have come back:
#
#     as ada post /posts '{"title": "Tea", "content": "Green"}'
#     expect 200 '.message == "Post created"'
#
# The last answer stays in CODE, BODY and HEADERS. Every answer is checked against the rules that hold for all of
# them (one X-Request-ID, a JSON body with its content type), so no test repeats those.
#
# The stack is named by the environment, and what is missing is an error, never a reason to skip:
#   CHATTY_TEST_URL           its public address, such as http://127.0.0.1:8080
#   CHATTY_TEST_OPS_URL       the address of its operations listener, such as http://127.0.0.1:8081
#   CHATTY_TEST_DATABASE_URL  its database, as a superuser
#   CHATTY_HOME               its folder, where the mail and the keys are

# The password of everybody made here, and its bcrypt hash at the lowest cost, so that signing in costs little.
PASSWORD='correct horse battery'
# shellcheck disable=SC2016 # a hash is full of dollars
PASSWORD_HASH='$2b$04$z1VfGfQiR0I8sbYqzH6JPeWVKdEnMfomdVMcSn/Hi0Mxmfm.q08BC'

# -- Requests ---------------------------------------------------------------------------------------------------------

# call METHOD PATH [BODY [CURL ARGUMENT…]]: sends one request. A BODY that is not empty is sent as JSON. CALLER, when
# set, is the bearer token.
call() {
  local method=$1 path=$2 body=${3-} answer=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/answer
  shift "$(($# < 3 ? $# : 3))"
  local arguments=(
    --silent --show-error --globoff --path-as-is --max-time 20
    --request "$method" --dump-header "$answer.headers" --output "$answer.body" --write-out '%{http_code}'
  )
  if [[ $method == HEAD ]]; then arguments+=(--head); fi
  if [[ -n $body ]]; then arguments+=(--header 'Content-Type: application/json' --data-binary "$body"); fi
  if [[ -n ${CALLER-} ]]; then arguments+=(--header "Authorization: Bearer $CALLER"); fi
  rm -f "$answer.headers" "$answer.body"
  CODE=$(curl "${arguments[@]}" "$@" "${CHATTY_TEST_URL:?}$path")
  HEADERS=$(tr -d '\r' <"$answer.headers")
  BODY=
  if [[ -f $answer.body && $method != HEAD ]]; then BODY=$(<"$answer.body"); fi
  REQUEST="$method $path $body"
  # curl's own notes of an interim answer (100 Continue) are not the answer.
  HEADERS=$(awk '/^HTTP\// { kept = "" } { kept = kept $0 "\n" } END { printf "%s", kept }' <<<"$HEADERS")
  judge_every_answer "$method"
}

# raw TEXT: sends these bytes to the listener and reads the answer, as call does.
raw() {
  local host=${CHATTY_TEST_URL#http://} answer
  exec 9<>"/dev/tcp/${host%:*}/${host##*:}"
  printf '%b' "$1" >&9
  answer=$(timeout 10 cat <&9 | tr -d '\r')
  exec 9>&-
  REQUEST=$1 CODE=$(awk 'NR == 1 { print $2 }' <<<"$answer")
  HEADERS=$(sed '/^$/q' <<<"$answer") BODY=$(sed '1,/^$/d' <<<"$answer")
}

# ops PATH: a page of the operations listener; CODE and BODY as from call; its pages are not all JSON.
ops() {
  local answer=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/answer
  CODE=$(curl --silent --output "$answer.body" --write-out '%{http_code}' --max-time 20 "${CHATTY_TEST_OPS_URL:?}$1")
  BODY=$(<"$answer.body") HEADERS=
  REQUEST="GET $1 of the operations listener"
}

get() { call GET "$1" "" "${@:2}"; }
head_of() { call HEAD "$1" "" "${@:2}"; }
delete() { call DELETE "$@"; }
post() { call POST "$@"; }
patch() { call PATCH "$@"; }
put() { call PUT "$@"; }

# as NAME VERB …: the request, sent with NAME's token.
as() {
  local CALLER
  CALLER=$(token_of "$1")
  "${@:2}"
}

# codes PATH COUNT: the statuses of so many requests, each status once. The first that gets no answer is the last.
codes() {
  curl --silent --fail-early --output /dev/null --write-out '%{http_code}\n' --max-time 20 "$CHATTY_TEST_URL$1?n=[1-$2]" | sort -u
}

# bearing TOKEN VERB …: the request, sent with this token, whatever it is.
bearing() {
  local CALLER=$1
  "${@:2}"
}

# header NAME: the value of one header of the last answer, empty when it is absent.
header() {
  awk -v name="${1,,}" 'tolower(substr($0, 1, length(name) + 1)) == name ":" {
    value = substr($0, length(name) + 2); sub(/^[ \t]+/, "", value); print value }' <<<"$HEADERS"
}

# field FILTER: a value out of the last body.
field() { jq -er "$1" <<<"$BODY"; }

# -- Judgement --------------------------------------------------------------------------------------------------------

# wrong TEXT…: ends the test and shows the exchange that it is about.
wrong() {
  {
    printf '%s\n' "$*"
    printf 'request: %.2000s\n' "${REQUEST-}"
    printf 'answer:  %s %.4000s\n%s\n' "${CODE-}" "${BODY-}" "${HEADERS-}"
  } >&2
  return 1
}

judge_every_answer() {
  [[ $(header X-Request-ID | wc -l) == 1 && $(header X-Request-ID) =~ ^[A-Za-z0-9._-]{8,64}$ ]] ||
    wrong "an answer without exactly one X-Request-ID"
  if [[ $1 == HEAD ]]; then return; fi
  [[ $(header Content-Type) =~ ^application/json ]] || wrong "an answer that is not application/json"
  jq -e 'type == "object" or type == "array"' <<<"$BODY" >/dev/null || wrong "a body that is not JSON"
}

# expect CODE [JSON | FILTER]…: the status, and the body: a JSON object or array that it must equal, or jq filters
# that must hold of it.
expect() {
  [[ $CODE == "$1" ]] || wrong "expected status $1"
  local want
  for want in "${@:2}"; do
    if [[ $want == ['{[']* ]] && jq . <<<"$want" >/dev/null 2>&1; then
      jq -en --argjson want "$want" --argjson got "$BODY" '$want == $got' >/dev/null || wrong "expected the body $want"
    else
      jq -e "$want" <<<"$BODY" >/dev/null || wrong "expected that $want"
    fi
  done
}

# expect_error CODE DETAIL: an error of exactly this shape and text.
expect_error() {
  expect "$1" "$(jq -cn --arg detail "$2" '{detail: $detail}')"
}

# expect_unauthenticated: the one answer to a token that does not count.
expect_unauthenticated() {
  expect_error 401 'Not authenticated'
  [[ $(header WWW-Authenticate) == Bearer ]] || wrong 'expected WWW-Authenticate: Bearer'
}

# expect_invalid LOC:TYPE…: a 422 that names exactly these fields, such as body.title:missing, in any order.
expect_invalid() {
  expect 422
  jq -e '.detail | type == "array" and all(.[];
      (.type | type == "string") and (.loc | type == "array") and (.msg | type == "string" and length > 0) and has("input"))' \
    <<<"$BODY" >/dev/null || wrong 'a validation error of another shape'
  local got want
  got=$(jq -r '.detail[] | "\(.loc | map(tostring) | join(".")):\(.type)"' <<<"$BODY" | sort)
  want=$(printf '%s\n' "$@" | sort)
  [[ $got == "$want" ]] || wrong "expected these fields: $*"
}

# equal GOT WANT [WHAT]: two texts are the same.
equal() {
  [[ $1 == "$2" ]] || wrong "${3:-a value} is '$1' and not '$2'"
}

# -- People -----------------------------------------------------------------------------------------------------------

# Each name is short in a test and unique in the database: its file's run is part of it.
full_name() {
  if [[ ! -f $BATS_FILE_TMPDIR/run ]]; then printf '%s%04d' "$(date +%s)" $((RANDOM % 10000)) >"$BATS_FILE_TMPDIR/run"; fi
  printf '%s_%s' "$1" "$(<"$BATS_FILE_TMPDIR/run")"
}
email_of() { printf '%s@example.org' "$(full_name "$1")"; }
id_of() { cat "$BATS_FILE_TMPDIR/$1.id"; }
token_of() { cat "$BATS_FILE_TMPDIR/$1.token"; }
refresh_token_of() { cat "$BATS_FILE_TMPDIR/$1.refresh"; }

# register NAME: through the API, as a newcomer does.
register() {
  post /auth/register "$(account "$1")"
  expect 200 ".message == \"User $(full_name "$1") registered, check your email\"" '.user_id > 0'
  field .user_id >"$BATS_FILE_TMPDIR/$1.id"
}

# account NAME [PASSWORD]: the body of a registration.
account() {
  jq -cn --arg username "$(full_name "$1")" --arg email "$(email_of "$1")" --arg password "${2-$PASSWORD}" \
    '{username: $username, email: $email, password: $password}'
}

# link_for NAME [OLD LINK]: the path and query of the newest link to verify an account that was mailed to NAME, waited for; one that is
# not OLD LINK.
link_for() {
  mailed "$(email_of "$1")" "/auth/verify/$(id_of "$1")\?token=[A-Za-z0-9_-]+" "${2-}"
}

# mailed ADDRESS PATTERN [OLD]: what matches an extended regular expression in the newest mail to ADDRESS that has it, waited for;
# something else than OLD.
mailed() {
  local found deadline=$((SECONDS + 20))
  while ((SECONDS < deadline)); do
    # Mail may be encoded as quoted-printable: a soft line break goes away, =3D is an equals sign.
    found=$(find "${CHATTY_HOME:?}/mail" -name '*.eml' -printf '%T@ %p\n' | sort -n | cut -d' ' -f2- | while read -r mail; do
      if ! grep -qF "To: <$1>" "$mail"; then continue; fi
      sed -e 's/\r$//' -e ':join' -e '/=$/{N;s/=\n//;bjoin}' "$mail" | sed 's/=3D/=/g' | grep -Eo "$2" || true
    done | tail -n 1)
    if [[ -n $found && $found != "${3-}" ]]; then
      printf '%s' "$found"
      return
    fi
    sleep 0.1
  done
  wrong "no mail to $1 with $2"
}

# credentials NAME [PASSWORD]: the body of a login.
credentials() {
  jq -cn --arg username "$(full_name "$1")" --arg password "${2-$PASSWORD}" '{username: $username, password: $password}'
}

# log_in NAME [PASSWORD]: and keeps the tokens for `as` and for `renew`.
log_in() {
  post /auth/login "$(credentials "$@")"
  expect 200 '.message == "Login successful"'
  field .token >"$BATS_FILE_TMPDIR/$1.token"
  field .refresh_token >"$BATS_FILE_TMPDIR/$1.refresh"
  field .user_id >"$BATS_FILE_TMPDIR/$1.id"
}

# newcomer NAME…: registered, verified by the link in the mail, logged in: the whole way through the API.
newcomer() {
  local name
  for name in "$@"; do
    register "$name"
    get "$(link_for "$name")"
    expect 200 '{"message": "Account verified"}'
    log_in "$name"
  done
}

# resident NAME…: verified users put straight into the database.
resident() {
  local name
  for name in "$@"; do
    sql "INSERT INTO users (username, email, hashed_password, verified_at)
         VALUES ('$(full_name "$name")', '$(email_of "$name")', '$PASSWORD_HASH', now()) RETURNING id" >"$BATS_FILE_TMPDIR/$name.id"
  done
}

# member NAME…: residents who are logged in.
member() {
  local name
  for name in "$@"; do
    resident "$name"
    log_in "$name"
  done
}

# appoint NAME ROLE: as an operator would.
appoint() {
  sql "UPDATE users SET role = '$2' WHERE id = $(id_of "$1")"
}

# -- Things -----------------------------------------------------------------------------------------------------------

# new_post NAME [TITLE [CONTENT]]: leaves the new post's id in NEW_POST.
new_post() {
  as "$1" post /posts "$(jq -cn --arg title "${2-A title}" --arg content "${3-Some content}" '{title: $title, content: $content}')"
  expect 200 '.message == "Post created"'
  # shellcheck disable=SC2034 # read by the tests
  NEW_POST=$(field .post.id)
}

# new_comment NAME POST [CONTENT]: leaves the new comment's id in NEW_COMMENT.
new_comment() {
  as "$1" post "/posts/$2/comments" "$(jq -cn --arg content "${3-A remark}" '{content: $content}')"
  expect 200 '.message == "Comment added"'
  # shellcheck disable=SC2034 # read by the tests
  NEW_COMMENT=$(field .comment.id)
}

# letters COUNT [LETTER]: a text of so many characters.
letters() {
  awk -v count="$1" -v letter="${2-x}" 'BEGIN { while (count-- > 0) printf "%s", letter }'
}

# next_page: the path and query of the next page of the last list, empty on the last one.
next_page() {
  header Link | grep -Eo '<[^>]*>; *rel="?next"?' | sed -E 's/^<(https?:\/\/[^/]*)?//; s/>.*//' || true
}

# walk PATH FILTER [NAME]: reads a list page after page, as NAME if given, and prints what FILTER takes from each.
walk() {
  local path=$1 pages=0
  while [[ -n $path ]]; do
    if [[ -n ${3-} ]]; then as "$3" get "$path"; else get "$path"; fi
    expect 200
    field "$2" || true
    path=$(next_page)
    ((++pages < 200)) || wrong 'pages without an end'
  done
}

# sql STATEMENT…: runs on the stack's database as a superuser; rows come back as text, columns divided by |.
sql() {
  psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "${CHATTY_TEST_DATABASE_URL:?}" --command "$*"
}

# What a post and a comment look like, as jq filters over one of them.
# shellcheck disable=SC2034 # read by the tests
POST_SHAPE='(.id | type == "number") and (.title | type == "string") and (.content | type == "string") and has("image_filename")
  and has("image_url") and has("thumbnail_url")
  and has("image_alt") and (.user_id | type == "number") and (.username | type == "string")
  and (.created_at | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z$"))
  and (.updated_at | . == null or test("Z$")) and (.like_count | type == "number") and (.comment_count | type == "number")
  and (.liked_by_me | type == "boolean")'
# shellcheck disable=SC2034
COMMENT_SHAPE='(.id | type == "number") and (.content | type == "string") and (.post_id | type == "number") and (.user_id | type == "number")
  and (.username | type == "string") and (.created_at | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z$"))'
