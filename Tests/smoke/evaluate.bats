#!/usr/bin/env bats
# `chatty recommendations evaluate`: how good recommendations are on a file of ratings.

load support

evaluate() { "$BATS_TEST_DIRNAME/../../deploy/chatty" recommendations evaluate "$@"; }

# numbers NAME: the four of a line of the last output.
numbers() { awk -v name="$1" 'index($0, name) == 1 { print $(NF - 3), $(NF - 2), $(NF - 1), $NF }' <<<"$output"; }

# camps: twenty users like the items 1 to 10 and twenty others 11 to 20; each has rated the others' items badly.
camps() {
  printf 'user\titem\trating\ttimestamp\n'
  awk 'BEGIN { for (user = 1; user <= 40; user++) for (item = 1; item <= 20; item++)
    printf "%d\t%d\t%d\t880000000\n", user, item, ((user <= 20) == (item <= 10)) ? 5 : 1 }'
}

@test "what the like-minded like is found, all of it and first" {
  camps >"$BATS_TEST_TMPDIR/ratings"
  run evaluate "$BATS_TEST_TMPDIR/ratings" --neighbours 19,3
  [[ $status == 0 && $output == '800 ratings, of which 400 are likes, by 40 users; 40 users tested on 20 % of theirs, seed 1'* ]]
  # 2 of 10 are held out; nobody else's are recommended before them.
  equal "$(numbers '19 neighbours')" '0.2000 1.0000 1.0000 1.0000'
  local popular
  popular=$(numbers 'most popular')
  awk '{ exit !($2 > 0.3 && $2 < 0.99 && $3 < 0.9) }' <<<"$popular" || wrong "what is popular finds $popular"
  awk '{ exit !($2 > 0.9) }' <<<"$(numbers '3 neighbours')"
  [[ $output == *' precision@10 '*' recall@10 '*' NDCG@10 '*' hit rate'* ]]
}

@test "places count: of what is found late NDCG takes less" {
  # Of five likes one is held out, and by popularity it comes after what everybody else likes: never first, always found.
  awk 'BEGIN { for (user = 1; user <= 30; user++) for (item = 1; item <= 5; item++) printf "%d\t%d\t5\t0\n", user, item }' >"$BATS_TEST_TMPDIR/ratings"
  run evaluate "$BATS_TEST_TMPDIR/ratings" --neighbours 3 --at 1
  # There is one item left that the user does not know: the one that was held out.
  equal "$(numbers 'most popular')" '1.0000 1.0000 1.0000 1.0000'
  awk 'BEGIN { for (user = 31; user <= 90; user++) print user "\t6\t5\t0" }' >>"$BATS_TEST_TMPDIR/ratings"
  run evaluate "$BATS_TEST_TMPDIR/ratings" --neighbours 3 --at 1
  equal "$(numbers 'most popular')" '0.0000 0.0000 0.0000 0.0000'
  run evaluate "$BATS_TEST_TMPDIR/ratings" --neighbours 29 --at 2
  # In the second place of one wanted: 1 / log2(3).
  equal "$(numbers 'most popular')" '0.5000 1.0000 0.6309 1.0000'
  equal "$(numbers '29 neighbours')" '0.5000 1.0000 1.0000 1.0000'
}

@test "the seed decides: the same gives the same, another another" {
  awk 'BEGIN { srand(7); for (user = 1; user <= 60; user++) for (item = 1; item <= 40; item++) if (rand() < 0.4) printf "%d\t%d\t%d\t0\n", user, item, 3 + 3 * rand() }' \
    >"$BATS_TEST_TMPDIR/ratings"
  local first second other
  first=$(evaluate "$BATS_TEST_TMPDIR/ratings" --seed 5 | tail -n +2)
  second=$(evaluate "$BATS_TEST_TMPDIR/ratings" --seed 5 | tail -n +2)
  other=$(evaluate "$BATS_TEST_TMPDIR/ratings" --seed 6 | tail -n +2)
  equal "$first" "$second"
  [[ $first != "$other" ]]
  equal "$(wc -l <<<"$first")" 8
  [[ $(evaluate "$BATS_TEST_TMPDIR/ratings" --seed 5 --damping 5 | tail -n +2) != "$first" ]]
  run evaluate "$BATS_TEST_TMPDIR/ratings" --users 7
  [[ $output == *' 7 users tested '* ]]
}

@test "a file that is none is told, with the line" {
  printf '1\t2\t5\t0\n1\t3\t4\t0\n1\tx\t4\t0\n' >"$BATS_TEST_TMPDIR/ratings"
  run evaluate "$BATS_TEST_TMPDIR/ratings"
  [[ $status == 1 && $output == *"Line 3 of $BATS_TEST_TMPDIR/ratings is not "* ]]
  printf '1\t2\t5\t0\n' >"$BATS_TEST_TMPDIR/ratings"
  run evaluate "$BATS_TEST_TMPDIR/ratings"
  [[ $status == 1 && $output == *'Nobody in '*' likes five items or more.'* ]]
  run evaluate "$BATS_TEST_TMPDIR/none"
  [[ $status == 1 && $output == *'Cannot read '* ]]
  run evaluate "$BATS_TEST_TMPDIR/ratings" --neighbours 3,0
  [[ $status == 64 && $output == *'--neighbours takes whole numbers'* ]]
}
