#!/usr/bin/env bats
# What mail servers say no to: a mail, for now or for good, or all that comes from us.

load ../smoke/support
load ../smoke/stack
load mail

# -- Mails -------------------------------------------------------------------------------------------------------------

@test "a mail that is refused for good is given up and logged, without its recipient, and the next one goes" {
  local how
  for how in 'refuse 550' 'refuse-data 554' 'refuse 501' 'refuse 571' 'refuse-data 521'; do
    behave "$how"
    queue 1 unwanted
    eventually 15 is_given_up
    [[ $(sql "SELECT last_error FROM outbox") == "refused: "*"(${how##* })" ]] || wrong "$(sql "SELECT last_error FROM outbox")"
    run chatty outbox list --dead
    [[ $output == *'given up'*"${how##* }"* ]] || wrong "$output"
    behave accept
    queue 1 wanted
    eventually 15 is_given_up
    chatty outbox drop --dead
  done
  eventually 15 is_empty
  equal "$(recipients | uniq -c | xargs)" '5 wanted1@example.org'
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
  behave refuse 471
  hurry
  eventually 15 was_tried 4
  [[ $(sql "SELECT last_error FROM outbox") == deferred:* ]]
  behave accept
  hurry
  eventually 15 is_empty
  each_once 1
}

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
  chatty outbox drop --dead
}

# -- All mail ---------------------------------------------------------------------------------------------------------

@test "a server that does not want us, or whom mail is from, or takes its leave, has no mail given up" {
  local how
  for how in 'greet 554' 'mail 553' 'mail 550' 'refuse 421'; do
    # So that there is a greeting.
    stop_server
    start_server
    behave "$how"
    queue 1
    eventually 15 was_tried 1
    equal "$(sql "SELECT dead_at IS NULL, last_error LIKE 'refused:%' OR last_error LIKE 'deferred:%' FROM outbox")" 't|f' "given up after $how, or called the mail's fault"
    behave accept
    eventually 30 all_delivered
    each_once 1
    rm -f "$SERVER"/*.eml
  done
}
