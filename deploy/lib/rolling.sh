# shellcheck shell=bash
# Replacing processes that serve, so that no request fails.

# replace_workers POOL: one after the other is told to finish, each once there is one in the last one's place. multiwatch keeps the
# socket, so what comes in between waits for the next worker.
replace_workers() {
  local pool=$1 old wanted pid seconds replaced=0
  # What it gives itself, and some.
  seconds=$(($(<"$CHATTY_HOME/env/$pool/CHATTY_DRAIN_TIME") / 1000 + 15))
  old=$(workers_of "$pool")
  [[ -n $old ]] || fail "the pool $pool has no workers"
  wanted=$(wc -l <<<"$old")
  for pid in $old; do
    kill -TERM "$pid" 2>/dev/null || true
    eventually "$seconds" has_new_worker "$pool" "$pid" "$wanted" || {
      show_log "$pool"
      fail "the pool $pool has no new worker in the place of $pid; the others were left as they are"
    }
    replaced=$((replaced + 1))
  done
  say "replaced $replaced workers of $pool"
}

# has_new_worker POOL OLD COUNT: OLD is gone, there are COUNT again, and they stay.
has_new_worker() {
  local before
  if [[ -e /proc/$2 ]]; then return 1; fi
  before=$(workers_of "$1")
  [[ $(wc -l <<<"$before") == "$3" ]] || return 1
  sleep 0.5
  [[ $(workers_of "$1") == "$before" ]]
}

# replace_pool POOL: for what a pool's workers have from their parent: another parent takes over the socket's place, and the old
# workers finish what they have; see runit/pool.serve.
replace_pool() {
  local pool=$1 parent
  parent=$(<"$CHATTY_HOME/service/$pool/supervise/pid")
  sv kill "$CHATTY_HOME/service/$pool" >/dev/null
  eventually 10 has_new_parent "$pool" "$parent" || {
    show_log "$pool"
    fail "the pool $pool does not start again"
  }
  say "replaced the pool $pool"
}

has_new_parent() {
  local parent
  parent=$(cat "$CHATTY_HOME/service/$1/supervise/pid" 2>/dev/null) || true
  [[ -n $parent && $parent != "$2" && -n $(workers_of "$1") ]]
}

# restart_worker: it ends between two rows of the outbox.
restart_worker() {
  sv -w 60 restart "$CHATTY_HOME/service/worker" >/dev/null || fail 'the worker does not end'
  did 'restarted the worker'
}

# in_parallel FUNCTION NAME…: for each name at the same time; fails if one of them did.
in_parallel() {
  local function=$1 name pid status=0 pids=()
  shift
  for name; do
    "$function" "$name" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || status=1; done
  return "$status"
}
