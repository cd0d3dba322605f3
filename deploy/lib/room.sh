# shellcheck shell=bash
# Room on the disk under CHATTY_HOME: how much there is, whether it is enough, and the reserve for when it is not.

# Below it the services refuse what would be written (Sources/ServiceKit/Run/DiskRoom.swift), in MiB.
readonly LEAST_ROOM=96
# A new stack: its executables, a cluster, the reserve, and room to work with.
readonly FIRST_ROOM=512
readonly RESERVE=64

# room: MiB that are free for everybody.
room() {
  local blocks size
  read -r blocks size < <(stat --file-system --format '%a %S' "$CHATTY_HOME")
  printf '%s' $((blocks * size >> 20))
}

# lacks_room: says what is wrong; fails if nothing is.
lacks_room() {
  local free
  free=$(room)
  if ((free >= LEAST_ROOM)); then return 1; fi
  printf 'no room under CHATTY_HOME (%s): %s MiB are free, and below %s MiB writes are refused' "$CHATTY_HOME" "$free" "$LEAST_ROOM"
  if [[ -e $CHATTY_HOME/reserve ]]; then
    printf '; remove what can go, or %s/reserve, which takes %s MiB for such a time' "$CHATTY_HOME" "$RESERVE"
  fi
}

# check_room: before anything is written.
check_room() {
  local lack
  if lack=$(lacks_room); then fail "$lack"; fi
  if [[ ! -e $CHATTY_HOME/bin/chatty ]] && (($(room) < FIRST_ROOM)); then
    fail "no room under CHATTY_HOME ($CHATTY_HOME): $(room) MiB are free, and a new stack needs $FIRST_ROOM MiB"
  fi
}

# make_reserve: blocks that are taken, so that there is something to give back when the disk is full.
make_reserve() {
  local file=$CHATTY_HOME/reserve
  if [[ -e $file ]] || (($(room) < LEAST_ROOM + 2 * RESERVE)); then return; fi
  rm -f "$file.new"
  fallocate --length "${RESERVE}MiB" "$file.new" 2>/dev/null || head -c "${RESERVE}M" /dev/zero >"$file.new" || fail "cannot write $file.new"
  mv "$file.new" "$file"
}

# release_reserve: gives the reserve back if there is no room without it: what ends needs some too. deploy/up makes it again.
release_reserve() {
  if [[ -e $CHATTY_HOME/reserve ]] && lacks_room >/dev/null; then
    rm "$CHATTY_HOME/reserve"
    say "the disk is full: removed the reserve of $RESERVE MiB, $CHATTY_HOME/reserve"
  fi
}
