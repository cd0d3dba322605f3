# shellcheck shell=bash
# runit: one runsvdir keeps every service of a stack running, and each service's log.
# shellcheck disable=SC2034 # what it sets is for other files

# stack_processes: every process of this stack, as "pid name": its current folder is in service/, nginx/ or postgres/.
stack_processes() {
  local folder pid
  # Processes that end meanwhile are no error.
  {
    find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' \( -lname "$CHATTY_HOME/service" -o -lname "$CHATTY_HOME/service/*" \
      -o -lname "$CHATTY_HOME/nginx" -o -lname "$CHATTY_HOME/postgres" \) 2>/dev/null || true
  } | while read -r folder; do
    pid=${folder//[!0-9]/}
    case $(cat "/proc/$pid/comm" 2>/dev/null) in
      runsvdir) printf '%s runsvdir\n' "$pid" ;;
      runsv | multiwatch | spawn-fcgi | nginx | postgres | chatty-* | run | serve | sleep) printf '%s service\n' "$pid" ;;
    esac
  done
}

# supervisor: the process id of this stack's runsvdir, nothing if it does not run.
supervisor() {
  stack_processes | awk '$2 == "runsvdir" { print $1 }'
}

# is_supervised SERVICE: its runsv is there.
is_supervised() { [[ $(sv status "$CHATTY_HOME/service/$1" 2>/dev/null) =~ ^(run|down|finish): ]]; }

# is_running SERVICE
is_running() { [[ $(sv status "$CHATTY_HOME/service/$1" 2>/dev/null) == run:* ]]; }

# start_supervisor: if it does not run. It lives on when this script ends, has nothing of this script's environment, and keeps
# none of its files open.
start_supervisor() {
  local folder
  if [[ -n $(supervisor) ]]; then return; fi
  if [[ -n $(stack_processes) ]]; then
    did 'the supervisor is gone and has left processes behind: stopping them first'
    stop_stack
  fi
  # Each is started when what it needs is there.
  for folder in "$CHATTY_HOME"/service/*/; do touch "${folder}down"; done
  (
    exec {LOCK}>&- </dev/null >>"$CHATTY_HOME/log/supervisor.log" 2>&1
    cd "$CHATTY_HOME/service" || exit
    exec setsid env -i LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      runsvdir -P "$CHATTY_HOME/service"
  ) &
  printf '%s\n' $! >"$CHATTY_HOME/runsvdir.pid"
  disown
}

# start_service SERVICE: from now on it is kept running.
start_service() {
  local folder=$CHATTY_HOME/service/$1
  # runsvdir looks for new folders every five seconds.
  eventually 15 is_supervised "$1" || fail "the supervisor does not take $1: see $CHATTY_HOME/log/supervisor.log"
  sv up "$folder" >/dev/null
  CHANGED=true
  rm -f "$folder/down"
}

# remove_service SERVICE: stops it for good.
remove_service() {
  stop_service 60 "$1"
  mv "$CHATTY_HOME/service/$1" "$CHATTY_HOME/service/.$1.removed"
  if is_supervised ".$1.removed"; then sv exit "$CHATTY_HOME/service/.$1.removed" >/dev/null || true; fi
  eventually 15 is_unsupervised ".$1.removed" || true
  rm -rf "$CHATTY_HOME/service/.$1.removed"
}

is_unsupervised() { ! is_supervised "$1"; }

# show_log SERVICE: its last lines.
show_log() {
  printf '%s\n' "-- the last lines of $CHATTY_HOME/log/$1/current:" >&2
  tail -n 10 "$CHATTY_HOME/log/$1/current" >&2 || true
}

# stop_service SECONDS SERVICE…: all at once, and waits for them.
stop_service() {
  local seconds=$1 service folders=()
  shift
  for service; do if is_supervised "$service"; then folders+=("$CHATTY_HOME/service/$service"); fi; done
  if ((${#folders[@]} == 0)); then return; fi
  sv -w "$seconds" force-stop "${folders[@]}" >/dev/null || true
}

# stop_stack: in the order in which nobody is left without what they need; then whatever is left.
stop_stack() {
  local services=() folder pid before
  before=$(stack_processes)
  for folder in "$CHATTY_HOME"/service/*/; do
    folder=${folder%/}
    case ${folder##*/} in nginx | postgres | '*') ;; *) services+=("${folder##*/}") ;; esac
  done
  stop_service 15 nginx
  if ((${#services[@]} > 0)); then stop_service 40 "${services[@]}"; fi
  stop_service 60 postgres
  # First the one that would start the others again.
  pid=$(supervisor)
  if [[ -n $pid ]]; then kill -TERM "$pid"; fi
  for folder in "$CHATTY_HOME"/service/*/; do
    if is_supervised "$(basename "$folder")"; then sv exit "$folder" >/dev/null || true; fi
  done
  if ! eventually 10 is_stopped; then
    signal_stack TERM
    eventually 5 is_stopped || signal_stack KILL
    eventually 5 is_stopped || fail "these processes do not end: $(stack_processes)"
  fi
  # Those that have ended may wait for init to take note of it.
  eventually 5 are_gone "$before" || true
  rm -f "$CHATTY_HOME/runsvdir.pid"
}

# are_gone PROCESSES: none of these is there, not even as a zombie.
are_gone() {
  local pid _
  while read -r pid _; do
    if [[ -n $pid && -e /proc/$pid ]]; then return 1; fi
  done <<<"$1"
}

is_stopped() { [[ -z $(stack_processes) ]]; }

signal_stack() {
  local pid _
  stack_processes | while read -r pid _; do kill "-$1" "$pid" 2>/dev/null || true; done
}
