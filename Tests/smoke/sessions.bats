#!/usr/bin/env bats
# Sessions: how they are continued, listed and ended.

load support

setup_file() {
  member ada bob
}

setup() {
  log_in ada
}

# renew NAME [REFRESH TOKEN]: continues NAME's session, and keeps the new tokens.
renew() {
  post /auth/refresh "$(jq -cn --arg token "${2-$(refresh_token_of "$1")}" '{refresh_token: $token}')"
  if [[ $CODE == 200 ]]; then
    field .token >"$BATS_FILE_TMPDIR/$1.token"
    field .refresh_token >"$BATS_FILE_TMPDIR/$1.refresh"
  fi
}

expect_refused() {
  expect_error 401 'Invalid refresh token'
}

# -- Refreshing -------------------------------------------------------------------------------------------------------

@test "a refresh answers as a login does, with another refresh token, for the same session" {
  local before session
  before=$(refresh_token_of ada)
  as ada get /auth/sessions
  session=$(field '.[] | select(.current) | .id')
  renew ada
  expect 200 '.message == "Login successful" and .token_type == "bearer" and .expires_in == 900' ".user_id == $(id_of ada)" \
    ".refresh_token != \"$before\"" '.token | split(".") | length == 3'
  as ada get /auth/sessions
  expect 200 "any(.[]; .current and .id == $session)"
}

@test "a session can be continued again and again, and lasts thirty days from the last time" {
  for _ in 1 2 3 4 5; do
    renew ada
    expect 200
  done
  as ada get /auth/me
  expect 200
  equal "$(sql "SELECT expires_at > now() + interval '29 days 23 hours' FROM sessions WHERE user_id = $(id_of ada) AND ended_at IS NULL ORDER BY id DESC LIMIT 1")" t
}

# later: as if the last refresh of every session of NAME had been so many seconds before.
later() { sql "UPDATE sessions SET rotated_at = rotated_at - interval '$2 seconds' WHERE user_id = $(id_of "$1")"; }

@test "the token before gets the same tokens again for 30 seconds, and the session goes on" {
  local old first
  old=$(refresh_token_of ada)
  renew ada
  expect 200
  # shellcheck disable=SC2153 # the answer of call
  first=$BODY
  renew ada "$old"
  expect 200 "$first"
  later ada 25
  renew ada "$old"
  expect 200 "$first"
  as ada get /auth/me
  expect 200
  renew ada
  expect 200
  as ada get /auth/me
  expect 200
}

@test "after 30 seconds the token before ends the session" {
  local old
  old=$(refresh_token_of ada)
  renew ada
  later ada 31
  renew thief "$old"
  expect_refused
  as ada get /auth/me
  expect_unauthenticated
}

@test "the tokens that are kept for that are not in the database in the clear, and not without the old token" {
  local old
  old=$(refresh_token_of ada)
  renew ada
  equal "$(sql "SELECT count(*) FROM sessions WHERE user_id = $(id_of ada) AND position('$(token_of ada | cut -d. -f3)'::bytea IN successor) > 0")" 0
  # Whoever could write there gains nothing: what was sealed with another token does not open.
  sql "UPDATE sessions SET successor = (SELECT successor FROM sessions WHERE successor IS NOT NULL AND id <> s.id LIMIT 1) FROM sessions s
    WHERE sessions.id = s.id AND s.user_id = $(id_of ada) AND s.rotated_at IS NOT NULL"
  renew thief "$old"
  expect_refused
}

@test "a refresh token used again later ends its session, with what the first use gave, and no other session" {
  local old other
  other=$(token_of ada)
  log_in ada
  old=$(refresh_token_of ada)
  renew ada
  expect 200
  as ada get /auth/me
  expect 200
  later ada 31
  renew thief "$old"
  expect_refused
  as ada get /auth/me
  expect_unauthenticated
  renew ada
  expect_refused
  bearing "$other" get /auth/me
  expect 200
}

@test "so does a token from long before, which nobody keeps" {
  local first
  first=$(refresh_token_of ada)
  for _ in 1 2 3; do renew ada; done
  renew thief "$first"
  expect_refused
  as ada get /auth/me
  expect_unauthenticated
}

@test "refreshes with one token at the same moment all get the same tokens, and the session goes on" {
  local body
  for _ in 1 2 3; do
    log_in ada
    body=$(jq -cn --arg token "$(refresh_token_of ada)" '{refresh_token: $token}')
    seq 8 | xargs -P 8 -I{} curl --silent --max-time 20 --header 'Content-Type: application/json' --data-binary "$body" --write-out '\n' \
      "$CHATTY_TEST_URL/auth/refresh" >"$BATS_TEST_TMPDIR/answers"
    equal "$(jq -c 'select(.token) | [.token, .refresh_token]' "$BATS_TEST_TMPDIR/answers" | sort | uniq -c | awk '{ print $1 }')" 8
    # Those who wrote at once may have written on one line.
    bearing "$(jq -rs '.[0].token' "$BATS_TEST_TMPDIR/answers")" get /auth/me
    expect 200
    renew ada "$(jq -rs '.[0].refresh_token' "$BATS_TEST_TMPDIR/answers")"
    expect 200
  done
}

