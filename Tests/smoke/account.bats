#!/usr/bin/env bats
# What owners do with their account: confirm it again, recover it, change it, delete it. And how others find it.

load support
load stack
load locks

setup_file() {
  member ada
}

# forgotten NAME [OLD]: the secret of the newest link for a forgotten password.
forgotten() {
  mailed "$(email_of "$1")" '/reset-password#[A-Za-z0-9_-]+' "${2:+/reset-password#$2}" | sed 's/.*#//'
}

ask_for_reset() {
  post /auth/password/forgot "$(jq -cn --arg email "${1}" '{email: $email}')"
  expect 200 '{"message": "If the account exists, an email is on its way"}'
}

ask_for_verification() {
  post /auth/verify "$(jq -cn --arg email "$1" '{email: $email}')"
  expect 200 '{"message": "If the account exists and is not verified, an email is on its way"}'
}

# reset TOKEN PASSWORD
reset() {
  post /auth/password/reset "$(jq -cn --arg token "$1" --arg password "$2" '{token: $token, password: $password}')"
}

# change NAME JSON: of one's own account, with one's password.
change() {
  as "$1" patch /auth/me "$(jq -c --arg password "$PASSWORD" '.current_password //= $password' <<<"$2")"
}

# confirm LINK: what the button of the page behind it does.
confirm() {
  post "${1%%\?*}" "$(jq -cn --arg token "${1#*token=}" '{token: $token}')"
}

# mails_to ADDRESS: how many there are or will be.
mails_to() {
  sql "SELECT count(*) FROM outbox WHERE payload->>'to' = '$1'"
}

# unanswered: fails if the next mail to ADDRESS comes; the outbox is empty of it, and stays so.
no_mail_to() {
  local files
  equal "$(mails_to "$1")" 0
  files=$(grep -rlF "To: <$1>" "$CHATTY_HOME/mail" | wc -l)
  equal "$files" "${2-0}" "the number of mails to $1"
}

# -- Verification again -----------------------------------------------------------------------------------------------

@test "the link to verify an account is mailed again, and the earlier one stays good" {
  register again
  local first second
  first=$(link_for again)
  ask_for_verification "$(email_of again | tr '[:lower:]' '[:upper:]')"
  second=$(link_for again "$first")
  get "$first"
  expect 200 '{"message": "Account verified"}'
  get "$second"
  expect 200 '{"message": "Account verified"}'
  log_in again
}

@test "nobody learns from asking for a link whether there is an account" {
  ask_for_verification "nobody-$(email_of ada)"
  no_mail_to "nobody-$(email_of ada)"
  ask_for_verification "$(email_of ada)" # verified long ago
  no_mail_to "$(email_of ada)"
  ask_for_reset "nobody-$(email_of ada)"
  no_mail_to "nobody-$(email_of ada)"
}

@test "a blocked user gets no mail" {
  resident silenced
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of silenced)"
  ask_for_reset "$(email_of silenced)"
  no_mail_to "$(email_of silenced)"
}

@test "while an account is blocked no link acts, and afterwards all do that are in time" {
  member stopped
  register stopped_early
  local link verification token
  change stopped "{\"email\": \"new-$(email_of stopped)\"}"
  link=$(mailed "new-$(email_of stopped)" "/auth/verify/$(id_of stopped)\\?token=[A-Za-z0-9_-]+")
  verification=$(link_for stopped_early)
  ask_for_reset "$(email_of stopped)"
  token=$(forgotten stopped)
  local before
  before=$(sql "SELECT u, t FROM users u, email_tokens t WHERE u.id IN ($(id_of stopped), $(id_of stopped_early)) AND t.user_id = u.id ORDER BY t.token_hash")
  sql "UPDATE users SET blocked_at = now() WHERE id IN ($(id_of stopped), $(id_of stopped_early))"
  confirm "$link"
  expect_error 400 'Invalid or expired verification link'
  confirm "$verification"
  expect_error 400 'Invalid or expired verification link'
  get "$verification"
  expect_error 400 'Invalid or expired verification link'
  reset "$token" 'a better password'
  expect_error 400 'Invalid or expired reset token'
  sql "UPDATE users SET blocked_at = NULL WHERE id IN ($(id_of stopped), $(id_of stopped_early))"
  equal "$(sql "SELECT u, t FROM users u, email_tokens t WHERE u.id IN ($(id_of stopped), $(id_of stopped_early)) AND t.user_id = u.id ORDER BY t.token_hash")" "$before"
  as stopped get /auth/me
  expect 200
  get "$verification"
  expect 200 '{"message": "Account verified"}'
  # The link of the new address is made worthless by a reset: it comes first.
  confirm "$link"
  expect 200 '{"message": "Account verified"}'
  BACK=$(mailed "$(email_of stopped)" "/auth/verify/$(id_of stopped)\\?token=[A-Za-z0-9_-]+")
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of stopped)"
  confirm "$BACK"
  expect_error 400 'Invalid or expired verification link'
  sql "UPDATE users SET blocked_at = NULL WHERE id = $(id_of stopped)"
  confirm "$BACK"
  expect 200
  reset "$(forgotten stopped "$token")" 'a better password'
  expect 200
}

