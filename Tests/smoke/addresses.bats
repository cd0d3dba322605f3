#!/usr/bin/env bats
# Who counts as one client, for nginx's limits and for those of the database. The addresses come as a trusted proxy tells them.

load support
load stack

setup_file() {
  start_stack CHATTY_TRUSTED_PROXIES=127.0.0.1 CHATTY_RATE_LOGIN=2 CHATTY_RATE_MAILS=2
}

teardown_file() {
  stop_stack
}

log_in_from() {
  post /auth/login '{"username": "nobody", "password": "long enough"}' --header "X-Forwarded-For: $1"
}

ask_for_mail_from() {
  post /auth/password/forgot "{\"email\": \"nobody$((++asked))@example.org\"}" --header "X-Forwarded-For: $1"
}

# expect_one REQUEST ADDRESS ADDRESS OTHER: two requests are allowed, and of the first two addresses together no more; OTHER has its own.
expect_one() {
  local n
  for n in 1 2; do
    "$1" "$2"
    [[ $CODE != 429 ]] || wrong "$2 is limited at request $n"
  done
  "$1" "$3"
  [[ $CODE == 429 ]] || wrong "$3 counts for itself"
  "$1" "$4"
  [[ $CODE != 429 ]] || wrong "$4 is counted with $2"
}

@test "an IPv4 address is one client, whichever way it is written, and the next one another" {
  local asked=0 request
  for request in log_in_from ask_for_mail_from; do
    expect_one "$request" 192.0.2.1 192.0.2.1 192.0.2.2
    expect_one "$request" 192.0.2.3 ::ffff:192.0.2.3 ::ffff:192.0.2.4
    expect_one "$request" ::ffff:192.0.2.5 192.0.2.5 192.0.2.6
  done
}

@test "of IPv6 addresses a /64 is one client, and the next one another" {
  local asked=0 request
  for request in log_in_from ask_for_mail_from; do
    expect_one "$request" 2001:db8:0:1::1 2001:db8::1:ffff:ffff:ffff:ffff 2001:db8:0:2::1
    # With a line end as its last byte.
    expect_one "$request" 2001:db8:0:3::1 2001:db8:0:3::a 2001:db8:0:4::a
  done
}