@test "what is no refresh token continues nothing and ends nothing" {
  local good each
  good=$(refresh_token_of ada)
  for each in x . "${good%.*}x.${good#*.}" "x${good}" "$(refresh_token_of bob | cut -d. -f1)x.${good#*.}" "$(token_of ada)" "$(letters 87)"; do
    renew nobody "${each:0:200}"
    expect_refused
  done
  renew nobody "$(letters 201)"
  expect_invalid body.refresh_token:string_too_long
  post /auth/refresh '{}'
  expect_invalid body.refresh_token:missing
  post /auth/refresh '{"refresh_token": 7}'
  expect_invalid body.refresh_token:string_type
  renew ada
  expect 200
}

@test "one account's token does not continue another's session" {
  log_in bob
  renew nobody "$(refresh_token_of bob | cut -d. -f1).$(refresh_token_of ada | cut -d. -f2)"
  expect_refused
  as ada get /auth/me
  expect 200
  # Whoever has the half that names a session had a token of it.
  as bob get /auth/me
  expect_unauthenticated
}

@test "after logout, expiry or a block there is nothing to continue" {
  as ada post /auth/logout
  expect 200
  renew ada
  expect_refused

  log_in ada
  sql "UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = $(id_of ada)"
  renew ada
  expect_refused

  member blocked
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of blocked)"
  renew blocked
  expect_refused
  sql "UPDATE users SET blocked_at = NULL WHERE id = $(id_of blocked)"
  renew blocked
  expect 200
}

@test "neither half of a refresh token is stored" {
  local half
  for half in $(refresh_token_of ada | tr . ' '); do
    equal "$(sql "SELECT count(*) FROM sessions s WHERE s::text LIKE '%$half%'")" 0
  done
}

# -- The list ---------------------------------------------------------------------------------------------------------

@test "the list shows one's own standing sessions, newest first, and which one asks" {
  member list
  post /auth/login "$(credentials list)" --user-agent 'A phone'
  expect 200
  local phone
  phone=$(field .token)
  log_in list
  as list post /auth/logout
  log_in list
  log_in bob
  bearing "$phone" get /auth/sessions
  expect 200 'length == 3' '[.[].id] == ([.[].id] | sort | reverse)' '[.[].current] == [false, true, false]' \
    '.[1].user_agent == "A phone" and .[1].ip == "127.0.0.1"' \
    'all(.[]; (keys | sort) == ["created_at", "current", "id", "ip", "last_used_at", "user_agent"] and (.created_at | endswith("Z")))'
  as bob get /auth/sessions
  expect 200 'all(.[]; .user_agent != "A phone")'
}

@test "the list comes in pages" {
  member pages
  for _ in 1 2 3 4; do log_in pages; done
  local whole
  as pages get /auth/sessions
  whole=$(field '[.[].id] | @csv')
  equal "$(walk '/auth/sessions?limit=2' '.[].id' pages | paste -sd,)" "$whole"
  as pages get '/auth/sessions?limit=0'
  expect_invalid query.limit:greater_than_equal
}

@test "a session is ended from another, at once, and only once" {
  member end
  local other session
  other=$(token_of end)
  log_in end
  as end get /auth/sessions
  session=$(field '.[] | select(.current | not) | .id')
  as end delete "/auth/sessions/$session"
  expect 200 '{"message": "Session ended"}'
  bearing "$other" get /auth/me
  expect_unauthenticated
  as end delete "/auth/sessions/$session"
  expect_error 404 'Session not found'
  as end get /auth/sessions
  expect 200 'length == 1'
}

@test "one's own session can be ended too" {
  member own
  as own get /auth/sessions
  as own delete "/auth/sessions/$(field '.[0].id')"
  expect 200
  as own get /auth/me
  expect_unauthenticated
}

@test "all other sessions are ended in one go" {
  member others
  local one two
  one=$(token_of others)
  log_in others
  two=$(token_of others)
  log_in others
  as others delete /auth/sessions
  expect 200 '{"message": "Other sessions ended"}'
  bearing "$one" get /auth/me
  expect_unauthenticated
  bearing "$two" get /auth/me
  expect_unauthenticated
  as others get /auth/sessions
  expect 200 'length == 1'
}

@test "nobody sees or ends another's session" {
  log_in bob
  as bob get /auth/sessions
  local session
  session=$(field '.[0].id')
  as ada delete "/auth/sessions/$session"
  expect_error 404 'Session not found'
  as bob get /auth/me
  expect 200
  as ada delete /auth/sessions/9223372036854775807
  expect_error 404 'Session not found'
  as ada delete /auth/sessions/0
  expect_invalid path.id:greater_than
}

@test "the routes of sessions are for users whose session stands" {
  local method
  as ada post /auth/logout
  for method in get delete; do
    "$method" /auth/sessions
    expect_unauthenticated
    as ada "$method" /auth/sessions
    expect_unauthenticated
  done
  as ada delete /auth/sessions/1
  expect_unauthenticated
}
