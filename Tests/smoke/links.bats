#!/usr/bin/env bats
# The links that confirm an address: what looking at one does, what the page behind it can do, and who owns an address.

load support
load stack
load locks

# as_browser METHOD PATH: what a browser gets; its headers as header reads them.
as_browser() {
  PAGE=$(curl --silent --max-time 20 --request "$1" "${@:3}" --dump-header "$BATS_TEST_TMPDIR/headers" --write-out '\n%{http_code}' \
    --header 'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' "$CHATTY_TEST_URL$2")
  CODE=${PAGE##*$'\n'}
  # shellcheck disable=SC2034 # read by header
  HEADERS=$(tr -d '\r' <"$BATS_TEST_TMPDIR/headers")
}

is_verified() { [[ $(sql "SELECT verified_at IS NOT NULL FROM users WHERE id = $(id_of "$1")") == t ]]; }

# -- Who looks --------------------------------------------------------------------------------------------------------

@test "a browser gets a page, which does nothing before its button is pressed, and can do nothing else" {
  register reader
  local link name
  link=$(link_for reader)
  as_browser GET "$link"
  equal "$CODE" 200
  [[ $PAGE == *'<button>Confirm</button>'* && $PAGE != *"${link#*token=}"* ]] || wrong "$PAGE"
  [[ $(header Content-Type) == 'text/html; charset=utf-8' && $(header Referrer-Policy) == no-referrer && $(header Cache-Control) == no-store ]] || wrong 'other headers'
  [[ $(header Content-Security-Policy) == "default-src 'none'; script-src 'self'"*"frame-ancestors 'none'" && $(header Vary) == Accept ]] || wrong 'another policy'
  as_browser HEAD "$link" --head
  equal "$CODE" 200
  for name in verify.js reset-password.css; do curl --silent --fail --output /dev/null "$CHATTY_TEST_URL/$name"; done
  ! is_verified reader || wrong 'a look has verified the account'
  post "/auth/verify/$(id_of reader)" "{\"token\": \"${link#*token=}\"}"
  expect 200 '{"message": "Account verified"}'
  post "/auth/verify/$(id_of reader)" "{\"token\": \"${link#*token=}\"}"
  expect 200 '{"message": "Account verified"}'
  is_verified reader
}

@test "the page's button, in a browser, confirms the address and leaves no secret in the address bar" {
  register clicker
  local link
  link=$(link_for clicker)
  TOKEN=${link#*token=} SITE=$CHATTY_TEST_URL LINK=$link node "$BATS_TEST_DIRNAME/verify_page.js" "$BATS_TEST_DIRNAME/../../nginx/html/verify.js"
  is_verified clicker
}

@test "HEAD changes nothing, for programs too" {
  register scanned
  local link
  link=$(link_for scanned)
  head_of "$link"
  equal "$CODE" 200
  head_of "$link" --header 'Accept: application/json'
  equal "$CODE" 200
  head_of "${link%????}AAAA"
  equal "$CODE" 400
  ! is_verified scanned || wrong 'HEAD has verified the account'
  get "$link"
  expect 200 '{"message": "Account verified"}'
  is_verified scanned
}

@test "a program that names no text/html verifies at once" {
  local accept link
  for accept in application/json '*/*' ''; do
    register "program${#accept}"
    link=$(link_for "program${#accept}")
    get "$link" --header "Accept:${accept:+ $accept}"
    expect 200 '{"message": "Account verified"}'
  done
}

@test "a POST names every wrong field, and says the same of a wrong link as a GET does" {
  register posted
  post "/auth/verify/$(id_of posted)" '{}'
  expect_invalid body.token:missing
  post /auth/verify/x '{"token": "y"}'
  expect 422
  post "/auth/verify/$(id_of posted)" '{"token": "wrong"}'
  expect_error 400 'Invalid or expired verification link'
  post /auth/verify/9223372036854775807 '{"token": "wrong"}'
  expect_error 404 'User not found'
}

# -- Whose an address is ----------------------------------------------------------------------------------------------

# claim NAME ADDRESS: registers NAME with it.
claim() {
  post /auth/register "$(account "$1" | jq -c --arg email "$2" '.email = $email')"
  expect 200
  field .user_id >"$BATS_FILE_TMPDIR/$1.id"
}

# claim_link NAME ADDRESS
claim_link() { mailed "$2" "/auth/verify/$(id_of "$1")\\?token=[A-Za-z0-9_-]+"; }

@test "an address that somebody else has only claimed is its owner's to register, and the claim goes" {
  local address squatters owners
  address=$(email_of victim)
  claim squatter "$address"
  squatters=$(claim_link squatter "$address")
  claim owner "${address^^}"
  owners=$(claim_link owner "${address^^}")
  post /auth/login "$(credentials squatter)"
  expect_error 400 'Account not verified'
  get "$owners"
  expect 200
  log_in owner
  post /auth/login "$(credentials squatter)"
  expect_error 400 'Invalid credentials'
  get "$squatters"
  expect_error 404 'User not found'
  claim squatter_again "another-$address"
  post /auth/register "$(account third | jq -c --arg email "$address" '.email = $email')"
  expect_error 400 'Email already registered'
}

@test "a new address that somebody else has only claimed is its owner's" {
  local address
  address=$(email_of claimed_too)
  claim sitter "$address"
  member mover
  as mover patch /auth/me "{\"current_password\": \"$PASSWORD\", \"email\": \"$address\"}"
  expect 200
  local link
  link=$(claim_link mover "$address")
  post "${link%%\?*}" "{\"token\": \"${link#*token=}\"}"
  expect 200
  equal "$(sql "SELECT count(*) FROM users WHERE id = $(id_of sitter)")" 0
}

@test "two who confirm one address at the same moment: one has it, and neither fails otherwise" {
  local address first second
  address=$(email_of contested)
  claim one "$address"
  claim two "$address"
  first=$(claim_link one "$address") second=$(claim_link two "$address")
  {
    send "{\"token\": \"${first#*token=}\"}" "${first%%\?*}" &
    send "{\"token\": \"${second#*token=}\"}" "${second%%\?*}" &
    wait
  } >"$BATS_TEST_TMPDIR/codes"
  [[ $(sort "$BATS_TEST_TMPDIR/codes" | xargs) =~ ^200\ (400|404)$ ]] || wrong "$(xargs <"$BATS_TEST_TMPDIR/codes")"
  equal "$(sql "SELECT count(*) FROM users WHERE email = '$address' AND verified_at IS NOT NULL")" 1
}

@test "an account of another program's database that is not confirmed keeps its address" {
  sql "INSERT INTO users (username, email, hashed_password) VALUES ('$(full_name imported)', '$(email_of imported)', 'x')"
  post /auth/register "$(account other | jq -c --arg email "$(email_of imported)" '.email = $email')"
  expect_error 400 'Email already registered'
}

@test "a name that looks like an address is no link in a mail, and begins no line" {
  local name mail
  name="www.evil$(full_name '' | tr -d _ | tail -c 8).com"
  post /auth/register "$(jq -cn --arg name "$name" --arg email "$(email_of luring)" '{username: $name, email: $email, password: "long enough"}')"
  expect 200
  mailed "$(email_of luring)" 'auth/verify' >/dev/null
  mail=$(cat "$(grep -rlF "To: <$(email_of luring)>" "$CHATTY_HOME/mail")")
  [[ $mail == *'www[.]evil'* && $mail != *"$name"* && $mail != *www.* ]] || wrong "$mail"
}

# -- Registering twice ------------------------------------------------------------------------------------------------

keyed() { post /auth/register "$1" --header "Idempotency-Key: $2"; }

@test "a registration that is sent again with its Idempotency-Key is answered again, by key and body" {
  local first body key="register-$RANDOM$RANDOM"
  body=$(account keyed)
  keyed "$body" "$key"
  expect 200 '.user_id > 0'
  # shellcheck disable=SC2153 # the answer of call
  first=$BODY
  keyed "$body" "$key"
  expect 200 "$first"
  equal "$(sql "SELECT count(*) FROM users WHERE username = '$(full_name keyed)'")" 1
  post /auth/register "$body"
  expect_error 400 'Username already registered'
  keyed "$body" "other-$key"
  expect_error 400 'Username already registered'
  # Another body is another registration: a key is nobody's.
  keyed "$(jq -c '.password = "another password"' <<<"$body")" "$key"
  expect_error 400 'Username already registered'
  keyed "$(account keyed_too)" "$key"
  expect 200 ".user_id != $(jq .user_id <<<"$first")"
  keyed "$(account keyed_three)" 'with blanks'
  expect_error 400 'Idempotency-Key must be 1 to 255 visible ASCII characters'
  keyed "$(account keyed_three)" "$(letters 256)"
  expect_error 400 'Idempotency-Key must be 1 to 255 visible ASCII characters'
}

@test "registrations at the same moment with one key and body are one account and one answer" {
  local key="register-$RANDOM$RANDOM"
  seq 6 | xargs -P 6 -I{} curl --silent --max-time 30 --retry 20 --retry-delay 1 --header "Idempotency-Key: $key" --json "$(account all_at_once)" \
    --write-out '\n' "$CHATTY_TEST_URL/auth/register" >"$BATS_TEST_TMPDIR/answers"
  # Some were told to come again meanwhile, and have.
  equal "$(jq -c 'select(.user_id)' "$BATS_TEST_TMPDIR/answers" | sort | uniq -c | awk '{ print $1 }')" 6
  equal "$(sql "SELECT count(*) FROM users WHERE username = '$(full_name all_at_once)'")" 1
}

@test "after a day the key of a registration is nothing any more, and no password can be found by it" {
  local body key="register-$RANDOM$RANDOM"
  body=$(account for_a_day)
  keyed "$body" "$key"
  expect 200
  equal "$(sql "SELECT count(*) FROM registration_keys k, users u WHERE u.id = k.user_id AND u.username = '$(full_name for_a_day)'
    AND k.request = sha256('$key $(full_name for_a_day) $(email_of for_a_day)')")" 1
  sql "UPDATE registration_keys SET created_at = now() - interval '25 hours'"
  keyed "$body" "$key"
  expect_error 400 'Username already registered'
}
