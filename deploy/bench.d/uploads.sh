# shellcheck shell=bash
# deploy/bench uploads: JPEGs of 10 MiB, as many at once as the pool decodes: how many a second, and what memory it takes; and what
# others notice of it.
# shellcheck disable=SC2154 # what deploy/bench sets

# pool_memory: kilobytes that each worker of the pool has had at most, and that each of its decoders has now, a line each.
pool_memory() {
  local pid
  for pid in $(workers chatty-posts); do
    if [[ $(readlink "/proc/$pid/cwd") == */service/uploads ]]; then
      awk -v kind=worker '/^VmHWM:/ { print kind, $2 }' "/proc/$pid/status" 2>/dev/null || true
      # In its sandbox, whose processes are its parent and grandparent.
      { pgrep --parent "$pid" || true; } | xargs -r -n 1 pgrep --parent | xargs -r -n 1 pgrep --exact chatty-image --parent | while read -r child; do
        awk -v kind=decoder '/^VmRSS:/ { print kind, $2 }' "/proc/$child/status" 2>/dev/null || true
      done
    fi
  done
}

bench_uploads() {
  local number codes pid began took count=$((4 * seconds)) before
  # Grain does not compress: about 20 megapixels are 10 MiB.
  vips gaussnoise "$work/grain.v" 5400 3700 --mean 128 --sigma 22
  vips cast "$work/grain.v" "$work/grain.png" uchar
  vips bandjoin "$work/grain.png $work/grain.png $work/grain.png" "$work/rgb.v"
  vips copy "$work/rgb.v" "$work/large.jpg[Q=88]"
  number=$(stat -c %s "$work/large.jpg")
  ((number > 8 << 20 && number <= 10 << 20)) || fail "the image has $number bytes"
  log_in bench
  before=$(pool_memory)
  say "uploading $count images of $number bytes"
  load quiet "$CHATTY_TEST_URL/posts/$post_id"
  while true; do
    pool_memory >>"$work/resident"
    sleep 0.1
  done &
  pid=$!
  started+=("$pid")
  began=$(date +%s.%N)
  codes=$(seq "$count" | xargs -P 4 -I{} curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 120 \
    --header "Authorization: Bearer $(token_of bench)" --form title=x --form content=y --form "image=@$work/large.jpg" "$CHATTY_TEST_URL/posts" | sort | uniq -c | xargs)
  took=$(awk -v began="$began" -v ended="$(date +%s.%N)" 'BEGIN { print ended - began }')
  kill "$pid"
  [[ $codes == "$count 200" ]] || fail "not every upload was taken: $codes"
  # Uploads again, for what others notice.
  seq "$count" | xargs -P 4 -I{} curl --silent --output /dev/null --max-time 120 --header "Authorization: Bearer $(token_of bench)" \
    --form title=x --form content=y --form "image=@$work/large.jpg" "$CHATTY_TEST_URL/posts" &
  pid=$!
  started+=("$pid")
  sleep 1
  load beside "$CHATTY_TEST_URL/posts/$post_id"
  wait "$pid" || true
  {
    printf '\n%-58s %10s\n' "Uploads: JPEGs of $(awk -v bytes="$number" 'BEGIN { printf "%.1f", bytes / 1048576 }') MiB, 20 megapixels, 4 at a time" ''
    printf '  %-56s %10.2f\n' 'a second' "$(awk -v count="$count" -v took="$took" 'BEGIN { print count / took }')"
    awk '$1 == "worker" && $2 > most { most = $2 } END { printf "  %-56s %10.1f\n", "a worker of the pool before, at its largest, MiB", most / 1024 }' <<<"$before"
    awk '$1 == "worker" && $2 > most { most = $2 } END { printf "  %-56s %10.1f\n", "a worker of the pool meanwhile, at its largest, MiB", most / 1024 }' "$work/resident"
    awk '$1 == "decoder" && $2 > most { most = $2 } END { printf "  %-56s %10.1f\n", "a decoder, at its largest, MiB", most / 1024 }' "$work/resident"
  } >>"$work/table"
  title "GET /posts/{id} while images are decoded, $connections connections"
  row 'without' quiet
  row 'Chatty (ratio: to without)' beside quiet
}
