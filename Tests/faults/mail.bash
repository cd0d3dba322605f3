#!/usr/bin/env bash
# A mail server and a stack that sends through it, and what the tests of mail do with both. The server is aiosmtpd (smtp.py), with STARTTLS
# and a login. It is for files that load support.bash and stack.bash before.

setup_file() {
  # Reachable by chatty-worker, which has to read the certificate.
  SERVER=$(mktemp -d /tmp/chatty-smtp-XXXXXX)
  SMTP_PORT=$(free_port)
  export SERVER SMTP_PORT
  chmod 755 "$SERVER"
  certificate ours 127.0.0.1
  certificate others 127.0.0.9
  # shellcheck disable=SC2119
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
# shellcheck disable=SC2120 # the tests tell it otherwise
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

# hurry: what waits for another attempt is due now, but for what somebody has in hand.
hurry() {
  sql "UPDATE outbox SET next_attempt_at = now() WHERE dead_at IS NULL AND last_error IS NOT NULL AND claim IS NULL;
    SELECT pg_notify('outbox', '')" >/dev/null
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

chatty() { "$BATS_TEST_DIRNAME/../../deploy/chatty" "$@"; }

# was_tried TIMES: the only mail, and nobody has it in hand.
was_tried() { [[ $(sql "SELECT attempts || ' ' || (claim IS NULL) || ' ' || (last_error IS NOT NULL) FROM outbox") == "$1 true true" ]]; }

# has_come ADDRESS: a mail to it was accepted.
has_come() { recipients | grep -qxF "$1"; }

# is_at_server: a mail is in the server's hands; it has not said yet what becomes of it.
is_at_server() { grep -q '^data' "$SERVER/log"; }

# is_accepted: the server has taken a mail.
is_accepted() { grep -q '^mail' "$SERVER/log"; }

# is_at_rest: every mail that has come was accepted.
is_at_rest() { [[ $(grep -c '^data' "$SERVER/log") == $(grep -c '^mail' "$SERVER/log") ]]; }
