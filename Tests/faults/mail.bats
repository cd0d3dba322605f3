#!/usr/bin/env bats
# Mail and everything that can go wrong with it: slow, refusing and dying mail servers, dying workers, several at once. The server is
# aiosmtpd, with STARTTLS and a login.

load ../smoke/support
load ../smoke/stack

setup_file() {
  # Reachable by chatty-worker, which has to read the certificate.
  SERVER=$(mktemp -d /tmp/chatty-smtp-XXXXXX)
  SMTP_PORT=$(free_port)
  export SERVER SMTP_PORT
  chmod 755 "$SERVER"
  certificate ours 127.0.0.1
  certificate others 127.0.0.9
  start_server
  # 127.1 is 127.0.0.1, but not by a name that is trusted without encryption.
  start_stack "CHATTY_SMTP_URL=smtp://chatty:p%40ss%2Fword@127.1:$SMTP_PORT" "CHATTY_SMTP_CA_FILE=$SERVER/ours.pem" \
    'CHATTY_MAIL_FROM=Größe & "Co" <no-reply@chatty.example>' CHATTY_LOG_LEVEL=info
}

teardown_file() {
  stop_server
  stop_stack
  rm -rf "$SERVER"
}

setup() {
  behave accept
  rm -f "$SERVER"/*.eml
  : >"$SERVER/log"
}

# certificate NAME ADDRESS: one that is its own authority.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" -addext "subjectAltName=IP:$2" \
    -keyout "$SERVER/$1.key" -out "$SERVER/$1.pem" 2>/dev/null
}

# start_server [OPTION…]: with our certificate and a login unless it is told otherwise.
start_server() {
  local options=("$@")
  if ((${#options[@]} == 0)); then
    options=(--tls "$SERVER/ours.pem" "$SERVER/ours.key" --login chatty p@ss/word)
  fi
  /usr/bin/python3 "$BATS_TEST_DIRNAME/smtp.py" "$SMTP_PORT" "$SERVER" "${options[@]}" >>"$SERVER/output" 2>&1 3>&- &
  echo $! >"$SERVER/pid"
  eventually 10 is_open "$SMTP_PORT"
}

stop_server() {
  local pid
  pid=$(<"$SERVER/pid")
  kill -9 "$pid" 2>/dev/null || true
  while is_open "$SMTP_PORT"; do sleep 0.1; done
}

behave() { printf '%s\n' "$*" >"$SERVER/behaviour"; }

# queue COUNT [NAME]: mails in the outbox, to NAME1@example.org and so on.
queue() {
  sql "INSERT INTO outbox (kind, payload)
    SELECT 'mail', jsonb_build_object('template', 'verify', 'to', '${2-many}' || n || '@example.org', 'username', 'many', 'user_id', n, 'token', 'secret' || n)
    FROM generate_series(1, $1) n"
}

# hurry: what waits for another attempt is due now, but for what somebody has claimed just before, or claims meanwhile.
hurry() {
  sql "UPDATE outbox SET next_attempt_at = now() WHERE dead_at IS NULL AND last_error IS NOT NULL
    AND NOT next_attempt_at BETWEEN now() + interval '100 seconds' AND now() + interval '130 seconds'; SELECT pg_notify('outbox', '')" >/dev/null
}

# bury: what a dead worker has claimed is due now.
bury() { sql "UPDATE outbox SET next_attempt_at = now() WHERE dead_at IS NULL; SELECT pg_notify('outbox', '')" >/dev/null; }

waiting() { sql "SELECT count(*) FROM outbox WHERE dead_at IS NULL"; }

is_empty() { [[ $(sql "SELECT count(*) FROM outbox") == 0 ]]; }

all_delivered() {
  hurry
  is_empty
}

# delivered: what each accepted mail has in a header, one line each.
recipients() { cat "$SERVER"/*.eml 2>/dev/null | tr -d '\r' | sed -n 's/^To: <\(.*\)>$/\1/p' | sort; }
message_ids() { cat "$SERVER"/*.eml 2>/dev/null | tr -d '\r' | sed -n 's/^Message-ID: //p' | sort; }

# each_once COUNT NAME: every queued mail was accepted, and none twice.
each_once() {
  equal "$(recipients | uniq -c | awk '{ print $1 }' | sort | uniq -c | xargs)" "$1 1" 'how many mails came how often'
  equal "$(recipients)" "$(for ((n = 1; n <= $1; n++)); do echo "${2-many}$n@example.org"; done | sort)"
}

log_of_worker() { cat "$CHATTY_HOME"/log/worker/current; }

# -- A mail -----------------------------------------------------------------------------------------------------------

@test "a mail is well formed, encrypted on its way, and says who we are" {
  register ada
  eventually 15 is_empty
  equal "$(recipients)" "$(email_of ada)"
  /usr/bin/python3 - "$SERVER"/*.eml "$(email_of ada)" <<'PYTHON'
import email, email.policy, re, sys
with open(sys.argv[1], "rb") as file:
    raw = file.read()
lines = raw.split(b"\r\n")
assert all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in lines), "lines"
assert all(byte < 128 for byte in raw), "not ASCII"
assert all(len(line) <= 78 for line in lines if not b"://" in line), "long lines"
mail = email.message_from_bytes(raw, policy=email.policy.default)
assert not mail.defects, mail.defects
assert mail["X-Channel"] == "tls=True login=True" or "tls=True" in mail["X-Channel"] and "login=True" in mail["X-Channel"], mail["X-Channel"]
assert mail["X-Envelope"] == f"no-reply@chatty.example {sys.argv[2]}", mail["X-Envelope"]
sender = mail["From"].addresses[0]
assert (sender.display_name, sender.addr_spec) == ('Größe & "Co"', "no-reply@chatty.example"), sender
assert mail["To"].addresses[0].addr_spec == sys.argv[2]
assert mail["Subject"] == "Confirm your e-mail address"
assert re.fullmatch(r"<chatty-[0-9]+-[0-9]+@chatty\.example>", mail["Message-ID"]), mail["Message-ID"]
assert mail["Date"].datetime.utcoffset().total_seconds() == 0
assert mail["MIME-Version"] == "1.0" and mail.get_content_type() == "text/plain" and mail.get_content_charset() == "utf-8"
assert mail["Auto-Submitted"] == "auto-generated"
assert re.search(r"^http://\S+/auth/verify/[0-9]+\?token=[A-Za-z0-9_-]{43}\r?$", mail.get_content(), re.M), mail.get_content()
PYTHON
}

@test "a registration does not wait for a slow server, and a slow mail holds up no other for long" {
  behave slow 3
  local began=$SECONDS
  register slow1
  register slow2
  ((SECONDS - began < 3)) || wrong 'a registration waited for the mail server'
  eventually 20 is_empty
  equal "$(recipients | wc -l)" 2
  ((SECONDS - began < 9)) || wrong 'one mail waited for the other'
}

@test "a registration succeeds while there is no server at all, and the mail comes when there is one again" {
  stop_server
  register early
  sleep 2
  equal "$(waiting)" 1
  start_server
  eventually 30 is_empty
  equal "$(recipients)" "$(email_of early)"
}

# -- Refusals ---------------------------------------------------------------------------------------------------------

@test "a mail that is refused for good is given up and logged, without its recipient, and the next one goes" {
  local how
  for how in 'refuse 550' 'refuse-data 554'; do
    behave "$how"
    queue 1 unwanted
    eventually 15 is_given_up
    [[ $(sql "SELECT last_error FROM outbox") == "refused: "*"(${how##* })" ]] || wrong "$(sql "SELECT last_error FROM outbox")"
    run "$BATS_TEST_DIRNAME/../../deploy/chatty" outbox list --dead
    [[ $output == *'given up'*"${how##* }"* ]] || wrong "$output"
    behave accept
    queue 1 wanted
    eventually 15 is_given_up
    "$BATS_TEST_DIRNAME/../../deploy/chatty" outbox drop --dead
  done
  eventually 15 is_empty
  equal "$(recipients | uniq -c | xargs)" '2 wanted1@example.org'
  log_of_worker | grep '"mail given up"' | grep -q '"level":"error"' || wrong 'not logged'
  if log_of_worker | grep -q 'unwanted1@\|secret1'; then wrong 'the log shows a recipient or a secret'; fi
}

is_given_up() { [[ $(sql "SELECT count(*) FILTER (WHERE dead_at IS NOT NULL), count(*) FROM outbox") == '1|1' ]]; }

@test "a mail that is deferred is tried again, later and later, and comes once" {
  behave refuse 450
  queue 1
  eventually 15 was_tried 1
  equal "$(sql "SELECT dead_at IS NULL, next_attempt_at > now() + interval '5 seconds' AND next_attempt_at < now() + interval '11 seconds' FROM outbox")" 't|t'
  [[ $(sql "SELECT last_error FROM outbox") == deferred:* ]]
  hurry
  eventually 15 was_tried 2
  equal "$(sql "SELECT next_attempt_at > now() + interval '12 seconds' FROM outbox")" t
  behave refuse-data 451
  hurry
  eventually 15 was_tried 3
  behave accept
  hurry
  eventually 15 is_empty
  each_once 1
}

# was_tried TIMES: and nobody has it in hand.
was_tried() { [[ $(sql "SELECT attempts || ' ' || (next_attempt_at < now() + interval '90 seconds') || ' ' || (last_error IS NOT NULL) FROM outbox") == "$1 true true" ]]; }

@test "a deferred mail does not keep others from leaving" {
  behave one-in 3 452
  queue 30
  eventually 60 all_delivered
  each_once 30
}

@test "a mail that is a day old is given up" {
  behave refuse 450
  queue 1
  sql "UPDATE outbox SET created_at = now() - interval '25 hours'"
  eventually 15 is_given_up
  "$BATS_TEST_DIRNAME/../../deploy/chatty" outbox drop --dead
}

# -- Servers that die -------------------------------------------------------------------------------------------------

@test "a connection that is closed in the middle of a mail loses nothing and sends nothing twice" {
  behave close
  queue 10
  eventually 15 grep -q closed "$SERVER/log"
  equal "$(waiting)" 10
  behave accept
  eventually 30 all_delivered
  each_once 10
}

@test "a server that is killed again and again under load loses nothing and gets nothing twice" {
  queue 400
  local n
  for n in 1 2 3; do
    sleep 0.4
    # Not while it has accepted a mail and not said so yet: that is the one window that cannot be closed.
    behave refuse 451
    eventually 10 is_at_rest
    sleep 0.5
    stop_server
    behave accept
    start_server
    hurry
  done
  eventually 60 all_delivered
  each_once 400
}

# is_at_rest: every mail that has come was accepted.
is_at_rest() { [[ $(grep -c '^data' "$SERVER/log") == $(grep -c '^mail' "$SERVER/log") ]]; }

# -- Workers that die -------------------------------------------------------------------------------------------------

@test "a worker killed between the acceptance and its mark sends a second copy with the same Message-ID, and nothing is lost" {
  local worker
  behave slow 2
  queue 1
  eventually 15 is_claimed
  sleep 1
  worker=$(workers chatty-worker)
  # It does not get to hear that the mail was accepted.
  kill -STOP "$worker"
  eventually 10 grep -q '^mail' "$SERVER/log"
  kill -9 "$worker"
  behave accept
  equal "$(sql "SELECT count(*) FROM outbox")" 1
  eventually 10 has_worker
  # The claim of the dead runs out.
  bury
  eventually 20 is_empty
  equal "$(message_ids | uniq -c | awk '{ print $1 }')" 2
}

is_claimed() { [[ $(sql "SELECT count(*) FROM outbox WHERE attempts = 1 AND next_attempt_at > now()") == 1 ]]; }

@test "a worker killed again and again under load loses nothing, and what it sends twice is the same mail" {
  queue 600
  local n
  for n in 1 2 3 4; do
    sleep 0.3
    kill -9 "$(workers chatty-worker)"
    bury
    eventually 10 has_worker
  done
  bury
  eventually 60 all_delivered
  equal "$(recipients | uniq | wc -l)" 600
  equal "$(message_ids | uniq | wc -l)" 600
  # At most those that were under way at each death.
  [[ $(recipients | uniq -d | wc -l) -le 20 ]] || wrong "twice: $(recipients | uniq -d | wc -l)"
}

has_worker() { [[ -n $(workers chatty-worker) ]]; }

@test "a worker that is told to stop ends the mail under way first" {
  behave slow 2
  queue 1
  eventually 15 is_claimed
  local before
  before=$(workers chatty-worker)
  kill -TERM "$before"
  eventually 10 is_empty
  each_once 1
  eventually 10 has_worker
  [[ $(workers chatty-worker) != "$before" ]]
}

@test "a mail that takes longer than a claim lasts is sent once" {
  # Claims last two minutes and are renewed every forty seconds.
  behave slow 50
  queue 1
  eventually 15 is_claimed
  sleep 45
  equal "$(sql "SELECT next_attempt_at > now() + interval '100 seconds' FROM outbox")" t
  eventually 20 is_empty
  each_once 1
}

@test "several workers at once share the mails and send none twice" {
  local n pids=()
  behave refuse 421
  for n in 1 2 3; do
    env --chdir="$CHATTY_HOME" chpst -e "$CHATTY_HOME/env/worker" "$CHATTY_HOME/bin/chatty-worker" >"$BATS_TEST_TMPDIR/worker$n.log" 2>&1 3>&- &
    pids+=($!)
  done
  behave accept
  queue 500
  eventually 60 is_empty
  kill -TERM "${pids[@]}"
  wait "${pids[@]}"
  each_once 500
  equal "$(grep -L '"mail sent"' "$BATS_TEST_TMPDIR"/worker*.log)" '' 'the list of workers that sent nothing'
}

# -- Strangers --------------------------------------------------------------------------------------------------------

# expect_nothing_sent: a mail stays in the outbox, to be sent when the operator has mended what is wrong.
expect_nothing_sent() {
  queue 1 kept
  eventually 15 was_tried 1
  equal "$(recipients)" ''
  equal "$(sql "SELECT dead_at IS NULL FROM outbox")" t
  printf '%s\n' "$(sql "SELECT last_error FROM outbox")" >&2
  sql 'DELETE FROM outbox'
}

@test "without encryption, with another's certificate or with a wrong password nothing is sent, and nothing is given up" {
  stop_server
  start_server --login chatty p@ss/word
  expect_nothing_sent
  stop_server
  start_server --tls "$SERVER/others.pem" "$SERVER/others.key" --login chatty p@ss/word
  expect_nothing_sent
  stop_server
  start_server --tls "$SERVER/ours.pem" "$SERVER/ours.key" --login chatty another
  expect_nothing_sent
  stop_server
  start_server
  queue 1
  eventually 15 is_empty
  each_once 1
}

@test "on this machine by its own name a server without encryption will do" {
  stop_server
  start_server --host 127.0.0.1 --login chatty p@ss/word
  CHATTY_SMTP_URL=smtp://chatty:p%40ss%2Fword@localhost:$SMTP_PORT up
  queue 1
  eventually 15 is_empty
  each_once 1
  grep -q 'tls=False' "$SERVER"/*.eml
}
