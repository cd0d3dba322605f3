#!/usr/bin/env bats
# What chatty-worker removes when its time is over.

load support
load stack

# age NAME DAYS: as if they had registered so long ago, with all the links that they were mailed.
age() {
  sql "UPDATE users SET created_at = created_at - interval '$2 days' WHERE id = $(id_of "$1");
    UPDATE email_tokens SET created_at = created_at - interval '$2 days', expires_at = expires_at - interval '$2 days' WHERE user_id = $(id_of "$1")"
}

ask_for_link() {
  post /auth/verify "{\"email\": \"$(email_of "$1")\"}"
  expect 200
}

# sweep: the worker does so when it starts.
sweep() { sv -w 45 restart "$CHATTY_HOME/service/worker" >/dev/null; }

exists() { [[ $(sql "SELECT count(*) FROM users WHERE id = $(id_of "$1")") == 1 ]]; }
is_gone() { ! exists "$1"; }

@test "an account that nobody confirms for a week is removed, and its names are free; all others stay" {
  local name
  for name in abandoned young waiting blocked confirmed moderator former; do register "$name"; done
  # Nothing else tells it from an abandoned one.
  register imported
  sql "DELETE FROM email_tokens WHERE user_id = $(id_of imported)"
  ask_for_link imported
  eventually 20 has_links imported 1
  for name in abandoned waiting blocked confirmed moderator former imported; do age "$name" 8; done
  age young 6
  # The new link is good for two days more.
  ask_for_link waiting
  eventually 20 has_links waiting 2
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of blocked);
    UPDATE users SET verified_at = now() WHERE id = $(id_of confirmed);
    UPDATE users SET role = 'moderator' WHERE id = $(id_of moderator);
    INSERT INTO sessions (user_id, refresh_hash, expires_at) VALUES ($(id_of former), sha256('x'), now() + interval '30 days')"
  sweep
  eventually 30 is_gone abandoned
  for name in young waiting blocked confirmed moderator former imported; do exists "$name" || wrong "$name is gone too"; done
  register abandoned
}

@test "however often a link is asked for, an account that nobody confirms is gone after twice its time" {
  register squatter
  age squatter 13
  ask_for_link squatter
  eventually 20 has_links squatter 2
  register marker
  age marker 8
  sweep
  eventually 30 is_gone marker
  exists squatter || wrong 'it is gone too early'
  sql "UPDATE users SET created_at = created_at - interval '2 days' WHERE id = $(id_of squatter);
    UPDATE email_tokens SET created_at = created_at - interval '2 days' WHERE user_id = $(id_of squatter)"
  sweep
  eventually 30 is_gone squatter
}

has_links() { [[ $(sql "SELECT count(*) FROM email_tokens WHERE user_id = $(id_of "$1")") == "$2" ]]; }
