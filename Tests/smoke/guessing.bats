#!/usr/bin/env bats
# Those who guess, and those who ask for too much mail: on a stack of its own, whose limits are low.

load support
load stack
load locks

setup_file() {
  # A lock longer than any test, so that no slow machine sees one end; it ends when a test says so.
  start_stack CHATTY_LOGIN_FAILURES=4 CHATTY_LOGIN_LOCK=600 CHATTY_RATE_MAILS=3
  resident ada
}

teardown_file() {
  stop_stack
}

# fail_to_log_in BODY TIMES: as often with a wrong password.
fail_to_log_in() {
  local n
  for ((n = 0; n < $2; n++)); do
    post /auth/login "$1"
    expect_error 400 'Invalid credentials'
  done
}

expect_limited() {
  expect_error 429 'Too many requests'
  local seconds
  seconds=$(header Retry-After)
  ((seconds >= 1 && seconds <= ${1-600})) || wrong "Retry-After: $seconds"
}

# end_locks [INTERVAL]: they end now, or after it.
end_locks() { sql "UPDATE throttles SET resets_at = now() + interval '${1-0}' WHERE kind = 'login'"; }

forget_mails() {
  sql "DELETE FROM throttles WHERE kind LIKE 'mail%'"
}

# -- Logins -----------------------------------------------------------------------------------------------------------

@test "after some failures the name is locked, for the right password too, and opens again by itself" {
  local body
  body=$(credentials ada wrong)
  fail_to_log_in "$body" 4
  post /auth/login "$body"
  expect_limited
  post /auth/login "$(credentials ada)"
  expect_limited
  # Attempts meanwhile do not prolong it.
  end_locks '3 seconds'
  eventually 30 gets_in ada
}

gets_in() {
  post /auth/login "$(credentials "$1")"
  [[ $CODE == 200 ]]
}

@test "a success forgives the failures before it" {
  fail_to_log_in "$(credentials ada wrong)" 3
  log_in ada
  fail_to_log_in "$(credentials ada wrong)" 3
  log_in ada
}

@test "the right password is no failure, whatever the account's state, and whatever else is wrong with a change" {
  register unconfirmed
  local n
  for n in 1 2 3 4 5 6; do
    post /auth/login "$(credentials unconfirmed)"
    expect_error 400 'Account not verified'
  done
  log_in ada
  for n in 1 2 3 4 5 6; do
    as ada patch /auth/me "{\"current_password\": \"$PASSWORD\", \"email\": \"$(email_of unconfirmed)\"}"
    expect_error 400 'Email already registered'
  done
  log_in ada
}

@test "names are locked whatever their case, whether there is such an account or not" {
  local body
  for body in "$(credentials ada wrong)" "$(credentials nobody wrong)"; do
    fail_to_log_in "$body" 2
    fail_to_log_in "$(jq -c '.username |= ascii_upcase' <<<"$body")" 2
    post /auth/login "$body"
    expect_limited
  done
  end_locks
}

@test "a lock tells nobody which address is whose, and locks nobody else out" {
  resident bob
  fail_to_log_in "$(credentials ada wrong)" 4
  post /auth/login "$(jq -cn --arg username "$(email_of ada)" --arg password "$PASSWORD" '{username: $username, password: $password}')"
  expect 200
  log_in bob
  end_locks
}

@test "many guesses at the same moment are no more than one after the other" {
  resident target
  local body codes
  body=$(credentials target wrong)
  codes=$(seq 40 | xargs -P 20 -I{} curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 \
    --header 'Content-Type: application/json' --data-binary "$body" "$CHATTY_TEST_URL/auth/login")
  [[ $(grep -c '^400' <<<"$codes") -le 4 && $(grep -cE '^(400|429|503)$' <<<"$codes") == 40 ]] || wrong "$(sort <<<"$codes" | uniq -c | xargs)"
}

