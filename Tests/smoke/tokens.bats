#!/usr/bin/env bats
# Access tokens and a standard JWT library: it accepts ours, and neither it nor we accept a forged one.

load support

setup_file() {
  member ada
}

@test "a standard library accepts the token by the published keys, and refuses every forgery, as every service does" {
  run /usr/bin/python3 "$BATS_TEST_DIRNAME/tokens.py" "$CHATTY_TEST_URL" "$(token_of ada)" "$CHATTY_HOME/keys/private.pem"
  [[ $status == 0 && $output == *' forgeries refused' ]] || wrong "$output"
}

@test "so it is after the key was rotated, for the old token and for a new one" {
  local old
  old=$(token_of ada)
  cp "$CHATTY_HOME/keys/private.pem" "$BATS_TEST_TMPDIR/old.pem"
  "$BATS_TEST_DIRNAME/../../deploy/chatty" keys rotate
  run /usr/bin/python3 "$BATS_TEST_DIRNAME/tokens.py" "$CHATTY_TEST_URL" "$old" "$BATS_TEST_TMPDIR/old.pem"
  [[ $status == 0 && $output == *' forgeries refused' ]] || wrong "$output"
  post /auth/refresh "{\"refresh_token\": \"$(refresh_token_of ada)\"}"
  expect 200
  run /usr/bin/python3 "$BATS_TEST_DIRNAME/tokens.py" "$CHATTY_TEST_URL" "$(field .token)" "$CHATTY_HOME/keys/private.pem"
  [[ $status == 0 && $output == *' forgeries refused' ]] || wrong "$output"
}

@test "the private key is readable by chatty-auth alone" {
  local user
  equal "$(stat -c %a "$CHATTY_HOME/keys/private.pem")" 600
  if [[ $EUID != 0 ]]; then return; fi
  for user in chatty-posts chatty-feed chatty-admin chatty-recommendations chatty-worker www-data; do
    run setpriv --reuid="$user" --regid="$user" --clear-groups cat "$CHATTY_HOME/keys/private.pem"
    [[ $status != 0 && $output == *'ermission denied'* ]] || wrong "$user can read the private key"
  done
  setpriv --reuid=chatty-auth --regid=chatty-auth --clear-groups test -r "$CHATTY_HOME/keys/private.pem"
}
