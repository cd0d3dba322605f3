#!/usr/bin/env bats
# The addresses and ports that nginx listens on, and settings that it would refuse.

load support
load stack

setup_file() {
  # The default: all addresses.
  start_stack CHATTY_ADDRESS=
}

teardown_file() {
  stop_stack
}

teardown() {
  if [[ -n ${HOLDER-} ]]; then kill "$HOLDER" 2>/dev/null || true; fi
}

# tries NAME=VALUE…: deploy/up with other settings: SAID and STATUS.
tries() {
  STATUS=0
  SAID=$(env "$@" "$ROOT/deploy/up" 2>&1 </dev/null 3>&-) || STATUS=$?
}

# refuses SETTING TEXT NAME=VALUE…: deploy/up does, in one line that names the setting and has this text, and touches nothing.
refuses() {
  local before
  before=$(state)
  tries "${@:3}"
  [[ $STATUS != 0 && $(wc -l <<<"$SAID") == 1 && $SAID == *"$1"* && $SAID == *"$2"* ]] || wrong "${*:3}: status $STATUS, $SAID"
  equal "$(state)" "$before" 'the stack'
}

# state: the processes of the stack, and when its files were last changed.
state() {
  stack_processes
  find "$CHATTY_HOME"/{bin,etc,env,nginx/conf,secrets,keys,service,stack.env} -type f -not -path '*/supervise/*' -printf '%p %T@\n' | sort
}

# settings [NAME=VALUE…]: what deploy/up makes of these settings, in a stack of which there is nothing yet.
# shellcheck disable=SC2120 # there need be none
settings() {
  mkdir -p "$BATS_TEST_TMPDIR/home"
  touch "$BATS_TEST_TMPDIR/home/chatty.env"
  # shellcheck disable=SC2016 # for the other shell
  env -u CHATTY_ADDRESS "CHATTY_HOME=$BATS_TEST_TMPDIR/home" "$@" \
    bash -euc 'source "$1/deploy/lib/common.sh"; source "$1/deploy/lib/settings.sh";
      load_settings; warn_of_trusted_networks; echo "$CHATTY_ADDRESS"' up "$ROOT" 2>&1
}

# -- Addresses --------------------------------------------------------------------------------------------------------

@test "by default a client reaches every route over IPv6 as over IPv4" {
  local path
  grep -F "nginx on 0.0.0.0:$CHATTY_PORT [::]:$CHATTY_PORT" "$CHATTY_HOME/up.log"
  member sixth
  for path in /posts /posts/999999999 /auth/.well-known/jwks.json /feed /recommendations /admin/stats \
    /media/none /nothing /reset-password /auth/me; do
    equal "$(code "127.0.0.1" "$path")" "$(code '[::1]' "$path")" "the status of $path"
  done
  export CHATTY_TEST_URL="http://[::1]:$CHATTY_PORT"
  log_in sixth
  as sixth get /auth/me
  expect 200
  new_post sixth
  as sixth get /feed
  expect 200
}

code() { curl --silent --output /dev/null --globoff --write-out '%{http_code}' "http://$1:$CHATTY_PORT$2"; }