@test "a reset link of before a block acts after it" {
  member stopped_once
  ask_for_reset "$(email_of stopped_once)"
  local token
  token=$(forgotten stopped_once)
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of stopped_once)"
  reset "$token" 'a better password'
  expect_error 400 'Invalid or expired reset token'
  sql "UPDATE users SET blocked_at = NULL WHERE id = $(id_of stopped_once)"
  reset "$token" 'a better password'
  expect 200
}

@test "blanks around an address do not count, wherever one is given" {
  post /auth/register "$(account padded | jq -c '.email = "\t " + .email + " \u00a0"')"
  expect 200
  field .user_id >"$BATS_FILE_TMPDIR/padded.id"
  equal "$(sql "SELECT email FROM users WHERE id = $(id_of padded)")" "$(email_of padded)"
  local first
  first=$(link_for padded)
  ask_for_verification "  $(email_of padded)	"
  link_for padded "$first"
  ask_for_reset " $(email_of padded) "
  forgotten padded
}

@test "what is no address is refused" {
  local path
  for path in /auth/verify /auth/password/forgot; do
    post "$path" '{}'
    expect_invalid body.email:missing
    post "$path" '{"email": "nobody"}'
    expect_invalid body.email:value_error
    post "$path" '{"email": "a@example.org\r\nBcc: b@example.org"}'
    expect_invalid body.email:value_error
  done
}

@test "a guessed link waits for nobody and locks nobody out" {
  member guessed
  hold_account guessed
  # Whoever locks the account would wait here until the database gives up.
  get "/auth/verify/$(id_of guessed)?token=$(letters 43 A)"
  release
  expect_error 400 'Invalid or expired verification link'
}

# -- A forgotten password ---------------------------------------------------------------------------------------------

