#!/usr/bin/env bats
# Registration, verification, sessions and access tokens.

load support

setup_file() {
  newcomer ada
  register eve
}

# -- Registration -----------------------------------------------------------------------------------------------------

@test "registration answers with the name and the new id, and stores no password in the clear" {
  register carol
  expect 200 "{\"message\": \"User $(full_name carol) registered, check your email\", \"user_id\": $(id_of carol)}"
  equal "$(sql "SELECT username || ' ' || email || ' ' || role || ' ' || (verified_at IS NULL) || ' ' || (blocked_at IS NULL) FROM users WHERE id = $(id_of carol)")" \
    "$(full_name carol) $(email_of carol) user true true"
  equal "$(sql "SELECT hashed_password LIKE '\$2b\$%' FROM users WHERE id = $(id_of carol)")" t
}

@test "a username can be taken once, without regard to case" {
  post /auth/register "$(account ada | jq -c '.email = "other-" + .email')"
  expect_error 400 'Username already registered'
  post /auth/register "$(account ada | jq -c '.email = "other-" + .email | .username |= ascii_upcase')"
  expect_error 400 'Username already registered'
}

@test "an e-mail address can be taken once, without regard to case" {
  post /auth/register "$(account ada | jq -c '.username = "x" + .username')"
  expect_error 400 'Email already registered'
  post /auth/register "$(account ada | jq -c '.username = "x" + .username | .email |= ascii_upcase')"
  expect_error 400 'Email already registered'
}

@test "a refused registration sends no mail and leaves no user" {
  local before
  before=$(sql "SELECT count(*) FROM outbox")
  post /auth/register "$(account ada | jq -c '.username = "x" + .username')"
  expect 400
  equal "$(sql "SELECT count(*) FROM users WHERE username = 'x$(full_name ada)'")" 0
  [[ $(sql "SELECT count(*) FROM outbox") -le $before ]]
}

@test "registrations of one name at the same moment make one user" {
  local body n codes
  body=$(account twin)
  codes=$(for n in 1 2 3 4; do
    jq -c ".email = \"$n\" + .email" <<<"$body" | curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 30 \
      --header 'Content-Type: application/json' --data-binary @- "$CHATTY_TEST_URL/auth/register" &
  done; wait)
  equal "$(sort <<<"$codes" | xargs)" '200 400 400 400'
  equal "$(sql "SELECT count(*) FROM users WHERE username = '$(full_name twin)'")" 1
}

@test "registration names every wrong field at once" {
  post /auth/register '{}'
  expect_invalid body.username:missing body.email:missing body.password:missing
  post /auth/register '{"username": 1, "email": [], "password": null}'
  expect_invalid body.username:string_type body.email:string_type body.password:string_type
  post /auth/register '{"username": "ab", "email": "nobody", "password": "short"}'
  expect_invalid body.username:string_too_short body.email:value_error body.password:string_too_short
}

@test "a username is 3 to 32 letters, digits, dots, dashes and underscores" {
  local name
  post /auth/register "$(jq -cn --arg name "$(letters 33)" '{username: $name, email: "a@example.org", password: "long enough"}')"
  expect_invalid body.username:string_too_long
  for name in 'a b c' 'a/b/c' 'a@b.c' 'naïve' 'abc\n' ' abc'; do
    post /auth/register "{\"username\": \"$name\", \"email\": \"a@example.org\", \"password\": \"long enough\"}"
    expect_invalid body.username:string_pattern_mismatch
  done
}

@test "an e-mail address must be one, without line ends and no longer than 254" {
  local address
  for address in nobody '@example.org' 'nobody@' 'a b@example.org' 'a@b@example.org' 'a@example.org\r\nBcc: b@example.org' 'a@example.org\n' "$(letters 250)@example.org"; do
    post /auth/register "{\"username\": \"a.new.name\", \"email\": \"$address\", \"password\": \"long enough\"}"
    expect 422 '[.detail[].loc] == [["body", "email"]]'
  done
  equal "$(sql "SELECT count(*) FROM users WHERE username = 'a.new.name'")" 0
}

