# shellcheck shell=bash
# deploy/bench logins, flood, mail: whether the time of a login tells anything, what others notice when logins saturate their pool, and
# how fast mail leaves.
# shellcheck disable=SC2154 # what deploy/bench sets

# time_login BODY: milliseconds that one login takes.
time_login() {
  curl --silent --output /dev/null --max-time 20 --write-out '%{time_total}' --header 'Content-Type: application/json' --data-binary "$1" \
    "$CHATTY_TEST_URL/auth/login" | awk '{ print $1 * 1000 }'
}

# The four that get nothing, in turn, fifty times: a machine that is disturbed disturbs them alike.
bench_logins() {
  local kind n base
  local -A body
  register known
  sql "UPDATE users SET verified_at = now() WHERE id = $(id_of known)"
  register unverified
  resident old
  # shellcheck disable=SC2016 # a hash is full of dollars
  sql 'UPDATE users SET hashed_password = '\''$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKRVQAr/36eYaEYjV7wEkQ1NDAuwGrT2kvPZ.mHnlfHcBS6K0NfVBSAh.'\'" WHERE id = $(id_of old)"
  body=([unknown]=$(credentials nobody wrong) [wrong]=$(credentials known wrong) [state]=$(credentials unverified) [old]=$(credentials old wrong))
  say 'logins that get nothing, 50 of each kind'
  for ((n = 0; n < 50; n++)); do
    for kind in unknown wrong state old; do time_login "${body[$kind]}" >>"$work/login.$kind"; done
  done
  base=$(median <"$work/login.wrong")
  printf '\n%-58s %10s %9s %9s %8s\n' 'Logins that get nothing, one at a time' '' 'p50 ms' 'p98 ms' 'ratio' >>"$work/table"
  for kind in unknown wrong state old; do
    printf '  %-56s %10s %9.1f %9.1f %8.3f\n' "$(case $kind in
      unknown) echo 'an unknown user' ;;
      wrong) echo 'a wrong password (ratios: to this one, 0.95 to 1.05)' ;;
      state) echo 'the right password of an account that is not verified' ;;
      old) echo 'a wrong password where the hash is an old, quick one' ;;
    esac)" '' "$(median <"$work/login.$kind")" "$(sort -n "$work/login.$kind" | sed -n 49p)" \
      "$(awk -v a="$(median <"$work/login.$kind")" -v b="$base" 'BEGIN { print a / b }')" >>"$work/table"
  done
}

# flooded_accounts COUNT: so many, named as the registered one and a number, with its password.
flooded_accounts() {
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
    SELECT username || '.' || n, n || email, hashed_password, now() FROM users, generate_series(1, $1) n WHERE id = $(id_of flooded)"
}

# wrk logs in over 64 connections, each again a tenth of a second after its answer, from before a round of reads until after it. That is
# a hundred times what the pool can do; without the pause it would be a flood of refusals, which costs nginx and wrk their time and not
# the pool.
bench_flood() {
  local round flood
  register flooded
  flooded_accounts 64
  credentials flooded | jq -c 'range(1; 65) as $n | .username += ".\($n)"' >"$work/login.json"
  for ((round = 1; round <= rounds; round++)); do
    say "GET /posts/{id} without and with a flood of logins, round $round of $rounds"
    load calm "$CHATTY_TEST_URL/posts/$post_id"
    wrk -c 64 -t 1 -d "$((seconds + 2))s" --timeout 30s -s "$ROOT/Tests/load/logins.lua" "$CHATTY_TEST_URL/auth/login" -- "$work/login.json" \
      >"$work/flood.$round" &
    flood=$!
    sleep 1
    load flooded "$CHATTY_TEST_URL/posts/$post_id"
    wait "$flood"
    say "  $(grep '^logins: ' "$work/flood.$round")"
    [[ $(awk '/^logins: / { print ($2 > 0 && $8 == 0) }' "$work/flood.$round") == 1 ]] || fail 'nobody got in, or an answer was neither a login nor a refusal'
  done
  title "GET /posts/{id}, $connections connections"
  row 'without logins' calm
  row 'while logins saturate their pool (ratio of requests/s)' flooded calm
  printf '%-58s %10s %9s %9.2f\n' '  ratio of p99 (1.5 at most)' '' '' \
    "$(paste "$work/flooded.rounds" "$work/calm.rounds" | awk '{ print $3 / $6 }' | median)" >>"$work/table"
  awk '/^logins: / { ok += $2; busy += $4 + $6; if ($10 > slowest) slowest = $10 }
    END { printf "  the flood: %d logins, %d refused with 503 or 429, the slowest answer after %.1f s\n", ok, busy, slowest / 1000 }' \
    "$work"/flood.* >>"$work/table"
}

# sendmail COUNT PORT: mails as large as ours by Python's smtplib over one connection that is kept; prints the seconds.
sendmail() {
  /usr/bin/python3 - "$1" "$2" <<'PYTHON'
import smtplib, sys, time
count, port = map(int, sys.argv[1:])
text = "From: <a@example.org>\r\nTo: <b@example.org>\r\nSubject: Confirm your e-mail address\r\n\r\n" + "A line of the usual length in a mail of the usual kind.\r\n" * 10
began = time.monotonic()
with smtplib.SMTP("127.0.0.1", port) as server:
    for _ in range(count):
        server.sendmail("a@example.org", ["b@example.org"], text)
print(time.monotonic() - began)
PYTHON
}

# One worker and a mail server on this machine that stores each mail before it says yes.
bench_mail() {
  local port began took floor count=1000
  port=$(free_port)
  mkdir "$work/mail"
  /usr/bin/python3 "$ROOT/Tests/faults/smtp.py" "$port" "$work/mail" >"$work/mail.log" 2>&1 &
  started+=($!)
  eventually 10 is_open "$port" || fail "the mail server does not start: $(<"$work/mail.log")"
  CHATTY_SMTP_URL=smtp://localhost:$port up
  say "sending $count mails"
  floor=$(sendmail "$count" "$port")
  began=$(date +%s.%N)
  sql "INSERT INTO outbox (kind, payload) SELECT 'mail', jsonb_build_object('template', 'verify', 'to', 'reader' || n || '@example.org',
    'username', 'reader', 'user_id', n, 'token', 'secret') FROM generate_series(1, $count) n"
  eventually 120 is_sent || fail 'the mails do not leave'
  took=$(awk -v began="$began" -v now="$(date +%s.%N)" 'BEGIN { print now - began }')
  (($(find "$work/mail" -name '*.eml' | wc -l) == 2 * count)) || fail 'not every mail has arrived'
  awk -v count="$count" -v took="$took" -v floor="$floor" 'BEGIN {
    printf "\n%-58s %10s %9s %9s %8s\n", "Mail to aiosmtpd on this machine", "per second", "", "", "ratio"
    printf "%-58s %10.0f\n", "Python'\''s smtplib, one kept connection", count / floor
    printf "%-58s %10.0f %9s %9s %8.2f\n", "one chatty-worker, outbox included", count / took, "", "", floor / took }' >>"$work/table"
}

is_sent() { [[ $(sql "SELECT count(*) FROM outbox") == 0 ]]; }
