# shellcheck shell=bash
# The database: the private cluster, or the one that CHATTY_DATABASE_URL names; and how services and administrator reach it.
# shellcheck disable=SC2034 # what it sets is for other files

has_private_cluster() { [[ -z $CHATTY_DATABASE_URL ]]; }

# postgres_user: the system user that the private cluster runs as: PostgreSQL refuses to be root.
postgres_user() {
  if is_root; then printf 'postgres'; else id -un; fi
}

# postgres_bin: the folder of the server's programs: those that made the cluster, else the newest.
postgres_bin() {
  local version='*' found
  if [[ -e $CHATTY_HOME/postgres/PG_VERSION ]]; then
    version=$(head -c 100 "$CHATTY_HOME/postgres/PG_VERSION")
    # It is PostgreSQL's own file, and becomes a part of what root runs.
    [[ $version =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "$CHATTY_HOME/postgres/PG_VERSION is no version"
  fi
  found=$(compgen -G "/usr/lib/postgresql/$version/bin/postgres" | sort -V | tail -n 1)
  [[ -n $found ]] || fail "there is no PostgreSQL $version under /usr/lib/postgresql, and the cluster is of that version"
  printf '%s' "${found%/*}"
}

# as_postgres COMMAND…
as_postgres() {
  if is_root; then (cd / && chpst -u postgres "$@"); else "$@"; fi
}

# make_cluster: initdb into a folder beside, so that a cluster is there whole or not at all.
make_cluster() {
  if [[ -e $CHATTY_HOME/postgres/PG_VERSION ]]; then return; fi
  did 'making a private PostgreSQL cluster'
  rm -rf "$CHATTY_HOME/postgres.new"
  folder postgres.new 700 postgres postgres
  as_postgres "$(postgres_bin)/initdb" --pgdata "$CHATTY_HOME/postgres.new" --username postgres --encoding UTF8 --locale C.UTF-8 \
    --data-checksums --auth peer --no-instructions >"$CHATTY_HOME/log/initdb.log" 2>&1 ||
    fail "initdb failed: $(tail -n 3 "$CHATTY_HOME/log/initdb.log")"
  mv "$CHATTY_HOME/postgres.new" "$CHATTY_HOME/postgres"
}

# role_connections ROLE: how many connections a role may have: what its workers open, twice, since while they are replaced the old ones
# are still there, and some for when one is lost and opened anew before the server has noticed.
role_connections() {
  local each=$((2 + CHATTY_WRITE_CONNECTIONS)) workers=$CHATTY_WORKERS
  case $1 in
    # chatty-worker: the mails under way at once, the other jobs, notifications and the index. The operator: commands side by side.
    worker | operator) printf '20' && return ;;
    auth) workers=$((CHATTY_WORKERS + CHATTY_LOGIN_WORKERS)) ;;
    posts) workers=$((CHATTY_WORKERS + CHATTY_UPLOAD_WORKERS)) ;;
  esac
  printf '%s' $((2 * workers * each + 4))
}

# max_connections: for all that the roles may have, so that none of them can take another's; and some for administrators.
max_connections() {
  local wanted=20 role
  for role in "${ROLES[@]}"; do wanted=$((wanted + $(role_connections "$role"))); done
  printf '%s' $((wanted > 200 ? wanted : 200))
}

# service_users: the lines of pg_ident.conf that say which system user is which role.
service_users() {
  local role
  for role in "${ROLES[@]}"; do
    if is_root; then
      printf 'service  root  chatty_%s\n' "$role"
      if [[ $role != operator ]]; then printf 'service  chatty-%s  chatty_%s\n' "$role" "$role"; fi
    else
      printf 'service  %s  chatty_%s\n' "$(postgres_user)" "$role"
    fi
  done
}

render_cluster() {
  VALUES[POSTGRES_USER]=$(postgres_user) VALUES[MAX_CONNECTIONS]=$(max_connections) VALUES[SERVICE_USERS]=$(service_users)
  local file own=$CHATTY_HOME/etc/postgresql.local.conf
  if [[ ! -e $own ]]; then printf '# What is set here wins over postgresql.conf; deploy/up applies it.\n' >"$own"; fi
  for file in pg_hba.conf pg_ident.conf; do render "$ROOT/deploy/postgres/$file" "$CHATTY_HOME/etc/$file" 644; done
  VALUES[DIGEST]=$({ cat "$ROOT/deploy/postgres/postgresql.conf" "$CHATTY_HOME/etc/"{pg_hba,pg_ident}.conf "$own" && max_connections; } | digest)
  CLUSTER_DIGEST=${VALUES[DIGEST]}
  render "$ROOT/deploy/postgres/postgresql.conf" "$CHATTY_HOME/etc/postgresql.conf" 644
}

# administer [PSQL ARGUMENT…]: psql as the private cluster's superuser.
administer() { administer_in postgres "$@"; }

# administer_in DATABASE [PSQL ARGUMENT…]
administer_in() {
  env -u PGPASSWORD -u PGOPTIONS -u PGSERVICE psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 \
    "postgresql:///$1?host=$CHATTY_HOME/run&user=postgres" "${@:2}" </dev/null
}

is_cluster_ready() { pg_isready --quiet --host "$CHATTY_HOME/run" --username postgres; }

