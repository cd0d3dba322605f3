#!/usr/bin/env bats
# Passwords: what bcrypt can hold, and the hashes that other programs left in the database.

load support
load stack
load locks

# with_password NAME PASSWORD: a verified account, registered with this password.
with_password() {
  post /auth/register "$(account "$1" "$2")"
  expect 200
  field .user_id >"$BATS_FILE_TMPDIR/$1.id"
  sql "UPDATE users SET verified_at = now() WHERE id = $(id_of "$1")"
}

# refused PASSWORD TYPE: cannot be registered, for this reason.
refused() {
  post /auth/register "$(account refused "$1")"
  expect_invalid "body.password:$2"
}

# passlib NAME EXPRESSION: a verified account with the hash that Python's passlib makes of PASSWORD.
passlib() {
  local hash
  hash=$(PASSWORD=$PASSWORD /usr/bin/python3 -c "import os; from passlib import hash; print(hash.$2.hash(os.environ['PASSWORD']))")
  resident "$1"
  sql "UPDATE users SET hashed_password = '$hash' WHERE id = $(id_of "$1")"
}

# hash_of NAME: as it is stored.
hash_of() { sql "SELECT hashed_password FROM users WHERE id = $(id_of "$1")"; }

@test "a hash made by passlib's bcrypt logs in, with the right password only" {
  passlib migrated 'bcrypt'
  post /auth/login "$(account migrated 'another password' | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
  log_in migrated
  as migrated get /auth/me
  expect 200
  log_in migrated
}

@test "the older spellings of a bcrypt hash log in" {
  passlib spelling_2a 'bcrypt.using(ident="2a", rounds=4)'
  log_in spelling_2a
  log_in spelling_2a
}

@test "the other hashes of crypt(5) that passlib makes log in" {
  passlib sha512 'sha512_crypt.using(rounds=5000)'
  log_in sha512
  passlib sha256 'sha256_crypt.using(rounds=5000)'
  log_in sha256
}

@test "a hash that is weaker than today's setting is replaced at login, by the right password only" {
  local kind before after
  for kind in 'bcrypt.using(rounds=5)' 'bcrypt.using(ident="2a", rounds=12)' 'sha512_crypt.using(rounds=5000)' 'md5_crypt'; do
    passlib weaker "$kind"
    before=$(hash_of weaker)
    post /auth/login "$(credentials weaker wrong)"
    expect_error 400 'Invalid credentials'
    equal "$(hash_of weaker)" "$before"
    log_in weaker
    after=$(hash_of weaker)
    [[ $after == "\$2b\$10\$"* ]] || wrong "the hash is $after"
    log_in weaker
    equal "$(hash_of weaker)" "$after"
    as weaker get /auth/me
    expect 200
    sql "DELETE FROM users WHERE id = $(id_of weaker)"
  done
}

# weaken NAME: gives the account a hash that the next login replaces.
weaken() { sql "UPDATE users SET hashed_password = '$PASSWORD_HASH' WHERE id = $(id_of "$1")"; }

@test "of two right logins at the moment at which a hash is replaced both get in" {
  resident doubled
  hold_account doubled
  # Both have found the old hash.
  send "$(credentials doubled)" /auth/login >"$BATS_TEST_TMPDIR/first" &
  local first=$!
  eventually 10 waits_for_lock 1
  send "$(credentials doubled)" /auth/login >"$BATS_TEST_TMPDIR/second" &
  local second=$!
  eventually 10 waits_for_lock 2
  release
  wait "$first" "$second"
  equal "$(cat "$BATS_TEST_TMPDIR"/{first,second} | xargs)" '200 200'
  equal "$(sql "SELECT count(*) FROM sessions WHERE user_id = $(id_of doubled)")" 2
}

