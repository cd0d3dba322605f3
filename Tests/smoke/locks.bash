#!/usr/bin/env bash
# Somebody else's transaction in the way: what a request does that has to wait for a lock, and after it.

# hold STATEMENT: runs it in a transaction that stays open until release. It must give a row.
hold() {
  coproc HOLDER { psql --no-psqlrc --quiet --tuples-only --no-align "$CHATTY_TEST_DATABASE_URL" 2>&1 3>&-; }
  printf 'BEGIN;\n%s;\n' "$1" >&"${HOLDER[1]}"
  read -r <&"${HOLDER[0]}"
}

# hold_account NAME: keeps the account's row locked, as a block does.
hold_account() { hold "SELECT id FROM users WHERE id = $(id_of "$1") FOR NO KEY UPDATE"; }

# release [COMMIT]: ends the transaction; unless it says so nothing of it remains.
release() {
  local pid=$HOLDER_PID
  printf '%s;\n\\q\n' "${1-ROLLBACK}" >&"${HOLDER[1]}"
  wait "$pid"
}

# waits_for_lock COUNT: so many statements of Chatty's wait for somebody.
waits_for_lock() {
  [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename LIKE 'chatty\_%'") == "$1" ]]
}

# send BODY PATH [CURL ARGUMENT…]: a request for the background; its status comes from standard output.
send() {
  curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 --header 'Content-Type: application/json' --data-binary "$1" \
    "${@:3}" "$CHATTY_TEST_URL$2" 3>&-
}
