# shellcheck shell=bash
# Whether a stack serves.

# answers PATH: whether the operations listener says 200.
answers() {
  [[ $(curl --disable --noproxy '*' --silent --output /dev/null --max-time 35 --write-out '%{http_code}' "http://127.0.0.1:$CHATTY_OPS_PORT$1") == 200 ]]
}

# is_steady SERVICE: it has run for more than a second.
is_steady() {
  [[ $(sv status "$CHATTY_HOME/service/$1" 2>/dev/null) =~ ^run:\ [^:]*:\ \(pid\ [0-9]+\)\ ([2-9]|[1-9][0-9]+)s ]]
}

# wait_until_ready: for all of it; if it takes too long, says what is missing and shows its log.
wait_until_ready() {
  local pool
  if eventually 30 answers /readyz && eventually 10 is_steady worker; then return; fi
  for pool in "${POOLS[@]}"; do
    if ! answers "/readyz/$pool"; then
      printf '%s: the pool %s is not ready\n' "$PROGRAM" "$pool" >&2
      show_log "$pool"
    fi
  done
  if ! answers /livez; then show_log nginx; fi
  if ! is_steady worker; then show_log worker; fi
  fail 'Chatty is not ready'
}
