#!/usr/bin/env bats
# What an operator does and sees. The tests start a stack of their own beside the one under test.

load support
load stack

setup_file() {
  export OTHER_URL=${CHATTY_TEST_URL:?} OTHER_OPS_URL=${CHATTY_TEST_OPS_URL:?}
  # With the limits that a new stack has.
  start_stack CHATTY_RATE_LOGIN= CHATTY_RATE_REGISTER= CHATTY_RATE_WRITES=
}

teardown_file() {
  stop_stack
}

@test "the operations listener tells that nginx lives and that every service is ready" {
  local url path
  for url in "$OTHER_OPS_URL" "$CHATTY_TEST_OPS_URL"; do
    for path in /livez /readyz /readyz/auth /readyz/posts /readyz/uploads /readyz/feed /readyz/admin /readyz/recommendations; do
      CHATTY_TEST_OPS_URL=$url ops "$path"
      expect 200
    done
    CHATTY_TEST_OPS_URL=$url ops /readyz/nowhere
    expect 404
    CHATTY_TEST_OPS_URL=$url ops /stub_status
    expect_text '*Active connections:*'
  done
}

expect_text() {
  # shellcheck disable=SC2053 # a pattern is what is wanted
  [[ $CODE == 200 && $BODY == $1 ]] || wrong "expected $1"
}

@test "the operations listener is on the loopback address alone" {
  local listening
  listening=$(awk -v port="$(printf '%04X' "$CHATTY_OPS_PORT")" '$2 ~ ":" port "$" && $4 == "0A" { print $2 }' /proc/net/tcp /proc/net/tcp6)
  equal "$listening" "0100007F:$(printf '%04X' "$CHATTY_OPS_PORT")"
}

@test "two stacks run side by side and know nothing of each other" {
  register lonely
  equal "$(sql "SELECT count(*) FROM users WHERE username = '$(full_name lonely)'")" 1
  get /posts
  expect 200 '[]'
  CHATTY_TEST_URL=$OTHER_URL post /auth/login "$(account lonely | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
}

@test "up again changes nothing and prints the address" {
  local before
  before=$(stack_processes)
  [[ $(wc -l <<<"$before") -gt 10 ]]
  up
  equal "$(stack_processes)" "$before" 'the list of processes'
  grep -F ":$CHATTY_PORT" "$CHATTY_HOME/up.log"
}

@test "status says that all is well" {
  "$ROOT/deploy/status"
}

@test "too many attempts to log in get 429 at once, with Retry-After, and a forged address changes nothing" {
  local n limited=0
  for n in {1..30}; do
    post /auth/login '{"username": "nobody", "password": "long enough"}' --header "X-Forwarded-For: 192.0.2.$n"
    if [[ $CODE == 429 ]]; then
      limited=$((limited + 1))
      expect 429 '.detail | type == "string"'
      [[ $(header Retry-After) =~ ^[0-9]+$ ]] || wrong 'no Retry-After'
    else
      expect_error 400 'Invalid credentials'
    fi
  done
  ((limited >= 15)) || wrong "only $limited of 30 were refused"
  # Reading is not limited.
  get /posts
  expect 200
}

@test "an error within is a 500 that shows nothing of it, and passes with its cause" {
  resident ada
  sql "INSERT INTO posts (user_id, title, content) VALUES ($(id_of ada), 'x', 'x')"
  get /posts
  expect 200 'length == 1'
  sql "ALTER TABLE posts RENAME TO away"
  get /posts
  sql "ALTER TABLE away RENAME TO posts"
  expect_error 500 'Internal Server Error'
  get /posts
  expect 200 'length == 1'
}

@test "logs tell of every request by its id, and of no password, token or link" {
  local id=smoke-$RANDOM-$RANDOM link
  resident talker
  # The address may have spent its attempts above.
  eventually 60 try_to_log_in talker
  as talker get /auth/me --header "X-Request-ID: $id"
  expect 200
  as talker post /posts '{"title": 1}'
  expect 422
  eventually 10 grep -rqF "$id" "$CHATTY_HOME/log"
  link=$(link_for lonely)
  for secret in "$PASSWORD" "$(token_of talker)" "${link#*token=}" "$(<"$CHATTY_HOME/secrets/posts.password")"; do
    if grep -rlF -- "$secret" "$CHATTY_HOME/log"; then wrong 'a secret is in the logs'; fi
  done
}