@test "a forgotten password is replaced by the link in the mail, once, and every session ends" {
  member forgetful
  local token old
  old=$(token_of forgetful)
  ask_for_reset "$(email_of forgetful)"
  token=$(forgotten forgetful)
  [[ ${#token} -ge 43 ]]
  reset "$token" 'a better password'
  expect 200 '{"message": "Password changed"}'
  bearing "$old" get /auth/me
  expect_unauthenticated
  post /auth/refresh "{\"refresh_token\": \"$(refresh_token_of forgetful)\"}"
  expect_error 401 'Invalid refresh token'
  post /auth/login "$(credentials forgetful)"
  expect_error 400 'Invalid credentials'
  log_in forgetful 'a better password'
  reset "$token" 'yet another one'
  expect_error 400 'Invalid or expired reset token'
  log_in forgetful 'a better password'
  mailed "$(email_of forgetful)" 'password has just been changed'
}

@test "of several links the first to be used makes the others worthless" {
  member twice
  local first second
  ask_for_reset "$(email_of twice)"
  first=$(forgotten twice)
  ask_for_reset "$(email_of twice)"
  second=$(forgotten twice "$first")
  reset "$first" 'a better password'
  expect 200
  reset "$second" 'yet another one'
  expect_error 400 'Invalid or expired reset token'
}

@test "a link for a password works for an hour" {
  member slow
  local token
  ask_for_reset "$(email_of slow)"
  token=$(forgotten slow)
  equal "$(sql "SELECT expires_at - created_at FROM email_tokens WHERE user_id = $(id_of slow) AND purpose = 'reset'")" 01:00:00
  sql "UPDATE email_tokens SET expires_at = now() - interval '1 second' WHERE user_id = $(id_of slow)"
  reset "$token" 'a better password'
  expect_error 400 'Invalid or expired reset token'
  log_in slow
}

@test "of eight resets with one link at the same moment one counts" {
  member race
  local token codes n
  ask_for_reset "$(email_of race)"
  token=$(forgotten race)
  codes=$(for n in 1 2 3 4 5 6 7 8; do
    curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 --header 'Content-Type: application/json' \
      --data-binary "{\"token\": \"$token\", \"password\": \"password number $n\"}" "$CHATTY_TEST_URL/auth/password/reset" &
  done; wait)
  equal "$(sort <<<"$codes" | uniq -c | xargs)" '1 200 7 400'
}

@test "a login with the old password while a reset waits does not outlive it" {
  member raced
  local token
  ask_for_reset "$(email_of raced)"
  token=$(forgotten raced)
  hold_account raced
  send "{\"token\": \"$token\", \"password\": \"a better password\"}" /auth/password/reset >"$BATS_TEST_TMPDIR/reset" &
  local reset=$!
  eventually 10 waits_for_lock 1
  send "$(credentials raced)" /auth/login >"$BATS_TEST_TMPDIR/login" &
  local login=$!
  eventually 10 waits_for_lock 2
  release
  wait "$reset" "$login"
  equal "$(<"$BATS_TEST_TMPDIR/reset")" 200
  equal "$(sql "SELECT count(*) FROM sessions WHERE user_id = $(id_of raced) AND ended_at IS NULL")" 0
  log_in raced 'a better password'
}

@test "a login while the account is being deleted gets nothing" {
  member vanishing
  hold "DELETE FROM users WHERE id = $(id_of vanishing) RETURNING id"
  send "$(credentials vanishing)" /auth/login >"$BATS_TEST_TMPDIR/login" &
  local login=$!
  send "$(jq -cn --arg email "$(email_of vanishing)" '{email: $email}')" /auth/password/forgot >"$BATS_TEST_TMPDIR/forgot" &
  local forgot=$!
  eventually 10 waits_for_lock 2
  release COMMIT
  wait "$login" "$forgot"
  equal "$(<"$BATS_TEST_TMPDIR/login")" 400
  equal "$(<"$BATS_TEST_TMPDIR/forgot")" 200
}

@test "two different links for one account at the same moment: one sets the password, and neither fails otherwise" {
  member two_links
  local first second
  ask_for_reset "$(email_of two_links)"
  first=$(forgotten two_links)
  ask_for_reset "$(email_of two_links)"
  second=$(forgotten two_links "$first")
  {
    send "{\"token\": \"$first\", \"password\": \"a better password\"}" /auth/password/reset &
    send "{\"token\": \"$second\", \"password\": \"a better password\"}" /auth/password/reset &
    wait
  } >"$BATS_TEST_TMPDIR/codes"
  equal "$(sort "$BATS_TEST_TMPDIR/codes" | xargs)" '200 400'
}

@test "a reset confirms the address, and one kind of link does not do for another" {
  register unconfirmed
  local link token
  link=$(link_for unconfirmed)
  reset "${link#*token=}" 'a better password'
  expect_error 400 'Invalid or expired reset token'
  ask_for_reset "$(email_of unconfirmed)"
  token=$(forgotten unconfirmed)
  get "/auth/verify/$(id_of unconfirmed)?token=$token"
  expect_error 400 'Invalid or expired verification link'
  reset "$token" 'a better password'
  expect 200
  log_in unconfirmed 'a better password'
}

@test "a reset names every wrong field, and a guess changes nothing" {
  post /auth/password/reset '{}'
  expect_invalid body.token:missing body.password:missing
  reset "$(letters 43 A)" short
  expect_invalid body.password:string_too_short
  reset "$(letters 43 A)" "$(letters 73)"
  expect_invalid body.password:string_too_long
  reset "$(letters 43 A)" 'a better password'
  expect_error 400 'Invalid or expired reset token'
}

@test "the link opens a page that can do nothing but set the password" {
  local page
  page=$(curl --silent --fail --dump-header "$BATS_TEST_TMPDIR/headers" "$CHATTY_TEST_URL/reset-password")
  [[ $page == *'Set a new password'* ]]
  # shellcheck disable=SC2034 # read by header
  HEADERS=$(tr -d '\r' <"$BATS_TEST_TMPDIR/headers")
  [[ $(header Content-Type) == 'text/html; charset=utf-8' && $(header Referrer-Policy) == no-referrer ]] || wrong 'other headers'
  [[ $(header Content-Security-Policy) == "default-src 'none'; script-src 'self'"* ]] || wrong 'another policy'
  curl --silent --fail --output /dev/null "$CHATTY_TEST_URL/reset-password.js" "$CHATTY_TEST_URL/reset-password.css"
}

# -- Changing an account ----------------------------------------------------------------------------------------------

@test "a new password works at once and ends the other sessions, not this one" {
  member changing
  local other
  other=$(token_of changing)
  log_in changing
  change changing '{"password": "a better password"}'
  expect 200 '{"message": "Account updated"}'
  as changing get /auth/me
  expect 200
  bearing "$other" get /auth/me
  expect_unauthenticated
  post /auth/login "$(credentials changing)"
  expect_error 400 'Invalid credentials'
  log_in changing 'a better password'
  mailed "$(email_of changing)" 'password has just been changed'
}

@test "a new address counts once its link is opened, and the old one is told" {
  member moving
  local new link
  new="new-$(email_of moving)"
  change moving "{\"email\": \" $new \"}"
  expect 200 '{"message": "Account updated"}'
  as moving get /auth/me
  expect 200 ".email == \"$(email_of moving)\""
  mailed "$(email_of moving)" 'about to get another e-mail address'
  link=$(mailed "$new" "/auth/verify/$(id_of moving)\\?token=[A-Za-z0-9_-]+")
  confirm "$link"
  expect 200 '{"message": "Account verified"}'
  as moving get /auth/me
  expect 200 ".email == \"$new\""
  confirm "$link"
  expect 200 '{"message": "Account verified"}'
  get "$link"
  expect 200 '{"message": "Account verified"}'
  post /auth/login "$(jq -cn --arg username "$new" --arg password "$PASSWORD" '{username: $username, password: $password}')"
  expect 200
  post /auth/login "$(jq -cn --arg username "$(email_of moving)" --arg password "$PASSWORD" '{username: $username, password: $password}')"
  expect_error 400 'Invalid credentials'
}

@test "to look at the link of a new address, in whatever way, does not move the account" {
  member still
  local link accept
  change still "{\"email\": \"new-$(email_of still)\"}"
  link=$(mailed "new-$(email_of still)" "/auth/verify/$(id_of still)\\?token=[A-Za-z0-9_-]+")
  head_of "$link"
  equal "$CODE" 400
  for accept in '*/*' application/json; do
    get "$link" --header "Accept: $accept"
    expect_error 400 'Invalid or expired verification link'
  done
  curl --silent --output /dev/null --header 'Accept: text/html' "$CHATTY_TEST_URL$link"
  as still get /auth/me
  expect 200 ".email == \"$(email_of still)\""
  confirm "$link"
  expect 200
}

# moved NAME: to another address; the way back stays in BACK.
moved() {
  change "$1" "{\"email\": \"new-$(email_of "$1")\"}"
  confirm "$(mailed "new-$(email_of "$1")" "/auth/verify/$(id_of "$1")\\?token=[A-Za-z0-9_-]+")"
  expect 200
  BACK=$(mailed "$(email_of "$1")" "/auth/verify/$(id_of "$1")\\?token=[A-Za-z0-9_-]+")
}

@test "the old address gets a way back, which ends what a thief has" {
  member robbed
  moved robbed
  mailed "$(email_of robbed)" 'within seven days'
  equal "$(sql "SELECT expires_at - created_at FROM email_tokens WHERE user_id = $(id_of robbed) AND purpose = 'restore_email'")" '7 days'
  get "$BACK"
  expect_error 400 'Invalid or expired verification link'
  # What the thief does meanwhile changes nothing about it.
  change robbed '{"password": "the password of a thief"}'
  expect 200
  change robbed "{\"current_password\": \"the password of a thief\", \"email\": \"third-$(email_of robbed)\"}"
  confirm "$(mailed "third-$(email_of robbed)" "/auth/verify/$(id_of robbed)\\?token=[A-Za-z0-9_-]+")"
  expect 200
  local second
  second=$(mailed "new-$(email_of robbed)" "/auth/verify/$(id_of robbed)\\?token=[A-Za-z0-9_-]+" )
  confirm "$BACK"
  expect 200 '{"message": "Account verified"}'
  equal "$(sql "SELECT email FROM users WHERE id = $(id_of robbed)")" "$(email_of robbed)"
  as robbed get /auth/me
  expect_unauthenticated
  post /auth/login "$(credentials robbed 'the password of a thief')"
  expect_error 400 'Invalid credentials'
  confirm "$second"
  expect_error 400 'Invalid or expired verification link'
  reset "$(forgotten robbed)" 'a better password'
  expect 200
  log_in robbed 'a better password'
}

@test "the way back is over after seven days, and with the address another's" {
  member settled
  moved settled
  sql "UPDATE email_tokens SET expires_at = now() - interval '1 second' WHERE user_id = $(id_of settled) AND purpose = 'restore_email'"
  confirm "$BACK"
  expect_error 400 'Invalid or expired verification link'
  member followed
  moved followed
  sql "INSERT INTO users (username, email, hashed_password, verified_at) VALUES ('next.$(id_of followed)', '$(email_of followed)', 'x', now())"
  confirm "$BACK"
  expect_error 400 'Email already registered'
}

@test "a link that was opened before does not bring an old address back" {
  member back
  local there back
  change back "{\"email\": \"there-$(email_of back)\"}"
  there=$(mailed "there-$(email_of back)" "/auth/verify/$(id_of back)\\?token=[A-Za-z0-9_-]+")
  confirm "$there"
  back=$(mailed "$(email_of back)" "/auth/verify/$(id_of back)\\?token=[A-Za-z0-9_-]+")
  change back "{\"email\": \"$(email_of back)\"}"
  back=$(mailed "$(email_of back)" "/auth/verify/$(id_of back)\\?token=[A-Za-z0-9_-]+" "$back")
  confirm "$back"
  expect 200
  confirm "$there"
  expect 200
  as back get /auth/me
  expect 200 ".email == \"$(email_of back)\""
}

@test "an address that is another's is refused, at the change and when the link is opened" {
  member wanting
  change wanting "{\"email\": \"$(email_of ada | tr '[:lower:]' '[:upper:]')\"}"
  expect_error 400 'Email already registered'

  change wanting "{\"email\": \"later-$(email_of wanting)\"}"
  expect 200
  local link
  link=$(mailed "later-$(email_of wanting)" "/auth/verify/$(id_of wanting)\\?token=[A-Za-z0-9_-]+")
  sql "INSERT INTO users (username, email, hashed_password) VALUES ('faster.$(id_of wanting)', 'LATER-$(email_of wanting)', 'x')"
  confirm "$link"
  expect_error 400 'Email already registered'
  as wanting get /auth/me
  expect 200 ".email == \"$(email_of wanting)\""
}

@test "a new password makes links to another address and for a password worthless" {
  member careful
  local link token
  change careful "{\"email\": \"not-$(email_of careful)\"}"
  link=$(mailed "not-$(email_of careful)" "/auth/verify/$(id_of careful)\\?token=[A-Za-z0-9_-]+")
  ask_for_reset "$(email_of careful)"
  token=$(forgotten careful)
  change careful '{"password": "a better password"}'
  expect 200
  confirm "$link"
  expect_error 400 'Invalid or expired verification link'
  reset "$token" 'yet another one'
  expect_error 400 'Invalid or expired reset token'
}

@test "both are changed in one request, and nothing is changed by none" {
  member both
  change both "{\"email\": \"both-$(email_of both)\", \"password\": \"a better password\"}"
  expect 200
  mailed "both-$(email_of both)" 'auth/verify'
  log_in both 'a better password'
  as both patch /auth/me '{"current_password": "a better password", "email": null}'
  expect 200 '{"message": "Account updated"}'
  log_in both 'a better password'
}

@test "without the right password nothing changes" {
  change ada '{"current_password": "a wrong password", "password": "a better password"}'
  expect_error 400 'Invalid credentials'
  as ada delete /auth/me '{"current_password": "a wrong password"}'
  expect_error 400 'Invalid credentials'
  log_in ada
}

@test "a change names every wrong field, and sets nothing but what it may" {
  as ada patch /auth/me '{"email": "nobody", "password": "short"}'
  expect_invalid body.current_password:missing body.email:value_error body.password:string_too_short
  as ada patch /auth/me '{"current_password": 1, "email": 2, "password": 3}'
  expect_invalid body.current_password:string_type body.email:string_type body.password:string_type
  change ada '{"role": "admin", "username": "another", "id": 1, "is_active": false, "verified_at": null}'
  expect 200
  as ada get /auth/me
  expect 200 ".role == \"user\" and .username == \"$(full_name ada)\" and .id == $(id_of ada) and .is_active"
}

@test "the routes of an account are for users whose session stands" {
  member gone
  as gone post /auth/logout
  local method
  for method in patch delete; do
    "$method" /auth/me "{\"current_password\": \"$PASSWORD\"}"
    expect_unauthenticated
    as gone "$method" /auth/me "{\"current_password\": \"$PASSWORD\"}"
    expect_unauthenticated
  done
}

# -- Deletion ---------------------------------------------------------------------------------------------------------

@test "a deleted account is gone with all that was theirs, and others' counters know" {
  member leaving friend
  local theirs other
  new_post leaving
  theirs=$NEW_POST
  new_post friend
  other=$NEW_POST
  new_comment leaving "$other"
  new_comment friend "$theirs"
  as leaving post "/posts/$other/likes"
  as friend post "/posts/$theirs/likes"
  as leaving post "/subscribe/$(id_of friend)"
  as friend post "/subscribe/$(id_of leaving)"
  as leaving post "/posts/$other/reports" '{"reason": "A test"}'
  expect 200

  as leaving delete /auth/me "{\"current_password\": \"$PASSWORD\"}"
  expect 200 '{"message": "Account deleted"}'
  as leaving get /auth/me
  expect_unauthenticated
  post /auth/login "$(credentials leaving)"
  expect_error 400 'Invalid credentials'
  get "/auth/users/$(id_of leaving)"
  expect_error 404 'User not found'
  get "/posts/$theirs"
  expect_error 404 'Post not found'
  get "/posts/$other"
  expect 200 '.like_count == 0 and .comment_count == 0'
  get "/auth/users/$(id_of friend)"
  expect 200 '.follower_count == 0 and .following_count == 0'
  equal "$(sql "SELECT (SELECT count(*) FROM posts WHERE user_id = u) + (SELECT count(*) FROM comments WHERE user_id = u)
    + (SELECT count(*) FROM likes WHERE user_id = u) + (SELECT count(*) FROM subscriptions WHERE u IN (follower_id, following_id))
    + (SELECT count(*) FROM sessions WHERE user_id = u) + (SELECT count(*) FROM email_tokens WHERE user_id = u)
    + (SELECT count(*) FROM reports WHERE user_id = u) + (SELECT count(*) FROM author_stats WHERE user_id = u)
    + (SELECT count(*) FROM post_stats WHERE post_id = $theirs)
    FROM (SELECT $(id_of leaving) AS u) them")" 0
  # The address is free again, the name is not for a while.
  post /auth/register "$(account leaving)"
  expect_error 400 'Username already registered'
  post /auth/register "$(account leaving | jq -c '.username = "x\(.username | .[-28:])"')"
  expect 200
}

@test "accounts that like and comment each other's posts can be deleted at the same moment" {
  local n other names=() codes
  for n in 1 2 3 4 5 6 7 8; do names+=("circle$n"); done
  member "${names[@]}"
  sql "INSERT INTO posts (user_id, title, content) SELECT id, 'x', 'y' FROM users, generate_series(1, 20) WHERE id BETWEEN $(id_of circle1) AND $(id_of circle8)"
  sql "INSERT INTO likes (user_id, post_id) SELECT u.id, p.id FROM users u, posts p
    WHERE u.id BETWEEN $(id_of circle1) AND $(id_of circle8) AND p.user_id BETWEEN $(id_of circle1) AND $(id_of circle8)"
  sql "INSERT INTO comments (user_id, post_id, content) SELECT u.id, p.id, 'z' FROM users u, posts p
    WHERE u.id BETWEEN $(id_of circle1) AND $(id_of circle8) AND p.user_id BETWEEN $(id_of circle1) AND $(id_of circle8)"
  sql "UPDATE post_stats s SET likes = 8, comments = 8 FROM posts p WHERE p.id = s.post_id AND p.user_id BETWEEN $(id_of circle1) AND $(id_of circle8)"
  new_post ada
  # Half of them delete their posts one by one meanwhile.
  codes=$(
    for n in 1 2 3 4; do
      curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 --request DELETE --header "Authorization: Bearer $(token_of "circle$n")" \
        --header 'Content-Type: application/json' --data-binary "{\"current_password\": \"$PASSWORD\"}" "$CHATTY_TEST_URL/auth/me" &
    done
    for n in 5 6 7 8; do
      for other in $(sql "SELECT id FROM posts WHERE user_id = $(id_of "circle$n")"); do
        curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 20 --request DELETE \
          --header "Authorization: Bearer $(token_of "circle$n")" "$CHATTY_TEST_URL/posts/$other"
      done &
    done
    wait
  )
  equal "$(sort <<<"$codes" | uniq -c | xargs)" '84 200'
  # What is more than a first step follows.
  for n in $(seq 100); do
    if [[ $(sql 'SELECT count(*) FROM unsettled_accounts') == 0 ]]; then break; fi
    sleep 0.2
  done
  equal "$(sql "SELECT count(*) FROM likes l JOIN posts p ON p.id = l.post_id WHERE p.user_id BETWEEN $(id_of circle1) AND $(id_of circle8)")" 0
}

# -- Others -----------------------------------------------------------------------------------------------------------

@test "users are found by the beginning of their name, in any case, by name and in pages" {
  local run
  run=$(full_name '' | tr -d _)
  sql "INSERT INTO users (username, email, hashed_password, verified_at)
    SELECT 'S$run' || name, 's$run' || name || '@example.org', 'x', now() FROM unnest('{b,A,a1,_x,c,.d}'::text[]) name"
  sql "INSERT INTO users (username, email, hashed_password) VALUES ('s${run}unverified', 's${run}unverified@example.org', 'x')"
  sql "INSERT INTO users (username, email, hashed_password, verified_at, blocked_at) VALUES ('s${run}blocked', 's${run}blocked@example.org', 'x', now(), now())"
  get "/auth/users?username=s$run"
  expect 200 "[.[].username] == [\"S$run.d\", \"S${run}_x\", \"S${run}A\", \"S${run}a1\", \"S${run}b\", \"S${run}c\"]" \
    'all(.[]; has("post_count") and has("follower_count") and (has("email") | not))'
  equal "$(walk "/auth/users?username=S$run&limit=2" '.[].username' | paste -sd' ')" "S$run.d S${run}_x S${run}A S${run}a1 S${run}b S${run}c"
  get "/auth/users?username=s${run}_"
  expect 200 "[.[].username] == [\"S${run}_x\"]"
  get "/auth/users?username=%25"
  expect 200 '[]'
  get "/auth/users?username=s${run}zz"
  expect 200 '[]'
}

@test "a search needs a beginning" {
  get /auth/users
  expect_invalid query.username:missing
  get '/auth/users?username='
  expect_invalid query.username:string_too_short
  get "/auth/users?username=$(letters 33)"
  expect_invalid query.username:string_too_long
  get '/auth/users?username=a&cursor=!'
  expect_invalid query.cursor:value_error
  get '/auth/users?username=a&limit=101'
  expect_invalid query.limit:less_than_equal
}
