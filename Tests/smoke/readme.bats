#!/usr/bin/env bats
# What the README tells a newcomer to type is typed here.

load support

# The shell blocks of the tour, as they are but for the address and the folder of this stack.
tour() {
  awk '/^<!-- tour/ { tour = 1 } /^<!-- end of the tour/ { tour = 0 }
    tour && /^```sh$/ { block = 1; next } /^```$/ { block = 0 } tour && block' "$BATS_TEST_DIRNAME/../../README.md" |
    sed -e "s|http://localhost:8080|http://localhost:${CHATTY_TEST_URL##*:}|" -e "s|\.chatty/|${CHATTY_HOME:?}/|"
}

@test "the README's tour works as it is written" {
  cd "$BATS_TEST_DIRNAME/../.."
  tour >"$BATS_TEST_TMPDIR/tour.sh"
  # Each step's answer, one a line, so that what must come back can be told.
  bash -euo pipefail "$BATS_TEST_TMPDIR/tour.sh" >"$BATS_TEST_TMPDIR/said" 2>"$BATS_TEST_TMPDIR/errors" ||
    wrong "the tour ended with $?: $(cat "$BATS_TEST_TMPDIR/errors" "$BATS_TEST_TMPDIR/said")"
  sed 's/}{/}\n{/g; s/\]{/]\n{/g; s/}\[/}\n[/g' "$BATS_TEST_TMPDIR/said" >"$BATS_TEST_TMPDIR/lines"
  local said
  for said in 'User ada registered, check your email' 'User grace registered, check your email' 'Account verified' \
    '"username":"ada"' 'Comment added' 'Post liked' '"like_count":1' 'It does.' 'Subscribed to user' 'Your feed' \
    'ecommend' 'blocked' 'Not authenticated' 'Post not found' 'unblocked' 'Activity stats'; do
    grep -q -- "$said" "$BATS_TEST_TMPDIR/lines" || wrong "the tour did not say '$said': $(cat "$BATS_TEST_TMPDIR/lines")"
  done
}
