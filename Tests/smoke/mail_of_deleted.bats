#!/usr/bin/env bats
# Mail that waits for an account goes when the account does, and nobody else's mail.

load support
load stack

setup_file() { member staying; }

setup() {
  member "leaving$BATS_TEST_NUMBER"
  LEAVING=leaving$BATS_TEST_NUMBER
  # Given up, so that the worker leaves it where it is.
  sql "INSERT INTO outbox (kind, payload, dead_at)
    SELECT 'mail', jsonb_build_object('template', 'reset', 'to', email, 'username', username, 'user_id', id, 'token', 'secret'), now()
    FROM users WHERE id IN ($(id_of "$LEAVING"), $(id_of staying));
    INSERT INTO outbox (kind, payload, dead_at)
    SELECT 'mail', jsonb_build_object('template', 'request', 'purpose', 'reset', 'address', upper(email), 'token', 'secret', 'allowed', 5), now()
    FROM users WHERE id IN ($(id_of "$LEAVING"), $(id_of staying))" >/dev/null
  equal "$(waiting_for "$LEAVING")" 2
  ADDRESS=$(address_of "$LEAVING")
}

address_of() { sql "SELECT email FROM users WHERE id = $(id_of "$1")"; }

# waiting_for NAME: rows of the outbox about the account or to its address.
waiting_for() { rows_about "$(id_of "$1")" "$(address_of "$1")"; }

# rows_about ID ADDRESS
rows_about() {
  sql "SELECT count(*) FROM outbox WHERE payload->>'user_id' = '$1' OR lower(coalesce(payload->>'to', payload->>'address')) = lower('$2')"
}

# only_the_other_stays
only_the_other_stays() {
  equal "$(rows_about "$(id_of "$LEAVING")" "$ADDRESS")" 0 'mail of the account that is gone'
  [[ $(waiting_for staying) -ge 2 ]] || wrong "mail of another account: $(waiting_for staying)"
}

@test "mail of an account that its owner deletes does not wait any longer" {
  as "$LEAVING" delete /auth/me "{\"current_password\": \"$PASSWORD\"}"
  expect 200
  only_the_other_stays
}

@test "nor does mail of an account that an operator deletes" {
  "$ROOT/deploy/chatty" user delete --id "$(id_of "$LEAVING")"
  only_the_other_stays
}

@test "nor does mail of an account that was never confirmed and is swept" {
  sql "UPDATE users SET verified_at = NULL, created_at = created_at - interval '40 days' WHERE id = $(id_of "$LEAVING");
    INSERT INTO email_tokens (token_hash, user_id, purpose, created_at, expires_at)
      SELECT sha256('$LEAVING'), id, 'verify', created_at, now() - interval '38 days' FROM users WHERE id = $(id_of "$LEAVING");
    DELETE FROM sessions WHERE user_id = $(id_of "$LEAVING");
    SELECT remove_abandoned_accounts(interval '7 days', 1000)" >/dev/null
  equal "$(sql "SELECT count(*) FROM users WHERE id = $(id_of "$LEAVING")")" 0
  only_the_other_stays
}
