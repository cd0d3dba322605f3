#!/usr/bin/env bats
# What a service that somebody has got the better of can do to the database's other users: in the private cluster, through the door that
# services come by.

load support
load stack

setup_file() {
  member ada
}

setup() {
  ROOT=$BATS_TEST_DIRNAME/../..
}

# connect USER ROLE DATABASE [STATEMENT]: as a system user, with the role's password.
connect() {
  local as=()
  if [[ $EUID == 0 ]]; then as=(setpriv --reuid="$1" --regid="$1" --clear-groups); fi
  (cd / && PGPASSWORD=$(<"$CHATTY_HOME/secrets/${2#chatty_}.password") "${as[@]}" \
    psql --no-psqlrc --quiet --tuples-only --no-align "postgresql:///$3?host=$CHATTY_HOME/run&user=$2" --command "${4:-SELECT current_user}" 2>&1)
}

@test "each service comes in as its own role, to its own database" {
  local service
  for service in auth posts feed admin recommendations worker; do
    equal "$(connect "chatty-$service" "chatty_$service" chatty)" "chatty_$service"
    for database in postgres template1; do
      run connect "chatty-$service" "chatty_$service" "$database"
      [[ $status != 0 && $output == *'no pg_hba.conf entry'* ]] || wrong "$service comes into $database: $output"
    done
  done
}

@test "nobody comes in as another, with its password or without" {
  local service role
  if [[ $EUID != 0 ]]; then return; fi
  for service in posts feed worker; do
    for role in auth operator posts feed worker; do
      if [[ $role == "$service" ]]; then continue; fi
      run connect "chatty-$service" "chatty_$role" chatty
      [[ $status != 0 && $output == *'Peer authentication failed'* ]] || wrong "$service comes in as $role: $output"
    done
  done
  PGPASSWORD=x run connect chatty-posts chatty_owner chatty
  [[ $status != 0 ]]
}

@test "no database of the cluster takes strangers" {
  equal "$(sql "SELECT datname FROM pg_database WHERE datallowconn AND datname NOT LIKE 'chatty\_%' AND has_database_privilege('public', oid, 'CONNECT')")" ''
}

@test "a service whose role has been made to change its password and its settings serves on" {
  local user
  new_post ada
  user=$(id_of ada)
  connect chatty-posts chatty_posts chatty "ALTER ROLE chatty_posts PASSWORD 'another'; ALTER ROLE chatty_posts SET search_path = pg_temp;
    ALTER ROLE chatty_posts SET default_transaction_read_only = on; ALTER ROLE chatty_posts SET default_transaction_isolation = serializable;
    ALTER ROLE chatty_posts SET statement_timeout = 1; ALTER ROLE chatty_posts SET lock_timeout = 1"
  sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chatty_posts'" >/dev/null
  eventually 15 has_posts "$user"
  new_post ada
  as ada post "/posts/$NEW_POST/likes"
  expect 200
  CHATTY_DATABASE_OWNER_URL=$CHATTY_TEST_DATABASE_URL "$ROOT/deploy/migrate"
  equal "$(sql "SELECT count(*) FROM pg_db_role_setting WHERE setrole = 'chatty_posts'::regrole AND setdatabase = 0")" 0
}

# has_posts USER: the service has its connections again.
has_posts() {
  get "/posts?user_id=$1"
  [[ $CODE == 200 ]]
}

@test "a role that takes every connection it can get leaves everybody else's" {
  local n limit
  limit=$(sql "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'chatty_recommendations'")
  ((limit > 0))
  for ((n = 0; n < limit + 5; n++)); do
    connect chatty-recommendations chatty_recommendations chatty 'SELECT pg_sleep(60)' >"$BATS_TEST_TMPDIR/said$n" 3>&- &
  done
  eventually 40 are_refused 5
  # Those who come anew, and those who are there.
  sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chatty_posts'" >/dev/null
  eventually 15 has_posts "$(id_of ada)"
  log_in ada
  as ada get /feed
  expect 200
  are_holding "$limit"
  sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chatty_recommendations'" >/dev/null
  wait
}

# are_refused COUNT: so many at least, for the role's limit.
are_refused() { (($(grep -l 'too many connections for role' "$BATS_TEST_TMPDIR"/said* | wc -l) >= $1)); }

# are_holding COUNT: the role has so many connections.
are_holding() {
  equal "$(sql "SELECT count(*) FROM pg_stat_activity WHERE usename = 'chatty_recommendations'")" "$1" 'connections of the role'
}

@test "all roles together have fewer connections than the server" {
  equal "$(sql "SELECT bool_and(rolconnlimit > 0) AND sum(rolconnlimit) <= current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    FROM pg_roles WHERE rolname LIKE 'chatty\_%' AND rolname <> 'chatty_owner'")" t
}
