#!/usr/bin/env bats
# Which usernames can be had, and which names are the same: on a stack of its own, whose database sorts and folds as Turkish does.

load support
load stack

bats_require_minimum_version 1.5.0

setup_file() {
  start_stack
  # The cluster is made with C.UTF-8; lower('INFO') is 'info' there.
  psql --no-psqlrc --quiet "postgresql:///postgres?host=$CHATTY_HOME/run&user=postgres" --command 'DROP DATABASE chatty WITH (FORCE)' \
    --command "CREATE DATABASE chatty OWNER chatty_owner TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8'"
  up
  resident ada
}

teardown_file() {
  stop_stack
}

# name NAME: tries to register it.
name() {
  post /auth/register "$(jq -cn --arg name "$1" --arg email "n$RANDOM$RANDOM@example.org" '{username: $name, email: $email, password: "long enough"}')"
}

@test "the database of this file is a Turkish one" {
  equal "$(sql "SELECT lower('INFO') = 'info'")" f
}

@test "names and addresses are the same whatever their case, by no rule of the database" {
  name TIIP_ONE
  expect 200
  name tiip_one
  expect_error 400 'Username already registered'
  sql "UPDATE users SET email = 'INFO@INT.EXAMPLE', verified_at = now() WHERE username = 'TIIP_ONE'"
  post /auth/register '{"username": "somebody.else", "email": "info@int.example", "password": "long enough"}'
  expect_error 400 'Email already registered'
  local login
  for login in tiip_one TIIP_ONE info@int.example INFO@INT.EXAMPLE; do
    post /auth/login "{\"username\": \"$login\", \"password\": \"long enough\"}"
    expect 200
  done
  post /auth/password/forgot '{"email": "info@INT.example"}'
  mailed INFO@INT.EXAMPLE '/reset-password#[A-Za-z0-9_-]+'
  post /auth/login '{"username": "info@int.example", "password": "long enough"}'
  get '/auth/users?username=tiIP'
  expect 200 '[.[].username] == ["TIIP_ONE"]'
  "$BATS_TEST_DIRNAME/../../deploy/chatty" user show tiip_ONE
}

@test "a limit on guessing is not evaded by case" {
  equal "$(sql "SELECT throttle_subject('INFO', 'x') = throttle_subject('info', 'x')")" t
  equal "$(sql "SELECT throttle('login', 'INFO', 1, '1 minute') || ' ' || (throttle('login', 'info', 1, '1 minute') > 0)")" '0 true'
}

@test "a name is taken with its dots, dashes and underscores anywhere else, or nowhere" {
  name mary.ann
  expect 200
  local twin
  for twin in maryann MARY-ANN m.a.r.y.a.n.n mary_ann mary.ann.; do
    name "$twin"
    expect_error 400 'Username already registered'
  done
  name mary.anne
  expect 200
  # One logs in by the name as it is.
  post /auth/login '{"username": "maryann", "password": "long enough"}'
  expect_error 400 'Invalid credentials'
}

@test "reserved names, in whatever spelling, and names that begin with no letter or digit are refused" {
  local refused
  for refused in admin Admin ADMIN ad.min a-d_m_i_n admins root moderator support postmaster api m.e. me_ hostmaster no-reply noreply \
    Mailer-Daemon security www info null system chatty login reset-password; do
    name "$refused"
    expect_invalid body.username:value_error
  done
  for refused in ... --- ___ .-_ -abc .abc _abc -rf --help; do
    name "$refused"
    expect_invalid body.username:string_pattern_mismatch
  done
  local free
  for free in administrative admina rooted mesa apiary 9lives a-- supporter_; do
    name "$free"
    expect 200
  done
  "$BATS_TEST_DIRNAME/../../deploy/chatty" user create admin admin@example.org <<<'an operator may'
}

@test "a database that holds twins of before the rule keeps them, and takes no third" {
  local scratch=chatty_twins_$RANDOM url
  url=$(sed -E "s|/chatty\?|/$scratch?|" <<<"$CHATTY_TEST_DATABASE_URL")
  on_twins() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$url" "$@"; }
  psql --no-psqlrc --quiet "$CHATTY_TEST_DATABASE_URL" \
    --command "CREATE DATABASE $scratch TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8'"
  # The files from before, then the rows, then the rest.
  local before=$BATS_TEST_TMPDIR/before
  mkdir -p "$before/deploy" "$before/sql"
  cp -R "$BATS_TEST_DIRNAME"/../../deploy/{lib,migrate,postgres} "$before/deploy/"
  cp "$BATS_TEST_DIRNAME"/../../sql/00{0?,1?,2[0-4]}_*.sql "$before/sql/"
  CHATTY_DATABASE_OWNER_URL=$url "$before/deploy/migrate" >/dev/null
  on_twins --command "INSERT INTO users (username, email, hashed_password, verified_at) SELECT name, name || '@example.org', 'x', now()
    FROM unnest('{INFO,info,a.b.c,abc,other}'::text[]) name"
  CHATTY_DATABASE_OWNER_URL=$url "$BATS_TEST_DIRNAME/../../deploy/migrate" >/dev/null
  equal "$(on_twins --command "SELECT string_agg(username, ' ' ORDER BY id) FROM users WHERE is_twin")" 'info abc'
  run -1 on_twins --command "INSERT INTO users (username, email, hashed_password) VALUES ('ab-c', 'x@example.org', 'x')"
  [[ $output == *users_username_key* ]]
  run -1 on_twins --command "INSERT INTO users (username, email, hashed_password) VALUES ('new', 'Info@example.org', 'x')"
  [[ $output == *users_email_key* ]]
  psql --no-psqlrc --quiet "$CHATTY_TEST_DATABASE_URL" --command "DROP DATABASE $scratch WITH (FORCE)"
}

@test "an address whose top-level domain is a number is none" {
  local address
  for address in a@example.1 a@127.0.0.1 a@1.2.3.4 a@b.0x7f a@b.0X a@example.007; do
    post /auth/register "{\"username\": \"somebody.new\", \"email\": \"$address\", \"password\": \"long enough\"}"
    expect_invalid body.email:value_error
  done
  post /auth/password/forgot '{"email": "a@10.0.0.1"}'
  expect_invalid body.email:value_error
}
