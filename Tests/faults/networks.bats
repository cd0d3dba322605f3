#!/usr/bin/env bats
# Recommendations in thousands of small random networks, by the index and by SQL, beside a computation with dense matrices.

load ../smoke/support
load ../smoke/stack

setup_file() {
  start_stack CHATTY_RECOMMENDATION_INTERVAL=0
  networks make 2000 "${SEED:=$RANDOM}" "$BATS_FILE_TMPDIR/networks"
  echo "# seed $SEED" >&3
}

teardown_file() {
  stop_stack
}

networks() { /usr/bin/python3 "$ROOT/Tests/faults/networks.py" "$@"; }

# every SHARE DAMPING: checks a user of every so-many-th network, and that many have neighbours.
every() {
  run networks check "$BATS_FILE_TMPDIR/networks" "$2" "$1"
  echo "$output"
  ((status == 0))
  [[ $output =~ ^([0-9]+)\ answers.*,\ ([0-9]+)\ of ]]
  ((BASH_REMATCH[1] > 1500 / $1 && BASH_REMATCH[2] > BASH_REMATCH[1] / 5))
}

@test "the index answers by the definition" {
  "$ROOT/deploy/chatty" recommendations build
  every 1 0
}

@test "so does SQL" {
  rm "$CHATTY_HOME/recommendations/likes.index"
  every 4 0
}

@test "and so do both with damped overlaps" {
  CHATTY_RECOMMENDATION_DAMPING=2 up
  every 4 2
  "$ROOT/deploy/chatty" recommendations build
  every 1 2
}
