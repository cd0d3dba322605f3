# shellcheck shell=bash
# How many connections to the database a stack can have open, and whether the server takes so many. Needs settings.sh, services.sh and, to check
# them, outside.sh.
# shellcheck disable=SC2153,SC2154 # what others set, and keys of FACTS, which are no variables

# Beside the pools': chatty-worker reads on two, and has four for what it does and one to build the index; an operator's command has three.
readonly OTHER_CONNECTIONS=10

# connections_of_pool WORKERS WRITES: each worker reads on two, and one at a time tries whether it can write on a session of its own.
connections_of_pool() { printf '%s' $(($1 * (2 + $2) + 1)); }

# count_connections: sets CONNECTIONS, all that a stack with these settings can have open, and CONNECTIONS_AT_MOST, while all pools are being
# replaced.
count_connections() {
  local pool writes pools=0
  for pool in "${POOLS[@]}"; do
    writes=$(environment_of "$pool" | sed -n 's/^CHATTY_WRITE_CONNECTIONS=//p')
    pools=$((pools + $(connections_of_pool "$(wanted_workers "$pool")" "$writes")))
  done
  CONNECTIONS=$((pools + OTHER_CONNECTIONS)) CONNECTIONS_AT_MOST=$((2 * pools + OTHER_CONNECTIONS))
}

# count_installed_connections: the same of the stack as it was set up.
count_installed_connections() {
  local pool workers writes pools=0
  for pool in "${POOLS[@]}"; do
    workers=$(sed -nE 's/.* multiwatch .* -f ([0-9]+) .*/\1/p' "$CHATTY_HOME/service/$pool/serve" 2>/dev/null) || workers=0
    writes=$(cat "$CHATTY_HOME/env/$pool/CHATTY_WRITE_CONNECTIONS" 2>/dev/null) || writes=0
    pools=$((pools + $(connections_of_pool "${workers:-0}" "$writes")))
  done
  CONNECTIONS=$((pools + OTHER_CONNECTIONS)) CONNECTIONS_AT_MOST=$((2 * pools + OTHER_CONNECTIONS))
}

# check_connections SETTING: check_database has read what the server and the database, which its address leads to, take. Each role's own limit
# deploy/migrate sets. Behind a pooler the connections are the pooler's.
check_connections() {
  local limit=${FACTS[connections]} what="the server takes ${FACTS[connections]} (max_connections without those that are reserved)"
  if [[ $CHATTY_PREPARED_STATEMENTS == off ]]; then return; fi
  if ((FACTS[database_connections] >= 0 && FACTS[database_connections] < limit)); then
    limit=${FACTS[database_connections]} what="the database ${FACTS[database]} takes $limit (its CONNECTION LIMIT)"
  fi
  count_connections
  ((CONNECTIONS <= limit)) ||
    fail_setting "$1" "leads to too few connections: the services can have $CONNECTIONS open, and $what. Raise that, or lower\
 CHATTY_WRITE_CONNECTIONS, CHATTY_WORKERS, CHATTY_LOGIN_WORKERS or CHATTY_UPLOAD_WORKERS"
  if ((CONNECTIONS_AT_MOST > limit)); then
    printf '%s: warning: while workers are replaced the services can have %s connections open, and %s: some requests may be 503 then\n' \
      "$PROGRAM" "$CONNECTIONS_AT_MOST" "$what" >&2
  fi
}
