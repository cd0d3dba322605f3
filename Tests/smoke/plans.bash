#!/usr/bin/env bash
# The plans that a service's statements really get, by auto_explain, for tests and deploy/bench.

PLAN=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/plan.py

# explain_service NAME: from now on the plans of this service's statements are in PostgreSQL's log.
explain_service() {
  local setting
  for setting in "session_preload_libraries = 'auto_explain'" 'auto_explain.log_min_duration = 0' 'auto_explain.log_analyze = on' \
    'auto_explain.log_timing = off' "auto_explain.log_format = 'json'"; do
    sql "LOAD 'auto_explain'; ALTER ROLE chatty_$1 IN DATABASE chatty SET $setting"
  done
  new_sessions "$1"
}

# leave_service NAME: no longer.
leave_service() {
  local setting
  for setting in session_preload_libraries auto_explain.log_min_duration auto_explain.log_analyze auto_explain.log_timing auto_explain.log_format; do
    sql "LOAD 'auto_explain'; ALTER ROLE chatty_$1 IN DATABASE chatty RESET $setting"
  done
  new_sessions "$1"
}

# new_sessions NAME: a session has its settings from its beginning.
new_sessions() {
  sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chatty_$1'" >/dev/null
}

# rows_read WORD COMMAND…: runs a request, and prints what its statement with this word has read, as plan.py does.
rows_read() {
  local word=$1 log=$CHATTY_HOME/log/postgres/current before
  shift
  # Twice: a session that was ended is opened anew, and its first statement is planned.
  "$@" >/dev/null
  before=$(stat -c %s "$log")
  "$@" >/dev/null
  eventually_logged "$log" "$before" "$word"
  tail -c "+$((before + 1))" "$log" | python3 "$PLAN" --holding "$word"
}

# eventually_logged FILE OFFSET WORD: waits until the log has a whole plan of such a statement.
eventually_logged() {
  local n
  for ((n = 0; n < 50; n++)); do
    if tail -c "+$(($2 + 1))" "$1" | python3 "$PLAN" --holding "$3" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
}
