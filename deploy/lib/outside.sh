# shellcheck shell=bash
# A database that is not the private cluster's: whether it is one of Chatty's own, and whether migrations and services will find there what they
# need. All of that is found out before anything in it is changed. Needs settings.sh and environment.sh.
# shellcheck disable=SC2034 # what it sets is for other files

# What is known of the database, by the names of deploy/postgres/facts.sql.
declare -A FACTS
readonly FACTS_FILE=${BASH_SOURCE[0]%/*}/../postgres/facts.sql

# ask_owner [PSQL ARGUMENT…]: psql where take_password has set ADDRESS and PASSWORD, within 30 seconds; each host of several has two of them
# unless the address says otherwise, while looking a name up has no limit of its own. Sets ANSWER, or REASON, a line that says why there is none.
ask_owner() {
  local errors status=0
  errors=$(mktemp)
  REASON=''
  ANSWER=$(PGPASSWORD=$PASSWORD PGCONNECT_TIMEOUT=2 timeout 30 psql --no-psqlrc --quiet --no-password --no-align --tuples-only \
    --set ON_ERROR_STOP=1 --dbname "$ADDRESS" "$@" 2>"$errors" </dev/null) || {
    status=$?
    REASON=$(awk '{ sub(/^psql: error: /, ""); sub(/^[ \t]+/, ""); printf "%s%s", between, $0; between = "; " }' "$errors")
    if [[ $status == 124 ]]; then REASON='no answer within 30 seconds'; fi
  }
  rm -f "$errors"
  return "$status"
}

# is_answered: by the database, or by a server that says no and will go on saying so.
is_answered() {
  ask_owner --command 'SELECT 1' ||
    [[ $REASON == *FATAL:* && $REASON != *'the database system is'* && $REASON != *'too many'* && $REASON != *'connection slots'* ]]
}

# await_database SETTING: waits until the address that is this setting leads to a database.
await_database() {
  take_password "${!1}"
  if eventually 10 is_answered && [[ -z $REASON ]]; then return; fi
  fail_setting "$1" "does not lead to a database: $REASON"
}

# leads_to_pooler SETTING: a pooler hands sessions around, and refuses or drops what a session is to begin with. An address that has options
# of its own cannot be told.
leads_to_pooler() {
  take_password "${!1}"
  if [[ $ADDRESS == *[?\&]options=* ]]; then return 1; fi
  if PGOPTIONS='-c search_path=pg_catalog' ask_owner --command 'SHOW search_path'; then
    [[ $ANSWER != pg_catalog ]]
  else
    [[ $REASON == *'unsupported startup parameter'* ]]
  fi
}

# read_facts SETTING: of the database that its address leads to.
read_facts() {
  local name value
  take_password "${!1}"
  FACTS=()
  # Nothing that somebody has made there is to be taken for PostgreSQL's own.
  PGOPTIONS='-c search_path=pg_catalog' ask_owner --field-separator '=' --set "roles={$(IFS=, && printf '%s' "${ROLES[*]/#/chatty_}")}" \
    --file "$FACTS_FILE" ||
    fail_setting "$1" "does not lead to a database that can be used: $REASON"
  while IFS='=' read -r name value; do FACTS[$name]=$value; done <<<"$ANSWER"
}

# check_pooler SETTING: migrations come by this address. They need the server itself, since they set things for their session.
check_pooler() {
  if leads_to_pooler "$1"; then
    if [[ $1 == CHATTY_DATABASE_OWNER_URL ]]; then fail_setting "$1" 'leads to a pooler: migrations need the server itself'; fi
    fail_setting CHATTY_DATABASE_OWNER_URL "is not set, and $1 leads to a pooler: migrations need the server itself"
  fi
  if [[ $1 == CHATTY_DATABASE_OWNER_URL && -n ${CHATTY_DATABASE_URL-} && ${CHATTY_PREPARED_STATEMENTS-} == on ]] &&
    leads_to_pooler CHATTY_DATABASE_URL; then
    fail_setting CHATTY_PREPARED_STATEMENTS 'is on, and CHATTY_DATABASE_URL leads to a pooler: it has to be off'
  fi
}

# check_database SETTING: whether the database that its address leads to can become or be Chatty's. Nothing in it is changed.
check_database() {
  local setting=$1 role database
  check_pooler "$setting"
  read_facts "$setting"
  role=${FACTS[role]} database=${FACTS[database]}
  if ((FACTS[version] < 150000)); then
    fail_setting "$setting" "leads to PostgreSQL ${FACTS[version_name]}: Chatty needs version 15 or later"
  fi
  if [[ ${FACTS[is_standby]} == true ]]; then
    fail_setting "$setting" "leads to a standby, which takes no writes: name the primary server, or all of them with\
 ?target_session_attrs=read-write"
  fi
  if [[ ${FACTS[is_read_only]} == on ]]; then
    fail_setting "$setting" "leads to the database $database, which is read-only for $role (default_transaction_read_only is on)"
  fi
  if [[ ${FACTS[encoding]} != UTF8 ]]; then
    fail_setting "$setting" "names the database $database, whose encoding is ${FACTS[encoding]} and not UTF8. $(how_to_make_one)"
  fi
  check_content "$setting"
  check_rights "$setting"
}

# check_content SETTING: that there is nothing in it but what is Chatty's.
check_content() {
  local setting=$1 role=${FACTS[role]} database=${FACTS[database]} more=''
  if [[ -n ${FACTS[migrations]} ]]; then
    [[ ${FACTS[migrations]} == 'version integer, name text, checksum text, applied_at timestamp with time zone' ]] ||
      fail_setting "$setting" "names the database $database, whose table migrations is another program's (its columns: ${FACTS[migrations]}).\
 $(how_to_make_one)"
    [[ ${FACTS[owns_migrations]} == true ]] ||
      fail_setting "$setting" "is of the role $role, and the tables of Chatty in the database $database belong to ${FACTS[migrations_owner]}:\
 come as that role"
    ask_owner --command 'SELECT 1 FROM public.migrations LIMIT 1' || fail_setting "$setting" "does not lead to a database that can be used: $REASON"
    # Once migrations have been applied the rights in it are as Chatty needs them, and what others have put there since is their affair.
    if [[ -n $ANSWER ]]; then return; fi
  fi
  if ((FACTS[objects] > 3)); then more=" and $((FACTS[objects] - 3)) more"; fi
  ((FACTS[objects] == 0)) ||
    fail_setting "$setting" "names the database $database, which others use: it has ${FACTS[some_objects]}$more, and Chatty would take\
 everybody's rights in it away. $(how_to_make_one)"
  [[ ${FACTS[owns_database]} == true ]] ||
    fail_setting "$setting" "is of the role $role, to whom the database $database does not belong; as a superuser: ALTER DATABASE $database\
 OWNER TO $role"
}

# check_rights SETTING: that its role may do what migrations do.
check_rights() {
  local setting=$1 role=${FACTS[role]} database=${FACTS[database]}
  [[ ${FACTS[makes_roles]} == true ]] ||
    fail_setting "$setting" "is of the role $role, which may not make roles, and each service has one of its own; as a superuser: ALTER ROLE\
 $role CREATEROLE"
  [[ -z ${FACTS[roles_of_others]} ]] ||
    fail_setting "$setting" "is of the role $role, which may not change the roles ${FACTS[roles_of_others]}, which the server has already; as a\
 superuser: GRANT ${FACTS[roles_of_others]} TO $role WITH ADMIN OPTION"
  [[ ${FACTS[makes_objects]} == true && ${FACTS[makes_temporary_tables]} == true ]] ||
    fail_setting "$setting" "is of the role $role, which lacks rights in the database $database; as its owner: GRANT CREATE, TEMPORARY ON\
 DATABASE $database TO $role"
  [[ ${FACTS[has_schema]} == true ]] ||
    fail_setting "$setting" "names the database $database, which has no schema public; there: CREATE SCHEMA public AUTHORIZATION $role"
  [[ ${FACTS[makes_tables]} == true ]] ||
    fail_setting "$setting" "is of the role $role, which may make nothing in the schema public of the database $database; there, as a superuser:\
 ALTER SCHEMA public OWNER TO $role"
}

# how_to_make_one: a database of Chatty's own.
how_to_make_one() {
  local name=chatty
  if [[ ${FACTS[database]} == "$name" ]]; then name=chatty_own; fi
  printf "Make one of its own and name that: CREATE DATABASE %s ENCODING 'UTF8' TEMPLATE template0 OWNER %s" "$name" "${FACTS[role]}"
}

# check_certificates: the services verify the server by themselves, each as a user of its own, who may not read what we can. Those users have
# no homes, where libpq would look for root.crt.
check_certificates() {
  local file keyword mode service user
  parameter_of "$CHATTY_DATABASE_URL" sslmode
  mode=$DECODED
  for keyword in sslrootcert sslcrl sslcrldir; do
    parameter_of "$CHATTY_DATABASE_URL" "$keyword"
    file=$DECODED
    if [[ $keyword == sslrootcert && -z $file && $mode == verify-* ]] && is_root; then
      fail_setting CHATTY_DATABASE_URL "has sslmode=$mode and no sslrootcert: the services' users have no homes to look for .postgresql/root.crt\
 in. Name the file, as in &sslrootcert=/etc/ssl/certs/database.pem"
    fi
    if [[ -z $file || $file == system ]]; then continue; fi
    [[ $file == /* ]] || fail_setting CHATTY_DATABASE_URL "has $keyword=$file, which is no whole path: it has to begin with /"
    [[ -e $file ]] || fail_setting CHATTY_DATABASE_URL "has $keyword=$file, and there is no such file"
    for service in "${POOLS[@]}" worker; do
      user=$(user_of "$service")
      can_read "$user" "$file" || fail_setting CHATTY_DATABASE_URL "has $keyword=$file, which the user ${user:-$(id -un)} cannot read: let others\
 read it, and enter all folders above it"
    done
  done
}

# can_read USER FILE: no USER is ourselves; one that is yet to be made can what nobody can.
can_read() {
  local user=$1
  if [[ -n $user ]] && ! getent passwd "$user" >/dev/null; then user=nobody; fi
  if [[ -z $user ]]; then test -r "$2"; else setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups test -r "$2"; fi
}
