# shellcheck shell=bash
# The settings: their names, defaults and limits, chatty.env, and what of them each process gets.
# shellcheck disable=SC2034 # what it sets is for other files

# shellcheck source=SCRIPTDIR/addresses.sh
source "${BASH_SOURCE[0]%/*}/addresses.sh"
# shellcheck source=SCRIPTDIR/database_address.sh
source "${BASH_SOURCE[0]%/*}/database_address.sh"

SETTING_NAMES=()
declare -A SETTING_KIND SETTING_DEFAULT SETTING_COMMENT

# setting NAME KIND DEFAULT COMMENT
setting() {
  SETTING_NAMES+=("$1")
  SETTING_KIND[$1]=$2 SETTING_DEFAULT[$1]=$3 SETTING_COMMENT[$1]=$4
}

setting CHATTY_PORT integer:1:65535 8080 'The port that nginx listens on.'
setting CHATTY_ADDRESS addresses '0.0.0.0 ::' 'The addresses that nginx listens on, with blanks between; 127.0.0.1 for this machine alone. Default: all, of IPv6 too if there is any'
setting CHATTY_OPS_PORT integer:1:65535 8081 'The port of the operations listener, on 127.0.0.1 always.'
setting CHATTY_PUBLIC_URL origin:http:https '' 'The address that people use: mail links and tokens carry it. Default: http://localhost:CHATTY_PORT'
setting CHATTY_DATABASE_URL url:postgresql:postgres '' 'postgresql://user:password@host/database of a role that may create tables and roles. Default: a private cluster'
setting CHATTY_DATABASE_OWNER_URL url:postgresql:postgres '' 'The same database for migrations, not by a pooler. Default: CHATTY_DATABASE_URL'
setting CHATTY_SMTP_URL url:smtp:smtps '' 'Where mail is handed over, smtp[s]://user:password@host:port. Default: files under mail/'
setting CHATTY_SMTP_CA_FILE text '' "A file of certificates (PEM) to believe the mail server by. Default: the system's"
setting CHATTY_MAIL_FROM text 'Chatty <no-reply@localhost>' 'Whom mail is from.'
setting CHATTY_WORKERS integer:1:64 2 'Processes of a pool.'
setting CHATTY_LOGIN_WORKERS integer:1:64 '' 'Processes of the pool for login and registration. Default: one a core'
setting CHATTY_UPLOAD_WORKERS integer:1:64 '' 'Processes of the pool for images, each with two in work. Default: one a core'
setting CHATTY_IN_FLIGHT integer:1:1024 32 'Requests that a worker handles at once.'
setting CHATTY_WRITE_CONNECTIONS integer:1:64 4 'Database connections for writes, per worker, opened when needed: more where the disk is slow to flush.'
setting CHATTY_STATEMENT_TIMEOUT integer:100:600000 5000 'Milliseconds after which the database ends a statement.'
setting CHATTY_PREPARED_STATEMENTS choice:on:off on 'off behind pgbouncer in transaction mode; CHATTY_DATABASE_OWNER_URL is needed then.'
setting CHATTY_RATE_LOGIN integer:0:100000 10 'Logins, changes of an account and password resets a minute from one address; 0 is no limit.'
setting CHATTY_RATE_REGISTER integer:0:100000 5 'Registrations a minute from one address; 0 is no limit.'
setting CHATTY_RATE_MAILS integer:0:100000 5 'Mails an hour and purpose that one client may ask for, and that are sent to one mailbox; 0 is no limit.'
setting CHATTY_RATE_WRITES integer:0:100000 120 'Other requests that write, a minute from one address; 0 is no limit.'
setting CHATTY_CLIENT_CONNECTIONS integer:0:65535 100 'Requests that one address may have under way at once; 0 is no limit.'
setting CHATTY_CONNECTIONS integer:512:1000000 16384 'Connections that each worker of nginx can hold, at some 430 bytes each.'
setting CHATTY_TRUSTED_PROXIES networks '' 'Addresses or networks, with blanks between, whose X-Forwarded-For is believed. Default: none'
setting CHATTY_CLIENT_MAX_BODY size 1m 'The largest body of a request.'
setting CHATTY_MEDIA_QUOTA size 1g "The room that one user's images may take, 40m at least."
setting CHATTY_IMAGE_SANDBOX choice:on:off on 'off where users may make no namespaces: decoders of images can then read what the post service can.'
setting CHATTY_LOGIN_FAILURES integer:0:10000 10 'Failed logins with one name from one place after which that place has to wait; 0 is never.'
setting CHATTY_LOGIN_LOCK integer:1:86400 900 'Seconds that it waits, and that failures are counted for.'
setting CHATTY_UNVERIFIED_DAYS integer:0:30 7 'Days after which registered accounts that nobody has confirmed are removed, twice as many if a link is still asked for; 0: never.'
setting CHATTY_PASSWORD_COST integer:10:15 12 "bcrypt's cost for new passwords: each step doubles the time."
setting CHATTY_RECOMMENDATION_NEIGHBOURS integer:1:1000 3 'How many similar users recommendations are drawn from.'
setting CHATTY_RECOMMENDATION_DAMPING integer:0:1000 0 'd in n/(n+d), by which the similarity of users with n likes in common is multiplied; 0 damps nothing.'
setting CHATTY_RECOMMENDATION_INTERVAL integer:0:86400 60 'Seconds after which the index of likes is made anew if anything has changed; 0: only by chatty recommendations build.'
setting CHATTY_LOG_LEVEL choice:trace:debug:info:notice:warning:error:critical notice 'info gives a line a request.'
setting CHATTY_LOG_SIZE integer:16:1000000 1000 'Megabytes that all logs together may take: the oldest go first.'
setting CHATTY_LOG_DAYS integer:1:3650 30 'Days that logs are kept.'
setting CHATTY_KEYS text '' "The folder of the tokens' keys. Default: keys/"