@test "a right password counts for a change and a deletion too while a login replaces the hash" {
  member replaced
  local token method
  token=$(token_of replaced)
  for method in PATCH DELETE; do
    weaken replaced
    hold_account replaced
    send "$(credentials replaced)" /auth/login >"$BATS_TEST_TMPDIR/login" &
    local login=$!
    eventually 10 waits_for_lock 1
    send "{\"current_password\": \"$PASSWORD\"}" /auth/me --request "$method" --header "Authorization: Bearer $token" >"$BATS_TEST_TMPDIR/change" &
    local change=$!
    eventually 10 waits_for_lock 2
    release
    wait "$login" "$change"
    equal "$(cat "$BATS_TEST_TMPDIR"/{login,change} | xargs)" '200 200' "what the login and $method got"
  done
}

@test "a hash that is as strong or stronger stays" {
  passlib strong 'bcrypt.using(rounds=11)'
  local before
  before=$(hash_of strong)
  log_in strong
  equal "$(hash_of strong)" "$before"
}

@test "an account that may not log in keeps its weak hash" {
  passlib weak_and_blocked 'md5_crypt'
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of weak_and_blocked)"
  post /auth/login "$(credentials weak_and_blocked)"
  expect_error 400 'Account blocked'
  # shellcheck disable=SC2016 # a hash is full of dollars
  [[ $(hash_of weak_and_blocked) == '$1$'* ]]
}

@test "what is not a hash at all lets nobody in" {
  resident broken
  local hash
  # shellcheck disable=SC2016 # hashes are full of dollars
  for hash in '' '!' '*' '*0' x '$2b$' '$2b$12$' "$PASSWORD" 'pbkdf2:sha256$1$aa$bb'; do
    sql "UPDATE users SET hashed_password = '$hash' WHERE id = $(id_of broken)"
    post /auth/login "$(account broken | jq -c 'del(.email)')"
    expect_error 400 'Invalid credentials'
    post /auth/login "$(account broken "$hash" | jq -c 'del(.email)')"
    [[ $CODE == 4?? ]] || wrong 'a hash that is none let somebody in'
  done
}

@test "a new hash is bcrypt of the current spelling and of the cost that is set" {
  with_password fresh "$PASSWORD"
  equal "$(sql "SELECT hashed_password ~ '^\\\$2b\\\$1[0-5]\\\$[./A-Za-z0-9]{53}\$' FROM users WHERE id = $(id_of fresh)")" t
}

@test "passlib accepts the hashes that are made here" {
  with_password fresher "$PASSWORD"
  HASH=$(sql "SELECT hashed_password FROM users WHERE id = $(id_of fresher)") PASSWORD=$PASSWORD \
    /usr/bin/python3 -c "import os; from passlib.hash import bcrypt; assert bcrypt.verify(os.environ['PASSWORD'], os.environ['HASH'])"
}

@test "a password of 72 bytes is accepted, and every byte of it counts" {
  with_password longest "$(letters 72 a)"
  log_in longest "$(letters 72 a)"
  post /auth/login "$(account longest "$(letters 71 a)b" | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
  post /auth/login "$(account longest "$(letters 71 a)" | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
}

@test "a new password of 73 bytes is refused and never cut" {
  refused "$(letters 73 a)" string_too_long
  member short
  as short patch /auth/me "$(jq -cn --arg old "$PASSWORD" --arg new "$(letters 73 a)" '{current_password: $old, password: $new}')"
  expect_invalid body.password:string_too_long
}

@test "a longer password logs in by its first 72 bytes, as it did with passlib, and is told to be too long" {
  local long
  long=$(letters 71 a)€uro
  resident long_ago
  # shellcheck disable=SC2016 # Python's
  sql "UPDATE users SET hashed_password = '$(PASSWORD=$long /usr/bin/python3 -c 'import os; from passlib.hash import bcrypt
print(bcrypt.using(rounds=5).hash(os.environ["PASSWORD"]))')' WHERE id = $(id_of long_ago)"
  local hash
  hash=$(hash_of long_ago)
  post /auth/login "$(credentials long_ago "$long")"
  expect 200 '.password_too_long == true'
  field .token >"$BATS_FILE_TMPDIR/long_ago.token"
  equal "$(hash_of long_ago)" "$hash" # nothing shorter is put in its place
  post /auth/login "$(credentials long_ago "$long$(letters 600)")"
  expect 200 '.password_too_long == true'
  post /auth/login "$(credentials long_ago "$(letters 70 a)b€uro")"
  expect_error 400 'Invalid credentials'
  post /auth/login "$(credentials long_ago "$long$(letters 5000)")"
  expect_error 400 'Invalid credentials'
  as long_ago patch /auth/me "$(jq -cn --arg old "$long" '{current_password: $old, password: "a better password"}')"
  expect 200
  post /auth/login "$(credentials long_ago 'a better password')"
  expect 200 'has("password_too_long") | not'
}