@test "a password reset opens a locked account" {
  member locked
  post /auth/password/forgot "$(jq -cn --arg email "$(email_of locked)" '{email: $email}')"
  expect 200
  local token
  token=$(mailed "$(email_of locked)" '/reset-password#[A-Za-z0-9_-]+')
  fail_to_log_in "$(credentials locked wrong)" 4
  post /auth/login "$(credentials locked)"
  expect_limited
  post /auth/password/reset "$(jq -cn --arg token "${token#*#}" '{token: $token, password: "a better password"}')"
  expect 200
  log_in locked 'a better password'
  forget_mails
}

@test "an operator opens a locked account" {
  member waiting
  fail_to_log_in "$(credentials waiting wrong)" 4
  post /auth/login "$(credentials waiting)"
  expect_limited
  "$BATS_TEST_DIRNAME/../../deploy/chatty" user unlock "$(full_name waiting)"
  log_in waiting
}

@test "a stolen token is no way to guess the password faster" {
  member stolen
  local n
  for n in 1 2; do
    as stolen patch /auth/me '{"current_password": "wrong", "password": "a better password"}'
    expect_error 400 'Invalid credentials'
    as stolen delete /auth/me '{"current_password": "wrong"}'
    expect_error 400 'Invalid credentials'
  done
  as stolen patch /auth/me "{\"current_password\": \"$PASSWORD\", \"password\": \"a better password\"}"
  expect_limited
  post /auth/login "$(credentials stolen)"
  expect_limited
  end_locks
  for n in 1 2 3 4 5 6; do
    as stolen patch /auth/me "{\"current_password\": \"$PASSWORD\"}"
    expect 200
  done
}

# -- Mails ------------------------------------------------------------------------------------------------------------

# ask PATH ADDRESS
ask() {
  post "$1" "$(jq -cn --arg email "$2" '{email: $email}')"
}

@test "one client asks for no more than some mails an hour, of whatever kind, whether they are sent or not" {
  forget_mails
  ask /auth/password/forgot "$(email_of ada)"
  expect 200
  ask /auth/verify "nobody1@example.org"
  expect 200
  ask /auth/password/forgot "nobody2@example.org"
  expect 200
  ask /auth/password/forgot "$(email_of ada)"
  expect_limited 3600
  ask /auth/verify "nobody3@example.org"
  expect_limited 3600
  as stolen patch /auth/me "{\"current_password\": \"$PASSWORD\", \"email\": \"another-$(email_of ada)\"}"
  expect_limited 3600
}

@test "nobody gets more than some mails an hour, whoever asks" {
  forget_mails
  local n
  for n in 1 2 3; do
    ask /auth/password/forgot "$(email_of ada)"
    expect 200
    sql "DELETE FROM throttles WHERE kind = 'mail_from'"
  done
  ask /auth/password/forgot "$(email_of ada)"
  expect_limited 3600
  # Who may not ask uses up nothing of others'.
  forget_mails
  for n in 1 2 3 4 5; do ask /auth/password/forgot "nobody$n@example.org"; done
  expect_limited 3600
  equal "$(sql "SELECT count(*) FROM throttles WHERE kind = 'mail_to'")" 3
  forget_mails
}

@test "a new address and a forgotten password at the same moment, of one account and from one client, wait for each other in order" {
  member mover
  forget_mails
  ask /auth/verify "nobody@example.org"
  expect 200
  hold "SELECT used FROM throttles WHERE kind = 'mail_from' FOR UPDATE"
  send "{\"email\": \"$(email_of mover)\"}" /auth/password/forgot >"$BATS_TEST_TMPDIR/forgot" &
  local forgot=$!
  eventually 10 waits_for_lock 1
  send "{\"current_password\": \"$PASSWORD\", \"email\": \"new-$(email_of mover)\"}" /auth/me --request PATCH \
    --header "Authorization: Bearer $(token_of mover)" >"$BATS_TEST_TMPDIR/change" &
  local change=$!
  eventually 10 waits_for_lock 2
  release
  wait "$forgot" "$change"
  equal "$(cat "$BATS_TEST_TMPDIR"/{forgot,change} | xargs)" '200 200'
  forget_mails
}

@test "a change that is refused for its password uses up nobody's mails" {
  member unlucky
  forget_mails
  local n
  for n in 1 2 3; do
    as unlucky patch /auth/me "{\"current_password\": \"wrong\", \"email\": \"new-$(email_of unlucky)\"}"
    expect_error 400 'Invalid credentials'
  done
  as unlucky patch /auth/me "{\"current_password\": \"$PASSWORD\", \"email\": \"new-$(email_of unlucky)\"}"
  expect 200
  equal "$(sql "SELECT DISTINCT used FROM throttles WHERE kind LIKE 'mail%'")" 1
  forget_mails
}
