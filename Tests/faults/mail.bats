#!/usr/bin/env bats
# Mail and what can go wrong with it on its way: slow and dying mail servers, dying workers, several at once. What servers say no to is in
# refusals.bats.

load ../smoke/support
load ../smoke/stack
load mail

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

@test "neither a registration nor another mail waits for a slow one" {
  behave slow 20
  register slow
  eventually 15 is_at_server
  behave accept
  register quick
  eventually 18 has_come "$(email_of quick)"
  equal "$(recipients)" "$(email_of quick)" 'who has got a mail'
  eventually 60 is_empty
  equal "$(recipients)" "$(printf '%s\n' "$(email_of quick)" "$(email_of slow)" | sort)"
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

# -- Workers that die -------------------------------------------------------------------------------------------------

@test "a worker killed between the acceptance and its mark sends a second copy with the same Message-ID, and nothing is lost" {
  local worker
  worker=$(workers chatty-worker)
  behave slow 6
  queue 1
  eventually 15 is_at_server
  # It does not get to hear that the mail was accepted.
  kill -STOP "$worker"
  eventually 30 is_accepted
  kill -9 "$worker"
  behave accept
  equal "$(sql "SELECT count(*) FROM outbox")" 1
  eventually 30 has_worker
  # The claim of the dead runs out.
  bury
  eventually 30 is_empty
  equal "$(message_ids | uniq -c | awk '{ print $1 }')" 2
}

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
  local before
  before=$(workers chatty-worker)
  behave slow 6
  queue 1
  eventually 15 is_at_server
  kill -TERM "$before"
  eventually 30 is_empty
  each_once 1
  eventually 30 has_worker
  [[ $(workers chatty-worker) != "$before" ]]
}

@test "a claim is renewed while its mail is under way, but not by a sender who has lost it, and the mail is sent once" {
  # Claims last two minutes and are renewed every forty seconds.
  behave slow 65
  queue 1 lost
  eventually 15 is_at_server
  # As if it had run out, somebody had had the attempts counted anew, and another worker had it in hand.
  sql "UPDATE outbox SET claim = nextval('outbox_claims'), attempts = 1, next_attempt_at = now() + interval '1 hour'"
  queue 1 kept
  eventually 15 are_at_server 2
  local until
  until=$(sql "SELECT next_attempt_at FROM outbox WHERE payload->>'to' LIKE 'kept%'")
  eventually 60 is_later "$until"
  # The other one's time for it was before.
  equal "$(sql "SELECT next_attempt_at > now() + interval '30 minutes' FROM outbox WHERE payload->>'to' LIKE 'lost%'")" t
  eventually 60 is_empty
  equal "$(recipients | xargs)" 'kept1@example.org lost1@example.org'
}

# are_at_server COUNT: so many mails are in the server's hands.
are_at_server() { [[ $(grep -c '^data' "$SERVER/log") == "$1" ]]; }

# is_later TIME: the claim that is kept lasts longer than that.
is_later() { [[ $(sql "SELECT next_attempt_at > '$1' FROM outbox WHERE payload->>'to' LIKE 'kept%'") == t ]]; }

@test "a mail under way is left alone by whoever wants it tried again, and sent once" {
  behave slow 8
  queue 1
  eventually 15 is_at_server
  run chatty outbox retry "$(sql "SELECT id FROM outbox")"
  [[ $status != 0 && $output == *'Under way'* ]] || wrong "status $status, $output"
  run chatty outbox list
  [[ $output == *'attempts 1  under way'* ]] || wrong "$output"
  # Whoever found it due would send it now.
  behave accept
  sql "SELECT pg_notify('outbox', '')" >/dev/null
  eventually 30 is_empty
  eventually 30 is_at_rest
  each_once 1
}

@test "several workers at once share the mails and send none twice" {
  local n pids=()
  # With the stack's own there are three: their role takes no more connections than three need.
  for n in 1 2; do
    env --chdir="$CHATTY_HOME" chpst -e "$CHATTY_HOME/env/worker" "$CHATTY_HOME/bin/chatty-worker" >"$BATS_TEST_TMPDIR/worker$n.log" 2>&1 3>&- &
    pids+=($!)
  done
  eventually 30 have_started 2
  # So slow that none has sent all of them before another gets to it.
  behave slow 2
  queue 500
  eventually 60 have_sent 2
  behave accept
  eventually 120 is_empty
  kill -TERM "${pids[@]}"
  wait "${pids[@]}"
  each_once 500
}

# have_started COUNT, have_sent COUNT: so many workers of this test.
have_started() { [[ $(grep -l '"worker started"' "$BATS_TEST_TMPDIR"/worker*.log | wc -l) == "$1" ]]; }
have_sent() { [[ $(grep -l '"mail sent"' "$BATS_TEST_TMPDIR"/worker*.log | wc -l) == "$1" ]]; }

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

# -- Links -------------------------------------------------------------------------------------------------------------

# warning_for ADDRESS [SMTP ADDRESS]: how up warns when this is the public address.
warning_for() {
  CHATTY_PUBLIC_URL=$1 CHATTY_SMTP_URL=${2-smtp://mail.example} \
    bash -euo pipefail -c 'source "$0/lib/common.sh"; source "$0/lib/mail.sh"; warn_of_local_links' "$ROOT/deploy" 2>&1
}

@test "up warns if mails leave while the links in them lead to localhost" {
  grep -q "^up: warning: CHATTY_SMTP_URL is set, but CHATTY_PUBLIC_URL is http://localhost:$CHATTY_PORT: " "$CHATTY_HOME/up.log"
  local address
  for address in http://localhost http://LOCALHOST:8080 https://127.0.0.1:8443 http://127.1/ 'http://[::1]:8080'; do
    [[ $(warning_for "$address") == *": warning: "*"CHATTY_PUBLIC_URL is $address: "* ]] || wrong "$address: no warning"
    equal "$(warning_for "$address" '')" '' "without a mail server, the warning for $address"
  done
  for address in https://chatty.example http://localhost.example http://127.0.0.1.example 'http://[::12]'; do
    equal "$(warning_for "$address")" '' "the warning for $address"
  done
}
