# shellcheck shell=bash
# deploy/bench recommendations: the index of likes and what is answered with it, at three sizes.
# shellcheck disable=SC2154 # work, ROOT and what is called here are deploy/bench's

# For how many likes; for each, how many users and posts.
bench_likes=${CHATTY_BENCH_LIKES:-20000 1000000 20000000}
shape_of() {
  if (($1 <= 20000)); then printf '2000 1500'; else printf '138000 27000'; fi
}

load_program() { /usr/bin/python3 "$ROOT/Tests/load/recommendations.py" "$@"; }

# answers TITLE ask|dense WHOM COUNT: a line of the table: p50 and p99 of so many, and how many failed.
answers() {
  local p50 p99 longest count failed note=''
  read -r p50 p99 longest count failed <<<"$(load_program "$2" "$3" "$4" 30)"
  if ((failed > 0)); then note="$failed of $((count + failed)) took longer than the database lets them"; fi
  printf '  %-56s %10s %9s %9s  %s\n' "$1" "$p50" "$p99" "$longest" "$note" >>"$work/table"
  say "  $1: p50 $p50 ms, p99 $p99 ms, $count answers, $failed failures"
}

# memory_of NAME: the proportional set size of a pool's workers together, in MiB.
memory_of() {
  local pid
  for pid in $(workers "$1"); do awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup"; done | awk '{ sum += $1 } END { printf "%d", sum / 1024 }'
}

# measure_index LIKES: builds the index and asks with it.
measure_index() {
  local seconds peak likes bytes
  read -r seconds peak likes bytes <<<"$(load_program build "$ROOT/deploy/chatty" recommendations build)"
  [[ -n ${bytes-} ]] || fail 'the index was not built'
  say "  built in $seconds s"
  awk -v seconds="$seconds" -v peak="$peak" -v likes="$likes" -v bytes="$bytes" 'BEGIN {
    printf "  building, from a start of the program: %.2f M likes/s%s, %.2f bytes a like%s, %d MiB at the peak\n",
      likes / seconds / 1e6, likes < 500000 ? "" : " (2 at least)", bytes / likes, likes < 500000 ? "" : " (10 at most)", peak }' >>"$work/table"
  answers 'by the index, random users' ask random 1000
  answers 'by the index, the 100 who like most' ask heaviest 100
  printf '  memory of the pool (PSS), the mapped index included: %s MiB\n' "$(memory_of chatty-recommendations)" >>"$work/table"
  "$ROOT/deploy/chatty" recommendations inspect --sample 1000 | sed -n 's/^search  */  the search alone, /p' >>"$work/table"
}

bench_recommendations() {
  local likes shape
  title_of_answers
  for likes in $bench_likes; do
    read -ra shape <<<"$(shape_of "$likes")"
    say "recommendations, $likes likes: loading"
    printf '%s likes, %s users, %s posts\n' "$(load_program load "${shape[@]}" "$likes")" "${shape[@]}" >>"$work/table"
    measure_index
    rm "$CHATTY_HOME/recommendations/likes.index"
    answers 'by SQL, random users' ask random 100
    answers 'by SQL, the 100 who like most' ask heaviest 100
    if ((likes <= 20000)); then answers 'by a dense matrix in numpy, random users' dense random 20; fi
  done
}

title_of_answers() {
  printf '\n%-58s %10s %9s %9s\n' 'GET /recommendations, one at a time (p99: 5 ms at 1 M, 25 at 20 M)' 'p50 ms' 'p99 ms' 'longest' >>"$work/table"
}