# start_cluster: starts it or tells it of changed settings, and waits until it answers: after a crash it first reads its log again.
start_cluster() {
  if ! is_running postgres; then
    start_service postgres
    await_cluster
    return
  fi
  await_cluster
  if [[ $(cluster_shows revision) != "$(revision_in_script postgres)" ]]; then
    restart_cluster
  else
    if [[ $(cluster_shows configuration) != "$CLUSTER_DIGEST" ]]; then
      administer --command 'SELECT pg_reload_conf()' >/dev/null
      eventually 10 has_cluster_configuration || {
        show_log postgres
        fail 'PostgreSQL does not take its settings'
      }
      did 'PostgreSQL has taken its new settings'
    fi
    # Also those that an earlier run, which was cut off, has had it read.
    if [[ $(administer --command 'SELECT count(*) FROM pg_settings WHERE pending_restart') != 0 ]]; then restart_cluster; fi
  fi
}

# cluster_shows NAME: a parameter of ours, nothing where the cluster has none.
cluster_shows() { administer --command "SELECT current_setting('chatty.$1', true)"; }

has_cluster_configuration() { [[ $(cluster_shows configuration) == "$CLUSTER_DIGEST" ]]; }

await_cluster() {
  eventually 60 is_cluster_ready || {
    show_log postgres
    fail 'the private PostgreSQL does not start'
  }
}

restart_cluster() {
  did 'restarting PostgreSQL for its new settings'
  sv -w 60 restart "$CHATTY_HOME/service/postgres" >/dev/null || fail 'PostgreSQL does not end'
  await_cluster
}

# make_database: the database, and the role that owns it and makes the others.
make_database() {
  if [[ $(administer --command "SELECT count(*) FROM pg_roles WHERE rolname = 'chatty_owner'") == 0 ]]; then
    administer --command 'CREATE ROLE chatty_owner LOGIN CREATEROLE'
  fi
  if [[ $(administer --command "SELECT count(*) FROM pg_database WHERE datname = 'chatty'") == 0 ]]; then
    administer --command 'CREATE DATABASE chatty OWNER chatty_owner TEMPLATE template0'
    did 'made the database chatty'
  fi
  administer --command 'REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC'
}

# restrict_database: in the private cluster; elsewhere deploy/migrate does it, if it may.
restrict_database() {
  if has_private_cluster; then administer_in chatty --file "$ROOT/deploy/postgres/restrict.sql"; fi
}

# connection_limits: for deploy/migrate, which sets them: role=number, with blanks between.
connection_limits() {
  local role
  for role in "${ROLES[@]}"; do printf '%s=%s ' "$role" "$(role_connections "$role")"; done
}

# locate_database: sets DATABASE_OWNER_URL, for migrations, OWNER_SETTING, the setting that it is, and SERVICE_DATABASE_URL: the same without whom to be, for the services
# have roles of their own.
locate_database() {
  OWNER_SETTING=CHATTY_DATABASE_URL
  if has_private_cluster; then
    DATABASE_OWNER_URL="postgresql:///chatty?host=$CHATTY_HOME/run&user=chatty_owner"
    SERVICE_DATABASE_URL="postgresql:///chatty?host=$CHATTY_HOME/run"
    DATABASE_NAME='the private cluster'
    return
  fi
  if [[ -n $CHATTY_DATABASE_OWNER_URL ]]; then OWNER_SETTING=CHATTY_DATABASE_OWNER_URL; fi
  DATABASE_OWNER_URL=${!OWNER_SETTING}
  local parts='^postgres(ql)?://([^/?]*@)?([^/?@]*)(/([^?]*))?(\?(.*))?$'
  [[ $CHATTY_DATABASE_URL =~ $parts ]] || fail_setting CHATTY_DATABASE_URL 'is not an address like postgresql://user:password@host/database'
  local host=${BASH_REMATCH[3]}
  DATABASE_HOST=$host
  local database=${BASH_REMATCH[5]} query=${BASH_REMATCH[7]} kept='' parameter port=''
  while [[ -n $query ]]; do
    parameter=${query%%&*}
    if [[ $query == *'&'* ]]; then query=${query#*&}; else query=''; fi
    case $parameter in
      user=* | password=* | passfile=* | sslkey=* | sslcert=* | sslpassword=* | service=* | options=*) continue ;;
      host=*) DATABASE_HOST=${parameter#host=} ;;
      port=*) port=:${parameter#port=} ;;
      dbname=*) database=${parameter#dbname=} && continue ;;
    esac
    kept+=${kept:+&}$parameter
  done
  [[ -n $database ]] || fail_setting CHATTY_DATABASE_URL 'names no database: it has to end like …/chatty'
  SERVICE_DATABASE_URL=postgresql://$host/$database${kept:+?$kept}
  DATABASE_NAME=$database' at '${DATABASE_HOST:-the default socket}$port
}

# A stack belongs to a database, and remembers which: with another one it would serve, and everything that people wrote would be missing.

# check_belonging: whether this is the stack's database. $CHANGE_DATABASE: true is the operator's word that it is to be.
check_belonging() {
  local before
  before=$(cat "$CHATTY_HOME/database" 2>/dev/null) || {
    # One of before it was remembered: its services know.
    before=$(cat "$CHATTY_HOME/env/operator/CHATTY_DATABASE_URL" 2>/dev/null) || before=''
    if [[ $before == "$SERVICE_DATABASE_URL" ]]; then return; fi
  }
  if [[ -z $before || $before == "$DATABASE_NAME" ]] || $CHANGE_DATABASE; then return; fi
  fail "this stack belongs to another database, $before, and CHATTY_DATABASE_URL $(if has_private_cluster; then printf 'is not set'; else printf 'names %s' "$DATABASE_NAME"; fi). Set it\
 as it was, or, to leave that database and all that is in it behind, run deploy/up --change-database once"
}

# remember_database: once its schema is there.
remember_database() { write_file "$CHATTY_HOME/database" 644 "$DATABASE_NAME"; }

wait_for_database() {
  say 'waiting for the database'
  await_database "$OWNER_SETTING"
}