@test "a caller can register neither a role, nor an id, nor themselves as verified" {
  post /auth/register "$(account mallory | jq -c '. + {id: 1, user_id: 1, role: "admin", is_active: true, verified_at: "2020-01-01T00:00:00Z", created_at: "2020-01-01T00:00:00Z"}')"
  expect 200 '.user_id > 1'
  equal "$(sql "SELECT role, verified_at IS NULL, is_active, created_at > now() - interval '1 minute' FROM users WHERE username = '$(full_name mallory)'")" 'user|t|f|t'
}

# -- Verification -----------------------------------------------------------------------------------------------------

@test "the link in the mail verifies the account, and opening it again says the same" {
  register dave
  local link
  link=$(link_for dave)
  get "$link"
  expect 200 '{"message": "Account verified"}'
  get "$link"
  expect 200 '{"message": "Account verified"}'
  log_in dave
}

@test "the token in the link is stored hashed" {
  local token
  token=$(link_for eve | sed 's/.*token=//')
  [[ ${#token} -ge 43 ]]
  equal "$(sql "SELECT count(*) FROM email_tokens t WHERE t::text LIKE '%$token%'")" 0
}

@test "a wrong, a missing and another account's token verify nothing" {
  local link
  link=$(link_for eve)
  get "${link%????}AAAA"
  expect_error 400 'Invalid or expired verification link'
  get "/auth/verify/$(id_of eve)?token="
  expect_error 400 'Invalid or expired verification link'
  get "/auth/verify/$(id_of eve)"
  expect_invalid query.token:missing
  get "/auth/verify/$(id_of ada)?${link#*\?}"
  expect_error 400 'Invalid or expired verification link'
  equal "$(sql "SELECT verified_at IS NULL FROM users WHERE id = $(id_of eve)")" t
}

@test "verification of an account that does not exist is 404" {
  get "/auth/verify/9223372036854775807?token=$(letters 43)"
  expect_error 404 'User not found'
}

@test "an expired link verifies nothing" {
  register late
  local link
  link=$(link_for late)
  sql "UPDATE email_tokens SET created_at = now() - interval '30 days', expires_at = now() - interval '1 second' WHERE user_id = $(id_of late)"
  get "$link"
  expect_error 400 'Invalid or expired verification link'
  equal "$(sql "SELECT verified_at IS NULL FROM users WHERE id = $(id_of late)")" t
}

@test "the mail's link is built from the public address, whatever the Host header says" {
  post /auth/register "$(account hosted)" --header 'Host: evil.example'
  expect 200
  field .user_id >"$BATS_FILE_TMPDIR/hosted.id"
  link_for hosted >/dev/null
  equal "$(grep -rl 'evil\.example' "$CHATTY_HOME/mail")" '' 'the list of mails that name it'
}

# -- Login ------------------------------------------------------------------------------------------------------------

@test "login answers with everything a client needs" {
  post /auth/login "$(account ada | jq -c 'del(.email)')"
  expect 200 '.message == "Login successful" and .token_type == "bearer"' ".user_id == $(id_of ada)" \
    '.expires_in == 900' '.token | split(".") | length == 3' '.refresh_token | length >= 43'
}

@test "login takes the e-mail address for the username" {
  post /auth/login "$(jq -cn --arg username "$(email_of ada)" --arg password "$PASSWORD" '{username: $username, password: $password}')"
  expect 200 ".user_id == $(id_of ada)"
}

@test "login says the same of a wrong password and of an unknown user" {
  post /auth/login "$(account ada 'another password' | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
  post /auth/login "$(account nobody | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
}

@test "an unknown user costs the time of a wrong password" {
  local name time times
  for name in ada nobody; do
    times=$(for _ in 1 2 3 4 5; do
      curl --silent --output /dev/null --write-out '%{time_total}\n' --header 'Content-Type: application/json' \
        --data-binary "$(account "$name" 'another password' | jq -c 'del(.email)')" "$CHATTY_TEST_URL/auth/login"
    done | sort -n | sed -n 3p)
    time+="$times "
  done
  awk '{ exit !($2 > $1 * 0.6 && $2 < $1 * 1.6) }' <<<"$time" || wrong "seconds for a known and an unknown user: $time"
}

@test "an account that is not verified says so to the right password only" {
  post /auth/login "$(account eve | jq -c 'del(.email)')"
  expect_error 400 'Account not verified'
  post /auth/login "$(account eve 'another password' | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
}

@test "a blocked account says so to the right password only" {
  resident blocked
  sql "UPDATE users SET blocked_at = now() WHERE id = $(id_of blocked)"
  post /auth/login "$(account blocked | jq -c 'del(.email)')"
  expect_error 400 'Account blocked'
  post /auth/login "$(account blocked 'another password' | jq -c 'del(.email)')"
  expect_error 400 'Invalid credentials'
}

@test "login names every wrong field at once" {
  post /auth/login '{}'
  expect_invalid body.username:missing body.password:missing
  post /auth/login '{"username": 7, "password": true}'
  expect_invalid body.username:string_type body.password:string_type
}

# -- Access tokens ----------------------------------------------------------------------------------------------------

# base64url without padding, from standard input.
base64url() { basenc --base64url --wrap=0 | tr -d '='; }

# part NUMBER: the JSON of the header (1) or the claims (2) of the token on standard input.
part() {
  local text
  text=$(cut -d. -f"$1")
  while ((${#text} % 4)); do text+='='; done
  basenc --base64url --decode <<<"$text"
}

# signature: of standard input, by the stack's own key, as JWS wants it: r and s, 32 bytes each.
signature() {
  openssl dgst -sha256 -sign "$CHATTY_HOME/keys/private.pem" | openssl asn1parse -inform DER |
    sed -n 's/.*INTEGER *://p' | while read -r number; do printf '%064s' "$number" | tr ' ' 0; done |
    basenc --base16 --decode | base64url
}

# forge HEADER-FILTER CLAIMS-FILTER: Ada's token with changes, signed with the real key.
forge() {
  local head claims
  head=$(token_of ada | part 1 | jq -c "$1" | tr -d '\n' | base64url)
  claims=$(token_of ada | part 2 | jq -c "$2" | tr -d '\n' | base64url)
  printf '%s.%s.%s' "$head" "$claims" "$(printf '%s.%s' "$head" "$claims" | signature)"
}

@test "an access token is ES256, says what it is, names its session and lives 15 minutes" {
  token_of ada | part 1 | jq -e '.alg == "ES256" and .typ == "at+jwt" and (.kid | type == "string")'
  token_of ada | part 2 | jq -e --arg id "$(id_of ada)" \
    '(.sub | tostring) == $id and .exp - .iat == 900 and has("sid") and has("jti") and has("iss") and has("aud")'
}

@test "the published keys are public, and the token's key is among them" {
  get /auth/.well-known/jwks.json
  expect 200 '.keys | length > 0 and all(.kty == "EC" and .crv == "P-256" and .alg == "ES256" and .use == "sig")' \
    '[.keys[] | has("d")] | any | not' ".keys | any(.kid == \"$(token_of ada | part 1 | jq -r .kid)\")"
}

@test "a forgery by the test's own hand is accepted when nothing is changed" {
  bearing "$(forge . .)" get /auth/me
  expect 200 ".id == $(id_of ada)"
}

@test "a token is refused when its signature, its header or one of its claims is not right" {
  local token
  token=$(token_of ada)
  local wrong_tokens=(
    "${token%.*}.$(letters 86 A)" # another signature
    "${token%.*}."                # no signature
    "${token%.*}"                 # two parts
    "$token.$token"               # six parts
    "x" "." ".." "Bearer"
    "$(forge . '.exp = now - 1 | .exp |= floor')"
    "$(forge . 'del(.exp)')"
    "$(forge . '.iss = "https://evil.example"')"
    "$(forge . 'del(.iss)')"
    "$(forge . '.aud = "another"')"
    "$(forge . 'del(.aud)')"
    "$(forge . '.sub = "9223372036854775807"')" # no such user
    "$(forge . ".sub = \"$(id_of eve)\"")"      # another's session
    "$(forge . '.sid = "9223372036854775807"')" # no such session
    "$(forge . '.sub = "0" | .sid = "0"')"
    "$(forge '.typ = "JWT"' .)"
    "$(forge '.alg = "none"' .)"
    "$(forge '.alg = "HS256"' .)"
    "$(forge '.kid = "unknown"' .)"
    "$(forge '.crit = ["exp"]' .)"
    "$(letters 7000)"
  )
  local each
  for each in "${wrong_tokens[@]}"; do
    bearing "$each" get /auth/me
    expect_unauthenticated
  done
  # alg none without a signature, the oldest forgery.
  bearing "$(printf '{"alg":"none","typ":"at+jwt"}' | base64url).$(cut -d. -f2 <<<"$token")." get /auth/me
  expect_unauthenticated
}

@test "the scheme of the Authorization header must be Bearer, in any case" {
  get /auth/me --header "Authorization: bearer $(token_of ada)"
  expect 200
  get /auth/me --header "Authorization: Basic $(token_of ada)"
  expect_unauthenticated
  get /auth/me --header "Authorization: $(token_of ada)"
  expect_unauthenticated
  get /auth/me --header 'Authorization: Bearer'
  expect_unauthenticated
}

# -- Sessions ---------------------------------------------------------------------------------------------------------

@test "logout ends this session at once and no other" {
  log_in ada
  local other
  other=$(token_of ada)
  log_in ada
  as ada post /auth/logout
  expect 200 '{"message": "Logged out"}'
  as ada get /auth/me
  expect_unauthenticated
  as ada post /auth/logout
  expect_unauthenticated
  as ada post /posts '{"title": "After", "content": "the end"}'
  expect_unauthenticated
  bearing "$other" get /auth/me
  expect 200
  log_in ada
}

@test "a session that has expired counts no more, whatever its token says" {
  member sleepy
  sql "UPDATE sessions SET created_at = created_at - interval '400 days', expires_at = now() - interval '1 second' WHERE user_id = $(id_of sleepy)"
  as sleepy get /auth/me
  expect_unauthenticated
}

@test "the refresh token is stored hashed" {
  post /auth/login "$(account ada | jq -c 'del(.email)')"
  expect 200
  equal "$(sql "SELECT count(*) FROM sessions s WHERE s::text LIKE '%$(field .refresh_token)%'")" 0
}

# -- Users ------------------------------------------------------------------------------------------------------------

@test "one's own account shows address, role and state" {
  as ada get /auth/me
  expect 200 ".id == $(id_of ada) and .username == \"$(full_name ada)\" and .email == \"$(email_of ada)\"" \
    '.role == "user" and .is_active == true and .post_count == 0 and .follower_count == 0 and .following_count == 0' \
    '.created_at | test("^[0-9-]{10}T[0-9:]{8}(\\.[0-9]+)?Z$")'
  get /auth/me
  expect_unauthenticated
}

@test "a user is shown to anyone, without their address, role or password" {
  member author reader
  new_post author
  as reader post "/subscribe/$(id_of author)"
  expect 200
  get "/auth/users/$(id_of author)"
  expect 200 "del(.created_at) == {\"id\": $(id_of author), \"username\": \"$(full_name author)\", \"post_count\": 1, \"follower_count\": 1, \"following_count\": 0}" \
    '.created_at | endswith("Z")'
  get "/auth/users/$(id_of reader)"
  expect 200 '.post_count == 0 and .follower_count == 0 and .following_count == 1'
  as reader get "/auth/users/$(id_of author)"
  expect 200 'has("email") or has("hashed_password") | not'
}

@test "a user who does not exist is 404" {
  get /auth/users/9223372036854775807
  expect_error 404 'User not found'
}