# fail_setting NAME PROBLEM: status 78 (EX_CONFIG), as the services end with.
fail_setting() {
  printf '%s: %s %s\n' "$PROGRAM" "$1" "$2" >&2
  exit 78
}

# suggest NAME KNOWN…: for the end of a message, the known name that is the most like it: few letters have to be changed, added or left out.
suggest() {
  printf '%s\n' "$@" | awk '
    NR == 1 { name = $0; best = 5; next }
    {
      for (j = 0; j <= length($0); j++) row[j] = j
      for (i = 1; i <= length(name); i++) {
        corner = row[0]
        row[0] = i
        for (j = 1; j <= length($0); j++) {
          cost = corner + (substr(name, i, 1) != substr($0, j, 1))
          corner = row[j]
          if (row[j] + 1 < cost) cost = row[j] + 1
          if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1
          row[j] = cost
        }
      }
      if (row[length($0)] < best) { best = row[length($0)]; found = $0 }
    }
    END { if (found != "") printf ": is it %s?", found }'
}

# read_settings FILE: takes from it what the environment does not set. Lines are NAME=value and are never evaluated.
read_settings() {
  local file=$1 line name value number=0
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    line=${line%$'\r'}
    if [[ $line =~ ^[[:space:]]*(#.*)?$ ]]; then continue; fi
    [[ $line =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || fail_setting "$file:$number" 'is not a line NAME=value'
    name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    value=${value%"${value##*[![:space:]]}"}
    if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then value=${BASH_REMATCH[1]}; fi
    [[ -n ${SETTING_KIND[$name]-} ]] || fail_setting "$file:$number" "sets $name, which is no setting$(suggest "$name" "${SETTING_NAMES[@]}")"
    # An empty variable counts as not set.
    if [[ -z ${!name-} ]]; then printf -v "$name" '%s' "$value"; fi
  done <"$file"
}

# load_settings: from the environment, chatty.env in CHATTY_HOME, and the defaults, all checked.
load_settings() {
  local name
  read_settings "$CHATTY_HOME/chatty.env"
  if [[ -z ${CHATTY_ADDRESS-} ]] && ! has_ipv6; then CHATTY_ADDRESS=0.0.0.0; fi
  for name in "${SETTING_NAMES[@]}"; do
    if [[ -z ${!name-} ]]; then printf -v "$name" '%s' "${SETTING_DEFAULT[$name]}"; fi
  done
  if [[ -z $CHATTY_LOGIN_WORKERS ]]; then CHATTY_LOGIN_WORKERS=$(nproc); fi
  if [[ -z $CHATTY_UPLOAD_WORKERS ]]; then CHATTY_UPLOAD_WORKERS=$(nproc); fi
  if [[ -z $CHATTY_PUBLIC_URL ]]; then CHATTY_PUBLIC_URL=http://localhost:$CHATTY_PORT; fi
  if [[ -z $CHATTY_KEYS ]]; then CHATTY_KEYS=$CHATTY_HOME/keys; fi
  for name in "${SETTING_NAMES[@]}"; do check_setting "$name"; done
  ((CHATTY_PORT != CHATTY_OPS_PORT)) || fail_setting CHATTY_OPS_PORT "is $CHATTY_OPS_PORT, which is CHATTY_PORT too"
  [[ -z $CHATTY_DATABASE_OWNER_URL || -n $CHATTY_DATABASE_URL ]] || fail_setting CHATTY_DATABASE_OWNER_URL 'is set, and CHATTY_DATABASE_URL is not'
}

check_setting() {
  local name=$1 value=${!1} kind fields choice
  IFS=: read -ra fields <<<"${SETTING_KIND[$name]}"
  kind=${fields[0]}
  [[ $value != *[[:cntrl:]]* ]] || fail_setting "$name" 'holds a control character'
  case $kind in
    integer)
      if [[ ! $value =~ ^(0|[1-9][0-9]{0,8})$ ]] || ((value < fields[1] || value > fields[2])); then
        fail_setting "$name" "is '$value', not a whole number from ${fields[1]} to ${fields[2]}"
      fi
      ;;
    choice)
      for choice in "${fields[@]:1}"; do if [[ $value == "$choice" ]]; then return; fi; done
      fail_setting "$name" "is '$value', not one of ${fields[*]:1}"
      ;;
    url)
      if [[ -z $value ]]; then return; fi
      for choice in "${fields[@]:1}"; do
        if [[ $value == "$choice"://?* && $value != *[[:space:]]* ]]; then
          if [[ $choice == postgres* ]]; then check_database_address "$name"; fi
          return
        fi
      done
      fail_setting "$name" "is not an address that begins with ${fields[1]}://"
      ;;
    origin)
      for choice in "${fields[@]:1}"; do if [[ $value =~ ^"$choice"://[^][:space:]/?#@\\[]+/*$ || $value =~ ^"$choice"://\[[0-9A-Fa-f:.]+\](:[0-9]+)?/*$ ]]; then return; fi; done
      fail_setting "$name" "is '$value', but has to be a scheme, a host and maybe a port, such as https://chatty.example: Chatty is at the root of its host"
      ;;
    size)
      [[ $value =~ ^[1-9][0-9]{0,8}[kKmMgG]?$ ]] || fail_setting "$name" "is '$value', not a size such as 1m"
      ;;
    addresses) check_addresses "$name" ;;
    networks) check_networks "$name" ;;
  esac
}

# write_settings_file: chatty.env, with every setting as a comment.
write_settings_file() {
  local file=$CHATTY_HOME/chatty.env name
  if [[ -e $file ]]; then return; fi
  (
    umask 077
    {
      printf '# The settings of this stack: lines NAME=value, taken as they are. The environment wins over them.\n'
      printf '# Run deploy/up after a change.\n'
      for name in "${SETTING_NAMES[@]}"; do
        printf '\n# %s\n#%s=%s\n' "${SETTING_COMMENT[$name]}" "$name" "${SETTING_DEFAULT[$name]}"
      done
    } >"$file"
  )
  did "wrote $file, with every setting as a comment"
}

# What other scripts must know of the running stack, whatever their environment says: written by up.

# remember_stack
remember_stack() {
  local name
  for name in CHATTY_PORT CHATTY_ADDRESS CHATTY_OPS_PORT; do printf '%s=%s\n' "$name" "${!name}"; done >"$CHATTY_HOME/stack.env.new"
  mv "$CHATTY_HOME/stack.env.new" "$CHATTY_HOME/stack.env"
}

# recall_stack
recall_stack() {
  [[ -e $CHATTY_HOME/stack.env ]] || fail "there is no stack in $CHATTY_HOME yet: run deploy/up"
  unset CHATTY_PORT CHATTY_ADDRESS CHATTY_OPS_PORT
  read_settings "$CHATTY_HOME/stack.env"
}

# While one image is decoded another can arrive: with more the pool would take more processor time than there is.
readonly UPLOADS_IN_FLIGHT=2

# times_of POOL: how long a request may wait for a worker, how long its work may take, and how long a worker that is told to stop goes on
# at most, in milliseconds: QUEUE_TIME, WORK_TIME and DRAIN_TIME.
times_of() {
  if [[ $1 == uploads ]]; then
    # The decoder has a minute for each of the two files.
    QUEUE_TIME=60000 WORK_TIME=$((120000 + CHATTY_STATEMENT_TIMEOUT))
  else
    QUEUE_TIME=$((CHATTY_STATEMENT_TIMEOUT + 2000)) WORK_TIME=$((2 * CHATTY_STATEMENT_TIMEOUT))
  fi
  DRAIN_TIME=$((QUEUE_TIME + WORK_TIME + 5000))
  if ((DRAIN_TIME < 30000)); then DRAIN_TIME=30000; fi
}

# environment_of SERVICE: the variables that a pool, the worker or the operator gets, as lines NAME=value.
environment_of() {
  local service=$1 role in_flight=$CHATTY_IN_FLIGHT
  role=$(role_of "$service")
  if [[ $service == login ]]; then in_flight=1; fi
  if [[ $service == uploads ]]; then in_flight=$UPLOADS_IN_FLIGHT; fi
  printf '%s\n' "CHATTY_HOME=$CHATTY_HOME" "CHATTY_POOL=$service" "CHATTY_DATABASE_URL=$SERVICE_DATABASE_URL" \
    "CHATTY_DATABASE_USER=chatty_$role" "CHATTY_DATABASE_PASSWORD_FILE=$CHATTY_HOME/secrets/$role.password" \
    "CHATTY_STATEMENT_TIMEOUT=$CHATTY_STATEMENT_TIMEOUT" "CHATTY_PREPARED_STATEMENTS=$CHATTY_PREPARED_STATEMENTS" \
    "CHATTY_KEYS=$CHATTY_KEYS" "CHATTY_PUBLIC_URL=$CHATTY_PUBLIC_URL" "CHATTY_LOG_LEVEL=$CHATTY_LOG_LEVEL"
  # A crash is told with where it was, and without what was in registers and memory: that may be a password or a token.
  printf '%s\n' "SWIFT_BACKTRACE=enable=yes,interactive=no,color=no,threads=crashed,registers=none,images=none,limit=32"
  if is_pool "$service"; then
    times_of "$service"
    printf '%s\n' "CHATTY_QUEUE_TIME=$QUEUE_TIME" "CHATTY_WORK_TIME=$WORK_TIME" "CHATTY_DRAIN_TIME=$DRAIN_TIME"
    # A worker has many requests at once, each made of some dozen small pieces of memory; by default the allocator keeps only seven of a
    # size at hand (glibc manual, "Memory Allocation Tunables").
    # More than its requests a worker has no use for.
    printf '%s\n' "CHATTY_IN_FLIGHT=$in_flight" "CHATTY_WRITE_CONNECTIONS=$((in_flight < CHATTY_WRITE_CONNECTIONS ? in_flight : CHATTY_WRITE_CONNECTIONS))" "GLIBC_TUNABLES=glibc.malloc.tcache_count=200"
  fi
  case $service in
    auth | login)
      printf '%s\n' "CHATTY_PASSWORD_COST=$CHATTY_PASSWORD_COST" "CHATTY_LOGIN_FAILURES=$CHATTY_LOGIN_FAILURES" \
        "CHATTY_LOGIN_LOCK=$CHATTY_LOGIN_LOCK" "CHATTY_RATE_MAILS=$CHATTY_RATE_MAILS"
      ;;
    posts | uploads) printf '%s\n' "CHATTY_MEDIA_QUOTA=$CHATTY_MEDIA_QUOTA" "CHATTY_IMAGE_SANDBOX=$CHATTY_IMAGE_SANDBOX" ;;
    operator) printf '%s\n' "CHATTY_PASSWORD_COST=$CHATTY_PASSWORD_COST" ;;
    recommendations)
      printf '%s\n' "CHATTY_RECOMMENDATION_NEIGHBOURS=$CHATTY_RECOMMENDATION_NEIGHBOURS" \
        "CHATTY_RECOMMENDATION_DAMPING=$CHATTY_RECOMMENDATION_DAMPING"
      ;;
    worker)
      printf '%s\n' "CHATTY_SMTP_URL=$CHATTY_SMTP_URL" "CHATTY_SMTP_CA_FILE=$CHATTY_SMTP_CA_FILE" "CHATTY_MAIL_FROM=$CHATTY_MAIL_FROM" \
        "CHATTY_UNVERIFIED_DAYS=$CHATTY_UNVERIFIED_DAYS" \
        "CHATTY_RECOMMENDATION_INTERVAL=$CHATTY_RECOMMENDATION_INTERVAL"
      ;;
  esac
}
