# shellcheck shell=bash
# The services of a stack as runit's folders: the pools, the worker, nginx, PostgreSQL.
# shellcheck disable=SC2034,SC2153 # what it sets is for other files; keys of VALUES are no variables

readonly NGINX_GROUP=www-data

# define SERVICE FILE=TEMPLATE…: the service's folder and its log's. One that is new is not started yet.
define() {
  local service=$1 folder=$CHATTY_HOME/service/$1 made=$CHATTY_HOME/service/$1 file
  shift
  VALUES[NAME]=$service
  # runsvdir does not look at names that begin with a dot.
  if [[ ! -d $folder ]]; then made=$CHATTY_HOME/service/.$service; fi
  mkdir -p "$made/log" "$made/control" "$CHATTY_HOME/log/$service"
  for file; do
    render "$ROOT/deploy/runit/${file#*=}" "$made/${file%%=*}" 755
  done
  define_log "$service" "$made"
  if [[ $made != "$folder" ]]; then
    touch "$made/down"
    mv "$made" "$folder"
  fi
}

# define_log SERVICE FOLDER: the part of `define` that is the log's. Its keeper is replaced if it would be another one now.
define_log() {
  VALUES[LOG_SIZE]=$CHATTY_LOG_SIZE VALUES[LOG_DAYS]=$CHATTY_LOG_DAYS
  render "$ROOT/deploy/runit/log.run" "$2/log/run" 755
  if is_supervised "$1" && { $RENDERED || runs_old_executable "$(<"$2/log/supervise/pid")"; }; then sv restart "$2/log" >/dev/null; fi
}

