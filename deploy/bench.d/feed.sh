# shellcheck shell=bash
# deploy/bench feed: GET /feed beside pgbench of the same statement, with 10,000 posts and with a million, for readers who follow 10 to
# 5,000 of 50,000 authors; and the two ways that a feed can be read beside each other.
# shellcheck disable=SC2154 # what deploy/bench sets

# shellcheck source-path=SCRIPTDIR source=../../Tests/smoke/plans.bash
source "${BASH_SOURCE[0]%/*}/../../Tests/smoke/plans.bash"

readonly FOLLOWED=(10 100 1000 5000)

# make_authors: 50,000 of them, and readers who follow some at random.
make_authors() {
  local count
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
       SELECT 'author' || n, 'author' || n || '@example.org', 'x', now() FROM generate_series(1, 50000) n"
  for count in "${FOLLOWED[@]}"; do
    member "reader$count"
    sql "INSERT INTO subscriptions (follower_id, following_id)
         SELECT $(id_of "reader$count"), id FROM users WHERE username LIKE 'author%' ORDER BY random() LIMIT $count"
  done
}

# write_posts COUNT: by authors whose diligence is spread as Zipf found it: the author of rank r writes one post where the first
# writes r. Ranks and ids have nothing to do with each other.
write_posts() {
  sql "INSERT INTO posts (user_id, title, content)
       SELECT first.id + (floor(exp(random() * ln(50001)))::bigint - 1) * 7919 % 50000, 'A post of the usual length, number ' || n,
         repeat('Some words of a usual post. ', 8)
       FROM (SELECT min(id) AS id FROM users WHERE username LIKE 'author%') first, generate_series(1, $1) n"
  sql 'VACUUM ANALYZE'
  # Plans are made for the tables as they are now.
  new_sessions feed
}

# page_address READER NUMBER: the path and query of a page of 20, or of the last one if there are not so many.
page_address() {
  local path='/feed?limit=20' number next
  for ((number = 1; number < $2; number++)); do
    as "$1" get "$path"
    expect 200
    next=$(next_page)
    if [[ -z $next ]]; then break; fi
    path=$next
  done
  printf '%s' "$path"
}

# statement_for READER PATH FILE: the statement that the service answers this with, for pgbench; and checks that it gives the same.
statement_for() {
  local reader=$1 path=$2 file=$3 want got
  explain_service feed
  rows_read walked as "$reader" get "$path" >"$work/plan"
  leave_service feed
  # By what each is compared with; the others are all the size of the page and one more.
  jq -r .text "$work/plan" |
    sed -E -e 's/s\.id = \$[0-9]+/s.id = :session/' -e 's/(user_id|follower_id) = \$[0-9]+/\1 = :reader/g' -e 's/\bid < \$[0-9]+/id < :before/g' \
      -e 's/\$[0-9]+/:fetch/g' >"$file"
  values=(--define "reader=$(id_of "$reader")" --define "session=$(sql "SELECT max(id) FROM sessions WHERE user_id = $(id_of "$reader")")"
    --define 'before=9223372036854775807' --define 'fetch=21')
  as "$reader" get "$path"
  want=$(field '.posts[].id')
  got=$(psql --no-psqlrc --quiet --tuples-only --no-align "${values[@]//--define/--variable}" --file "$file" "$CHATTY_TEST_DATABASE_URL" | sed -nE 's/^([0-9]+)\|.*/\1/p' | head -n 20)
  [[ $want == "$got" ]] || fail "pgbench's statement gives other posts than the service: $got"
}

# one_by_one NAME READER PATH: a round of wrk with one connection: one request after the other.
one_by_one() {
  local connections=1
  printf '\n' >"$work/one"
  load "$1" "$CHATTY_TEST_URL$3" GET "$(token_of "$2")" '' "$3" '' "$work/one"
}

# measure_pages POSTS: a line of the table for each reader, for the first page and the twentieth.
measure_pages() {
  local posts=$1 count number path rows name seconds=$((seconds < 5 ? seconds : 5))
  for count in "${FOLLOWED[@]}"; do
    log_in "reader$count"
    for number in 1 20; do
      path=$(page_address "reader$count" "$number")
      name=feed-$posts-$count-$number
      one_by_one "$name" "reader$count" "$path"
      explain_service feed
      rows=$(rows_read walked as "reader$count" get "$path" | jq '[.scans | to_entries[] | select(.key != "Seq Scan, sessions") | .value] | add')
      leave_service feed
      printf '%-24s %10s %6s %10.2f %10.2f %10s\n' "  $count followed" "$posts" "$number" "$(median "$name" 2)" "$(median "$name" 3)" "$rows" >>"$work/pages"
    done
  done
}

bench_feed() {
  # shellcheck disable=SC2034 # transactions and statement_for use them
  local round role=feed values count plan
  say 'writing 10,000 posts of 50,000 authors'
  make_authors
  write_posts 10000
  measure_pages 10000
  say 'writing 990,000 more'
  write_posts 990000
  measure_pages 1000000

  log_in reader100
  statement_for reader100 '/feed?limit=20' "$work/feed.sql"
  printf '\n' >"$work/one"
  for ((round = 1; round <= rounds; round++)); do
    say "GET /feed, round $round of $rounds"
    transactions feed-select "$connections" "$work/feed.sql" "${values[@]}"
    load feed "$CHATTY_TEST_URL/feed?limit=20" GET "$(token_of reader100)" '' '/feed?limit=20' '' "$work/one"
  done
  title "GET /feed, 20 posts of 100 followed, 1,000,000 posts, $connections connections"
  row 'pgbench of the same statement' feed-select
  row 'Chatty (ratio: to pgbench, 0.7 at least)' feed feed-select
  {
    printf '\n%-24s %10s %6s %10s %10s %10s\n' 'GET /feed, one at a time' posts page 'p50 ms' 'p99 ms' 'rows read'
    cat "$work/pages"
    printf '  with 100 followed, a million posts to ten thousand, p50: %.2f (1.3 at most)\n' \
      "$(awk -v a="$(median feed-1000000-100-1 2)" -v b="$(median feed-10000-100-1 2)" 'BEGIN { print a / b }')"
  } >>"$work/table"

  printf '\n%-58s %10s %10s %10s\n' 'The statement by pgbench, ms on average, one at a time' 'as it is' authors walk >>"$work/table"
  for count in 100 1000 5000; do
    log_in "reader$count"
    statement_for "reader$count" '/feed?limit=20' "$work/plan-as-is.sql"
    sed -E 's/CASE WHEN a\.following .* END$/0/' "$work/plan-as-is.sql" >"$work/plan-authors.sql"
    sed -E 's/CASE WHEN a\.following .* END$/1000000000/' "$work/plan-as-is.sql" >"$work/plan-walk.sql"
    if cmp --silent "$work/plan-as-is.sql" "$work/plan-walk.sql"; then fail 'the statement does not choose its way as it used to'; fi
    for plan in as-is authors walk; do transactions "feed-$count-$plan" 1 "$work/plan-$plan.sql" "${values[@]}"; done
    printf '%-58s %10.2f %10.2f %10.2f\n' "  $count followed, first page" "$(median "feed-$count-as-is" 2)" "$(median "feed-$count-authors" 2)" \
      "$(median "feed-$count-walk" 2)" >>"$work/table"
  done
}