# A letter and its accent as one character and as two.
COMPOSED=$'gr\xc3\xbcn-\xc3\xa9t\xc3\xa9-\xed\x95\x9c-1' DECOMPOSED=$'gru\xcc\x88n-e\xcc\x81te\xcc\x81-\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab-1'

@test "the forms of one password are one, whichever it was registered with" {
  [[ $COMPOSED != "$DECOMPOSED" ]]
  with_password composed "$COMPOSED"
  log_in composed "$DECOMPOSED"
  log_in composed "$COMPOSED"
  with_password decomposed "$DECOMPOSED"
  log_in decomposed "$COMPOSED"
  log_in decomposed "$DECOMPOSED"
  as decomposed patch /auth/me "$(jq -cn --arg old "$COMPOSED" --arg new "$DECOMPOSED" '{current_password: $old, password: $new}')"
  expect 200
  log_in decomposed "$COMPOSED"
  post /auth/login "$(credentials decomposed 'grun-ete-x-1')"
  expect_error 400 'Invalid credentials'
}

@test "an old hash of a password that is not in NFC verifies by either form, and is replaced" {
  local form hash
  for form in "$COMPOSED" "$DECOMPOSED"; do
    resident formed
    hash=$(PASSWORD=$DECOMPOSED /usr/bin/python3 -c "import os; from passlib.hash import bcrypt; print(bcrypt.using(rounds=10).hash(os.environ['PASSWORD']))")
    sql "UPDATE users SET hashed_password = '$hash' WHERE id = $(id_of formed)"
    log_in formed "$form"
    [[ $(hash_of formed) != "$hash" ]] || wrong 'the hash of another form stays'
    log_in formed "$COMPOSED"
    sql "DELETE FROM users WHERE id = $(id_of formed)"
  done
}

@test "the length of a new password is that of its NFC form" {
  local letter=$'\xc3\xbc' accent=$'u\xcc\x88'
  with_password fits "$(letters 36 "$accent")" # 72 bytes in NFC, 108 as it is sent
  log_in fits "$(letters 36 "$letter")"
  refused "$(letters 37 "$accent")" string_too_long
  refused "$(letters 3 "$accent")1" string_too_short # 7 and 10
}

@test "bytes are counted, not characters" {
  refused "$(letters 25 €)" string_too_long # 75 bytes
  with_password euros "$(letters 24 €)"     # 72 bytes
  log_in euros "$(letters 24 €)"
  post /auth/login "$(account euros "$(letters 23 €)¥" | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
  with_password umlauts 'ÄÖÜä' # 8 bytes
  log_in umlauts 'ÄÖÜä'
}

@test "a password has 8 bytes at least" {
  refused '' string_too_short
  refused "$(letters 7)" string_too_short
  refused 'äöü1' string_too_short # 7 bytes
  with_password shortest "$(letters 8)"
  log_in shortest "$(letters 8)"
}

@test "blanks around a password belong to it" {
  with_password spacious '  spacious  '
  log_in spacious '  spacious  '
  post /auth/login "$(account spacious 'spacious' | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
}

@test "a NUL in a password is refused, at registration and at login" {
  post /auth/register "$(account nul | jq -c '.password = "seven\u0000and more"')"
  expect 422 '[.detail[].loc] == [["body", "password"]]'
  with_password cut_at_nul 'sevenand'
  post /auth/login "$(account cut_at_nul | jq -c 'del(.email) | .password = "sevenand\u0000more"')"
  [[ $CODE == 400 || $CODE == 422 ]] || wrong 'a password was cut at its NUL'
}