# write_environment SERVICE [FOLDER]: a folder with a file a variable, for chpst -e; unless it is another one, with the revision of a service.
write_environment() {
  local service=$1 folder=${2-$CHATTY_HOME/env/$1} line file wanted=' '
  install --directory --mode 700 "$folder"
  while IFS= read -r line; do
    wanted+="${line%%=*} "
    write_file "$folder/${line%%=*}" 600 "${line#*=}"
  done < <(
    environment_of "$service"
    if (($# == 1)) && [[ -d $CHATTY_HOME/service/$service ]]; then printf 'CHATTY_REVISION=%s\n' "$(revision_of "$service")"; fi
  )
  for file in "$folder"/*; do
    if [[ $wanted != *" ${file##*/} "* ]]; then rm -f "$file"; fi
  done
}

# A process is started with a revision, a digest of its settings and of the scripts that start it, and is asked for it: what runs says by
# itself with what. A note beside it would be wrong whenever deploy/up is cut off between the one and the other.

# digest: of standard input.
digest() { sha256sum | cut -c 1-16; }

# revision_of SERVICE: that with which a pool or the worker is to run.
revision_of() {
  local scripts=("$CHATTY_HOME/service/$1/run")
  if is_pool "$1"; then scripts+=("$CHATTY_HOME/service/$1/serve"); fi
  { environment_of "$1" && cat "${scripts[@]}"; } | digest
}

# revision_in_script SERVICE: the same of nginx or PostgreSQL, which get theirs as an argument.
revision_in_script() { sed -nE 's/.*(CHATTY_REVISION|chatty\.revision)=([0-9a-f]{16}).*/\2/p' "$CHATTY_HOME/service/$1/run"; }

# has_old_settings SERVICE: one of its processes that serve was started with others.
has_old_settings() {
  local pid wanted
  wanted=$(cat "$CHATTY_HOME/env/$1/CHATTY_REVISION" 2>/dev/null) || return 0
  for pid in $(servers_of "$1"); do
    if ! grep --quiet --null-data --line-regexp --fixed-strings "CHATTY_REVISION=$wanted" "/proc/$pid/environ" 2>/dev/null && [[ -e /proc/$pid ]]; then return 0; fi
  done
  return 1
}

# servers_of SERVICE: the process ids of a pool's workers, or of the worker.
servers_of() {
  if is_pool "$1"; then workers_of "$1"; else cat "$CHATTY_HOME/service/$1/supervise/pid" 2>/dev/null || true; fi
}

# check_settings: whether the executables that were built take them; nothing has been touched yet.
check_settings() {
  local service folder=$CHATTY_HOME/env/.check said
  folder env 700
  for service in "${POOLS[@]}" worker; do
    write_environment "$service" "$folder"
    # deploy/migrate is yet to make it.
    rm -f "$folder/CHATTY_DATABASE_PASSWORD_FILE"
    said=$(env -i chpst -e "$folder" "$BUILT/$(executable_of "$service")" --check </dev/null 2>&1) || {
      rm -rf "$folder"
      printf '%s: %s\n' "$PROGRAM" "${said#chatty: }" >&2
      exit 78
    }
  done
  rm -rf "$folder"
}

define_pools() {
  local pool user
  for pool in "${POOLS[@]}"; do
    user=$(user_of "$pool")
    VALUES[EXECUTABLE]=$(executable_of "$pool") VALUES[WORKERS]=$(wanted_workers "$pool")
    VALUES[AS_USER]=${user:+-u $user} VALUES[SOCKET_OWNER]=${user:+-U $user -G $NGINX_GROUP}
    # Hashes and images take what the others leave of the processor, and a tenth when they leave nothing.
    VALUES[PRIORITY]=''
    if [[ $pool == login || $pool == uploads ]]; then VALUES[PRIORITY]='nice -n 10'; fi
    times_of "$pool"
    VALUES[KILL_SECONDS]=$((DRAIN_TIME / 1000 + 10))
    # What all of nginx's workers together may have waiting.
    VALUES[BACKLOG]=$((2 * $(gate "$pool") + 64))
    define "$pool" run=pool.run serve=pool.serve
    write_environment "$pool"
  done
}

define_worker() {
  local user
  user=$(user_of worker)
  # With the group of the images' folders.
  VALUES[AS_USER]=${user:+-u $user:$user:$(user_of posts)}
  define worker run=worker.run
  write_environment worker
}

# define_nginx: the public one, which takes a new configuration while it runs, and that of the operations listener, which nobody minds
# being restarted.
define_nginx() {
  VALUES[FOLDER]=$CHATTY_HOME/nginx VALUES[CONFIGURATION]=nginx.conf
  VALUES[REVISION]=$(digest <"$ROOT/deploy/runit/nginx.run")
  define nginx run=nginx.run control/t=nginx.control
  VALUES[FOLDER]=$CHATTY_HOME/service/operations VALUES[CONFIGURATION]=operations.conf
  VALUES[REVISION]=$({ cat "$ROOT/deploy/runit/nginx.run" && configuration_digest; } | digest)
  define operations run=nginx.run control/t=nginx.control
}

# is_old_nginx SERVICE: it was started with another revision; nginx shows its arguments in its title.
is_old_nginx() {
  ! tr '\0' ' ' <"/proc/$(<"$CHATTY_HOME/service/$1/supervise/pid")/cmdline" | grep --quiet "CHATTY_REVISION=$(revision_in_script "$1");"
}

define_cluster() {
  VALUES[AS_USER]=''
  if is_root; then VALUES[AS_USER]='-u postgres'; fi
  VALUES[POSTGRES_BIN]=$(postgres_bin)
  VALUES[REVISION]=$({ cat "$ROOT/deploy/runit/postgres.run" && printf '%s' "${VALUES[POSTGRES_BIN]}"; } | digest)
  define postgres run=postgres.run control/t=postgres.control
}

# check_sandbox: whether the post service's user can make the sandbox that decoders of images run in (Sources/Media/Sandbox.swift).
check_sandbox() {
  if [[ $CHATTY_IMAGE_SANDBOX == off ]]; then
    say 'images are decoded without a sandbox: CHATTY_IMAGE_SANDBOX is off'
    return
  fi
  local user said probe=(bwrap --unshare-all --unshare-user --uid 65534 --gid 65534 --cap-drop ALL --ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64 /usr/bin/true)
  user=$(user_of posts)
  said=$(cd / && ${user:+chpst -u "$user"} "${probe[@]}" 2>&1) ||
    fail "decoders of images cannot be put into a sandbox: ${said%%$'\n'*}. Let users make namespaces (sysctl user.max_user_namespaces, and kernel.unprivileged_userns_clone where there is one), or set CHATTY_IMAGE_SANDBOX=off, with which a decoder can read what the post service can"
}

# wanted_workers POOL: how many it is to have.
wanted_workers() {
  case $1 in
    login) printf '%s' "$CHATTY_LOGIN_WORKERS" ;;
    uploads) printf '%s' "$CHATTY_UPLOAD_WORKERS" ;;
    *) printf '%s' "$CHATTY_WORKERS" ;;
  esac
}

# gate POOL: the requests that it is given at once: those that its workers handle, and a queue. 1024 requests are some hundredths of
# a second of work for most pools; for login it is three hashes a worker, most of a second, and for uploads some seconds.
gate() {
  case $1 in
    login) printf '%s' $((4 * CHATTY_LOGIN_WORKERS)) ;;
    uploads) printf '%s' $((4 * UPLOADS_IN_FLIGHT * CHATTY_UPLOAD_WORKERS)) ;;
    *) printf '%s' $((CHATTY_WORKERS * CHATTY_IN_FLIGHT + 1024)) ;;
  esac
}

# workers_of POOL: the process ids of its workers: the children of its multiwatch.
workers_of() {
  local parent
  parent=$(cat "$CHATTY_HOME/service/$1/supervise/pid" 2>/dev/null) || true
  if [[ -n $parent ]]; then { pgrep --parent "$parent" || true; } | only_workers "$1"; fi
}

# only_workers POOL: of the process ids on standard input those that run the pool's executable.
only_workers() {
  local pid
  while read -r pid; do
    if [[ -n $pid && $(readlink "/proc/$pid/exe") == "$CHATTY_HOME/bin/$(executable_of "$1")"* ]]; then printf '%s\n' "$pid"; fi
  done
}

# runs_old_executable PID: the file that it was started from has been replaced.
runs_old_executable() { [[ $(readlink "/proc/$1/exe") == *' (deleted)' ]]; }