@test "an address that nginx cannot listen on is refused by name, and nothing is touched" {
  local text value
  refuses CHATTY_ADDRESS "has '192.0.2.1'" 'CHATTY_ADDRESS=127.0.0.1 192.0.2.1'
  equal "$STATUS" 78 'the status'
  refuses CHATTY_ADDRESS "has '2001:db8::1'" 'CHATTY_ADDRESS=127.0.0.1 2001:db8::1'
  while IFS='|' read -r value text; do
    run settings "CHATTY_ADDRESS=$value"
    [[ $status == 78 && ${#lines[@]} == 1 && $output == *"CHATTY_ADDRESS has '$text"* ]] || wrong "$value: $status, $output"
  done <<'VALUES'
127.0.0.1 1.2.3|1.2.3'
256.0.0.1|256.0.0.1'
::1 ::12345|::12345'
1::2::3|1::2::3'
*|*'
127.0.0.1 127.0.0.1|127.0.0.1' twice
0.0.0.0 127.0.0.1|127.0.0.1', which is one of 0.0.0.0
:: ::1|::1', which is one of ::
VALUES
}

@test "a machine without IPv6 listens on IPv4 by default, and refuses an address of IPv6" {
  # shellcheck disable=SC2119 # of none
  equal "$(settings)" '0.0.0.0 ::'
  # A network of its own, in which IPv6 is switched off.
  without_ipv6() {
    # shellcheck disable=SC2016 # for the other shell
    unshare --net bash -euc 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; export -n BASHOPTS; "$@"' - "$@"
  }
  export -f settings
  export ROOT BATS_TEST_TMPDIR
  equal "$(without_ipv6 bash -c settings)" 0.0.0.0
  run without_ipv6 bash -c 'settings CHATTY_ADDRESS="0.0.0.0 ::"'
  [[ $status == 78 && $output == *CHATTY_ADDRESS*"'::'"*IPv6* ]] || wrong "$status, $output"
}

# -- Ports ------------------------------------------------------------------------------------------------------------

# hold ADDRESS: a process that listens there, on a port of which it is the only one: HOLDER and HELD.
hold() {
  if [[ -n ${HOLDER-} ]]; then
    kill "$HOLDER"
    wait "$HOLDER" || true
  fi
  rm -f "$BATS_TEST_TMPDIR/held"
  python3 - "$1" "$BATS_TEST_TMPDIR/held" 3>&- <<'PYTHON' &
import os, signal, socket, sys
listener = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
if ":" in sys.argv[1] and sys.argv[1] != "::":
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
listener.bind((sys.argv[1], 0))
listener.listen()
with open(sys.argv[2] + ".new", "w") as file:
    file.write(str(listener.getsockname()[1]))
os.rename(sys.argv[2] + ".new", sys.argv[2])
signal.pause()
PYTHON
  HOLDER=$!
  eventually 20 test -e "$BATS_TEST_TMPDIR/held"
  HELD=$(<"$BATS_TEST_TMPDIR/held")
}

@test "a port that somebody has on one of the addresses is told at once, with its setting and who has it" {
  local address
  for address in 127.0.0.1 127.0.0.2 ::1 ::; do
    hold "$address"
    refuses CHATTY_PORT "port $HELD is in use: python3 (process $HOLDER)" "CHATTY_PORT=$HELD"
  done
  # A socket of IPv6 for both, in the way of IPv4.
  refuses CHATTY_PORT "port $HELD is in use: python3 (process $HOLDER)" "CHATTY_PORT=$HELD" CHATTY_ADDRESS=127.0.0.1
  hold 127.0.0.1
  refuses CHATTY_OPS_PORT "port $HELD is in use: python3 (process $HOLDER)" "CHATTY_OPS_PORT=$HELD"
}

# -- What nginx refuses -----------------------------------------------------------------------------------------------

@test "networks of trusted proxies are looked at before nginx is, and those that hold everybody are warned of" {
  local value
  for value in 1.2.3.4/33 ::/129 1.2.3 10.0.0.0/ 10.0.0.0/8/8 ::1::/64 '10.0.0.1 fe80' '*'; do
    run settings "CHATTY_TRUSTED_PROXIES=$value"
    [[ $status == 78 && ${#lines[@]} == 1 && $output == *"CHATTY_TRUSTED_PROXIES has '${value##* }'"* ]] || wrong "$value: $status, $output"
  done
  for value in 0.0.0.0/0 ::/0 '10.0.0.1 0.0.0.0/1 128.0.0.0/1' 2000::/3 1.0.0.0/7; do
    run settings "CHATTY_TRUSTED_PROXIES=$value"
    [[ $status == 0 && ${#lines[@]} == 2 && $output == *'warning: CHATTY_TRUSTED_PROXIES has '"${value#10.0.0.1 }"* ]] ||
      wrong "$value: $status, $output"
  done
  run settings 'CHATTY_TRUSTED_PROXIES=10.0.0.0/8 127.0.0.1 192.168.0.0/16 fc00::/7 ::1 ::ffff:192.0.2.1'
  equal "$status $output" '0 0.0.0.0 ::'
}

@test "where nginx refuses a value, the setting is named that it comes from" {
  local name before
  before=$(find "$CHATTY_HOME/nginx/conf" -printf '%p %T@\n')
  for name in CHATTY_CLIENT_MAX_BODY CHATTY_TRUSTED_PROXIES CHATTY_CLIENT_CONNECTIONS CHATTY_CONNECTIONS; do
    # As if nobody had looked at the value before.
    # shellcheck disable=SC2016 # for the other shell
    run bash -euc 'for file in common settings home render supervisor services nginx; do source "$1/deploy/lib/$file.sh"; done
      load_settings; VALUES[HOME]=$CHATTY_HOME; printf -v "$2" 99999999999999999999; render_nginx' up "$ROOT" "$name"
    [[ $status == 78 && ${#lines[@]} == 1 && $output == *": $name is '99999999999999999999', which nginx does not take: "* ]] ||
      wrong "$name: $status, $output"
  done
  equal "$(find "$CHATTY_HOME/nginx/conf" -printf '%p %T@\n')" "$before" 'the configuration'
}

# -- Changes ----------------------------------------------------------------------------------------------------------

@test "a further address is opened without a restart of nginx, another one with one" {
  local master
  CHATTY_ADDRESS=127.0.0.1 up
  get /posts
  expect 200
  equal "$(code '[::1]' /posts)" 000 'the status over IPv6'
  master=$(<"$CHATTY_HOME/service/nginx/supervise/pid")
  CHATTY_TRUSTED_PROXIES=0.0.0.0/0 CHATTY_ADDRESS='::1 127.0.0.1' up
  grep -q 'warning: CHATTY_TRUSTED_PROXIES' "$CHATTY_HOME/up.log"
  equal "$(code '[::1]' /posts) $(code 127.0.0.1 /posts)" '200 200' 'the status over both'
  equal "$(<"$CHATTY_HOME/service/nginx/supervise/pid")" "$master" "nginx's process"
}