try_to_log_in() {
  post /auth/login "$(account "$1" | jq -c 'del(.email)')"
  if [[ $CODE != 200 ]]; then return 1; fi
  field .token >"$BATS_FILE_TMPDIR/$1.token"
}

@test "secrets and keys can be read by those alone who need them" {
  equal "$(find "$CHATTY_HOME/secrets" "$CHATTY_HOME/keys/private.pem" -type f -perm /077 -print)" '' 'the list of files that others can read'
}

@test "a wrong setting is one line that names it, and exit status 78" {
  local output status=0
  output=$(CHATTY_IN_FLIGHT=many CHATTY_POOL=posts "$CHATTY_HOME/bin/chatty-posts" 2>&1 </dev/null) || status=$?
  equal "$status" 78 'the exit status'
  equal "$(wc -l <<<"$output")" 1 'the number of lines'
  [[ $output == *CHATTY_IN_FLIGHT* ]] || wrong "it says: $output"
}

@test "an address with more than a host and a port is refused at the start, by up and by a service, in one line that says why" {
  local address output status
  for address in https://chat.example/net https://chat.example/net/ 'https://chat.example/?a' 'https://chat.example#a' https://me@chat.example https:// chat.example; do
    status=0
    output=$(CHATTY_PUBLIC_URL=$address "$ROOT/deploy/up" 2>&1 </dev/null 3>&-) || status=$?
    equal "$status $(wc -l <<<"$output")" '78 1' "the exit status and the number of lines for $address"
    [[ $output == *CHATTY_PUBLIC_URL*"$address"* ]] || wrong "it says: $output"
    status=0
    output=$(CHATTY_PUBLIC_URL=$address CHATTY_POOL=auth "$CHATTY_HOME/bin/chatty-auth" 2>&1 </dev/null) || status=$?
    equal "$status $(wc -l <<<"$output")" '78 1' "the same of a service"
    [[ $output == *CHATTY_PUBLIC_URL* ]] || wrong "it says: $output"
  done
  # shellcheck source=SCRIPTDIR/../../deploy/lib/settings.sh
  source "$ROOT/deploy/lib/settings.sh"
  for CHATTY_PUBLIC_URL in http://localhost:8080 https://chat.example https://chat.example/ 'http://[::1]:8080' http://192.0.2.1:80; do
    check_setting CHATTY_PUBLIC_URL
  done
}

@test "a service that is killed comes back by itself: a worker, a pool, nginx and PostgreSQL" {
  local name pid
  for name in chatty-posts multiwatch nginx postgres; do
    pid=$(workers "$name" | head -n 1)
    [[ -n $pid ]] || wrong "there is no $name"
    kill -9 "$pid"
    eventually 30 is_replaced "$name" "$pid"
    eventually 30 is_ready
    # Whether a pool is ready was looked at within the last second.
    eventually 10 is_served
  done
}

is_served() {
  get /posts
  [[ $CODE == 200 ]]
}

# is_replaced NAME PID: PID is gone, and there is one in its place, with a child if it has children. What lives on of the old ones, and
# may still answer, is nobody's child any more.
is_replaced() {
  local present
  present=$(workers "$1")
  ! grep -qx "$2" <<<"$present" && [[ $(wc -l <<<"$present") -ge 2 ]]
}

is_ready() {
  ops /readyz
  [[ $CODE == 200 ]]
}

@test "down leaves no process, and up finds everything again" {
  resident keeper
  local processes pid name
  processes=$(stack_processes)
  down
  while read -r pid name; do
    [[ ! -e /proc/$pid ]] || wrong "left running: $pid $name"
  done <<<"$processes"
  equal "$(find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' -lname "$CHATTY_HOME/*" 2>/dev/null || true)" '' 'the list of processes at work in its folder'
  equal "$(curl --silent --output /dev/null --write-out '%{http_code}' "$CHATTY_TEST_URL/posts" || true)" 000
  # Once more is no error.
  down

  up
  get /posts
  expect 200
  equal "$(sql "SELECT count(*) FROM users WHERE id = $(id_of keeper)")" 1
}
