#!/usr/bin/env bats
# Those who guess, and those who ask for too much mail: on a stack of its own, whose limits are low.

load support
load stack
load locks

setup_file() {
  # A lock longer than any test, so that no slow machine sees one end; it ends when a test says so.
  start_stack CHATTY_LOGIN_WORKERS=2 CHATTY_LOGIN_FAILURES=4 CHATTY_LOGIN_LOCK=600 CHATTY_RATE_MAILS=3 CHATTY_TRUSTED_PROXIES=127.0.0.1
  resident ada
}

teardown_file() {
  stop_stack
}

# fail_to_log_in BODY TIMES [ADDRESS]: as often with a wrong password.
fail_to_log_in() {
  local n
  for ((n = 0; n < $2; n++)); do
    log_in_from "${3-127.0.0.1}" "$1"
    expect_error 400 'Invalid credentials'
  done
}

# log_in_from ADDRESS BODY: as a trusted proxy tells it.
log_in_from() { post /auth/login "$2" --header "X-Forwarded-For: $1"; }

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

@test "after some failures from a strange place it has to wait, with the right password too, and no longer than a while" {
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
  resident confirmed
  local n
  for n in {1..15}; do
    post /auth/login "$(credentials unconfirmed)"
    expect_error 400 'Account not verified'
  done
  log_in ada
  for n in 1 2 3 4 5 6; do
    as ada patch /auth/me "{\"current_password\": \"$PASSWORD\", \"email\": \"$(email_of confirmed)\"}"
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

@test "a right password gets in where its owner has logged in before, whatever strangers do there and elsewhere" {
  resident owner
  log_in_from 192.0.2.10 "$(credentials owner)"
  expect 200
  local wrong n
  wrong=$(credentials owner wrong)
  # At the same place too: a household, a company, a provider's customers behind one address.
  fail_to_log_in "$wrong" 4 192.0.2.10
  for n in 1 2 3 4 5 6 7 8; do
    log_in_from 192.0.2.10 "$wrong"
    expect_limited
  done
  log_in_from 192.0.2.10 "$(credentials owner)"
  expect 200
  # From everywhere, again and again: 40 in all are looked at, and one more a network.
  for n in {1..45}; do log_in_from "198.51.$n.7" "$wrong"; done
  log_in_from 192.0.2.10 "$(credentials owner)"
  expect 200
  # The address of a phone changes within its network of 64 bits.
  log_in_from 2001:db8:1:1::5 "$(credentials owner)"
  expect 200
  fail_to_log_in "$wrong" 4 2001:db8:1:1::9
  log_in_from 2001:db8:1:1::6 "$(credentials owner)"
  expect 200
  end_locks
}

@test "of strangers' guesses so many are looked at from a place, a network and everywhere, and no more" {
  local wrong n=0 host network
  resident guarded
  wrong=$(credentials guarded wrong)
  # Four from a place, twelve from its network.
  for host in 1 2 3; do fail_to_log_in "$wrong" 4 "203.0.113.$host"; done
  log_in_from 203.0.113.1 "$wrong"
  expect_limited
  log_in_from 203.0.113.4 "$wrong"
  expect_limited
  # Forty in all.
  for network in {1..7}; do fail_to_log_in "$wrong" 4 "203.1.$network.1"; done
  log_in_from 203.1.1.2 "$wrong"
  [[ $CODE == 429 || $CODE == 400 ]] || wrong 'neither looked at nor told to wait'
  # From then on one a network and day, so that the owner gets in from a place that is new to them.
  for network in 21 22; do
    fail_to_log_in "$wrong" 1 "203.1.$network.1"
    log_in_from "203.1.$network.2" "$wrong"
    expect_limited
  done
  log_in_from 203.1.30.1 "$(credentials guarded)"
  expect 200
  # That place is the owner's now.
  log_in_from 203.1.30.1 "$wrong"
  expect_error 400 'Invalid credentials'
  log_in_from 203.1.30.1 "$(credentials guarded)"
  expect 200
  # And strangers have gained nothing by it.
  log_in_from 203.1.22.3 "$wrong"
  expect_limited
  end_locks
}

@test "strangers' failures keep nobody from changing or deleting their account in a session that stands" {
  member steady
  local n
  fail_to_log_in "$(credentials steady wrong)" 4
  for n in {1..45}; do log_in_from "198.51.$n.9" "$(credentials steady wrong)"; done
  as steady patch /auth/me "{\"current_password\": \"$PASSWORD\", \"password\": \"a better password\"}"
  expect 200
  as steady delete /auth/me '{"current_password": "a better password"}'
  expect 200
  end_locks
}

@test "a password reset opens an account to its owner, at the place of the reset above all" {
  resident locked
  post /auth/password/forgot "$(jq -cn --arg email "$(email_of locked)" '{email: $email}')"
  expect 200
  local token n
  token=$(mailed "$(email_of locked)" '/reset-password#[A-Za-z0-9_-]+')
  fail_to_log_in "$(credentials locked wrong)" 4
  post /auth/login "$(credentials locked)"
  expect_limited
  post /auth/password/reset "$(jq -cn --arg token "${token#*#}" '{token: $token, password: "a better password"}')"
  expect 200
  log_in locked 'a better password'
  for n in {1..45}; do log_in_from "198.51.$n.7" "$(credentials locked wrong)"; done
  log_in locked 'a better password'
  end_locks
  forget_mails
}

@test "an operator ends the wait" {
  resident waiting
  fail_to_log_in "$(credentials waiting wrong)" 4
  post /auth/login "$(credentials waiting)"
  expect_limited
  "$BATS_TEST_DIRNAME/../../deploy/chatty" user unlock "$(full_name waiting)"
  log_in waiting
}

@test "a stolen token is no way to guess the password faster, and its failures are not the owner's" {
  member stolen
  local n other
  other=$(token_of stolen)
  log_in stolen
  for n in 1 2; do
    as stolen patch /auth/me '{"current_password": "wrong", "password": "a better password"}'
    expect_error 400 'Invalid credentials'
    as stolen delete /auth/me '{"current_password": "wrong"}'
    expect_error 400 'Invalid credentials'
  done
  as stolen patch /auth/me "{\"current_password\": \"$PASSWORD\", \"password\": \"a better password\"}"
  expect_limited
  bearing "$other" patch /auth/me "{\"current_password\": \"$PASSWORD\"}"
  expect 200
  post /auth/login "$(credentials stolen)"
  expect 200
  end_locks
  for n in 1 2 3 4 5 6; do
    as stolen patch /auth/me "{\"current_password\": \"$PASSWORD\"}"
    expect 200
  done
}

# -- Hashes -----------------------------------------------------------------------------------------------------------

@test "one user's changes, many at once, keep nobody else from logging in" {
  member greedy
  resident patient
  local n codes pid
  # So many that with the one who logs in they are no more than the pool's gate lets in: beyond it anybody gets a 503.
  seq 60 | xargs -P 6 -I{} curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 --request PATCH \
    --header "Authorization: Bearer $(token_of greedy)" --header 'Content-Type: application/json' \
    --data-binary "{\"current_password\": \"$PASSWORD\"}" "$CHATTY_TEST_URL/auth/me" >"$BATS_TEST_TMPDIR/codes" 3>&- &
  pid=$!
  for n in 1 2 3 4 5 6; do log_in patient; done
  wait "$pid"
  codes=$(sort "$BATS_TEST_TMPDIR/codes" | uniq -c | xargs)
  [[ $codes =~ ^[0-9]+\ 200\ [0-9]+\ 429$ ]] || wrong "the changes got $codes"
}

@test "of one name one hash is in work at a time, whichever route it is for, and others' are not held up" {
  member busy idle
  local token
  post /auth/password/forgot "$(jq -cn --arg email "$(email_of busy)" '{email: $email}')"
  token=$(mailed "$(email_of busy)" '/reset-password#[A-Za-z0-9_-]+')
  # As a worker does that is computing one.
  sql "SELECT claim_hash('$(full_name busy)', 'proof')"
  post /auth/login "$(credentials busy)"
  expect_limited 1
  post /auth/login "$(credentials busy wrong)"
  expect_limited 1
  as busy patch /auth/me "{\"current_password\": \"$PASSWORD\"}"
  expect_limited 1
  as busy delete /auth/me "{\"current_password\": \"$PASSWORD\"}"
  expect_limited 1
  post /auth/password/reset "$(jq -cn --arg token "${token#*#}" '{token: $token, password: "a better password"}')"
  expect_limited 1
  log_in idle
  # A worker that has died does not hold it for long.
  sql "UPDATE hashes_in_work SET until = now()"
  log_in busy
  equal "$(sql "SELECT count(*) FROM hashes_in_work")" 0
  forget_mails
}

# -- Mails ------------------------------------------------------------------------------------------------------------

# ask PATH ADDRESS
ask() {
  post "$1" "$(jq -cn --arg email "$2" '{email: $email}')"
}

# mails_of PURPOSE NAME: how many links of a purpose were written for an account; the requests before have been answered.
mails_of() {
  eventually 20 none_asked
  sql "SELECT count(*) FROM email_tokens WHERE purpose = '$1' AND user_id = $(id_of "$2")"
}

none_asked() { [[ $(sql "SELECT count(*) FROM outbox WHERE payload->>'template' = 'request'") == 0 ]]; }

@test "one client asks for no more than some mails an hour of a kind, whether they are sent or not" {
  forget_mails
  ask /auth/password/forgot "$(email_of ada)"
  expect 200
  ask /auth/password/forgot "nobody1@example.org"
  expect 200
  ask /auth/password/forgot "nobody2@example.org"
  expect 200
  ask /auth/password/forgot "$(email_of ada)"
  expect_limited 3600
  ask /auth/password/forgot "nobody3@example.org"
  expect_limited 3600
  # Another kind is counted for itself.
  ask /auth/verify "nobody3@example.org"
  expect 200
  as ada patch /auth/me "{\"current_password\": \"$PASSWORD\", \"email\": \"another-$(email_of ada)\"}"
  [[ $CODE != 429 ]] || wrong 'the kinds are counted together'
}

@test "links that nobody gets use up nothing of what a mailbox may get" {
  forget_mails
  resident verified
  local n
  for n in 1 2 3 4 5; do
    sql "DELETE FROM throttles WHERE kind = 'mail_from'"
    ask /auth/verify "$(email_of verified)"
    expect 200
  done
  sql "DELETE FROM throttles WHERE kind = 'mail_from'"
  equal "$(mails_of verify verified)" 0
  equal "$(sql "SELECT count(*) FROM throttles WHERE kind = 'mail_to'")" 0
  ask /auth/password/forgot "$(email_of verified)"
  expect 200
  mailed "$(email_of verified)" '/reset-password#[A-Za-z0-9_-]+'
  # From the same client, too.
  for n in 1 2 3 4 5; do ask /auth/verify "$(email_of verified)"; done
  ask /auth/password/forgot "$(email_of verified)"
  expect 200
  forget_mails
}

@test "no mailbox gets more than some mails an hour of a kind, whoever asks, and the answers do not tell" {
  forget_mails
  resident wanted
  local n
  for n in 1 2 3 4 5; do
    ask /auth/password/forgot "$(email_of wanted)"
    expect 200 '{"message": "If the account exists, an email is on its way"}'
    sql "DELETE FROM throttles WHERE kind = 'mail_from'"
  done
  equal "$(mails_of reset wanted)" 3
  # Who may not ask queues nothing.
  forget_mails
  for n in 1 2 3 4 5; do ask /auth/password/forgot "nobody$n@example.org"; done
  expect_limited 3600
  forget_mails
}

@test "registrations to one mailbox are counted with whatever is behind a plus" {
  forget_mails
  local n
  for n in 1 2 3; do
    post /auth/register "$(account "tag$n" | jq -c ".email |= sub(\"tag$n\"; \"tagged\") | .email |= sub(\"@\"; \"+$n@\")")"
    expect 200
  done
  post /auth/register "$(account tag4 | jq -c '.email |= sub("tag4"; "TAGGED") | .email |= sub("@"; "+x+y@")')"
  expect_limited 3600
  post /auth/register "$(account tagged)"
  expect_limited 3600
  equal "$(sql "SELECT count(*) FROM users WHERE username IN ('$(full_name tag4)', '$(full_name tagged)')")" 0
  # They spend nothing of what else is mailed there, nor of other mailboxes.
  register other
  forget_mails
}

@test "a new address and a forgotten password at the same moment, of one account and from one client, do not get in each other's way" {
  member mover
  forget_mails
  hold "SELECT id FROM users WHERE id = $(id_of mover) FOR NO KEY UPDATE"
  send "{\"email\": \"$(email_of mover)\"}" /auth/password/forgot >"$BATS_TEST_TMPDIR/forgot" &
  local forgot=$!
  # The worker's, which answers the request.
  eventually 10 waits_for_lock 1
  send "{\"current_password\": \"$PASSWORD\", \"email\": \"new-$(email_of mover)\"}" /auth/me --request PATCH \
    --header "Authorization: Bearer $(token_of mover)" >"$BATS_TEST_TMPDIR/change" &
  local change=$!
  eventually 10 waits_for_lock 2
  release
  wait "$forgot" "$change"
  equal "$(cat "$BATS_TEST_TMPDIR"/{forgot,change} | xargs)" '200 200'
  mailed "$(email_of mover)" '/reset-password#[A-Za-z0-9_-]+'
  mailed "new-$(email_of mover)" '/auth/verify'
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
