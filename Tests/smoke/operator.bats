#!/usr/bin/env bats
# The operator's command line, on the running stack.

load support
load stack
load locks

setup_file() {
  member ada
}

chatty() { "$BATS_TEST_DIRNAME/../../deploy/chatty" "$@"; }

# refuses TEXT ARGUMENT…: chatty with these arguments fails and says so.
refuses() {
  local text=$1
  shift
  run chatty "$@"
  [[ $status != 0 && $output == *"$text"* ]] || wrong "chatty $*: status $status, $output"
}

# -- Users ------------------------------------------------------------------------------------------------------------

@test "an account that the operator makes can log in at once" {
  chatty user create "$(full_name made)" "$(email_of made)" --role moderator <<<"$PASSWORD"
  log_in made
  as made get /auth/me
  expect 200 '.role == "moderator" and .is_active == true and .post_count == 0'
}

@test "an account with a taken name, a flawed one or a password too short or too long is not made" {
  local count
  count=$(sql "SELECT count(*) FROM users")
  refuses 'taken' user create "$(full_name ada)" "other-$(email_of ada)" <<<"$PASSWORD"
  refuses 'taken' user create "other$(full_name ada)" "$(email_of ada)" <<<"$PASSWORD"
  refuses 'username' user create 'a b' "$(email_of new)" <<<"$PASSWORD"
  refuses '@' user create "$(full_name new)" nobody <<<"$PASSWORD"
  refuses 'password' user create "$(full_name new)" "$(email_of new)" <<<'short'
  refuses 'password' user create "$(full_name new)" "$(email_of new)" <<<"$(letters 73)"
  refuses 'password' user create "$(full_name new)" "$(email_of new)" </dev/null
  equal "$(sql "SELECT count(*) FROM users")" "$count"
}

@test "a user is shown by name, address or id, in any case, and never their hash" {
  local name
  for name in "$(full_name ada)" "$(full_name ada | tr "[:lower:]" "[:upper:]")" "$(email_of ada)" "--id=$(id_of ada)"; do
    run chatty user show "$name"
    [[ $status == 0 && $output == *"$(email_of ada)"* && $output != *\$2b\$* ]] || wrong "$output"
  done
  refuses 'no such user' user show "$(full_name nobody)"
}

@test "a name of digits is not taken for an id" {
  refuses 'no such user' user show "$(id_of ada)000000"
  sql "INSERT INTO users (username, email, hashed_password) VALUES ('$(id_of ada)000000', 'x$(email_of ada)', 'x')"
  chatty user verify "$(id_of ada)000000"
  refuses 'no such user' user show --id "$(id_of ada)000000"
}

@test "a block by the operator acts at once, is recorded, and can be taken back, for an admin too" {
  member chief
  appoint chief admin
  chatty user block "$(full_name chief)" --reason 'Lost a key'
  as chief get /auth/me
  expect_unauthenticated
  equal "$(sql "SELECT action, actor_id IS NULL, target, reason, outcome FROM moderation_actions WHERE target_id = $(id_of chief)")" \
    "block_user|t|$(full_name chief)|Lost a key|applied"
  chatty user unblock "$(full_name chief)"
  as chief get /auth/me
  expect 200 '.role == "admin"'
}

@test "roles are given and taken" {
  local role
  for role in moderator admin user; do
    chatty user promote --id "$(id_of ada)" --role "$role"
    as ada get /auth/me
    expect 200 ".role == \"$role\""
  done
  refuses 'role' user promote "$(full_name ada)" --role emperor
}

@test "an address can be taken for confirmed without a mail" {
  register unmailed
  chatty user verify "$(email_of unmailed)"
  log_in unmailed
}

@test "a password that the operator sets logs in, ends every session, and is bounded as everybody's" {
  member locked_out
  chatty user password "$(full_name locked_out)" <<<'set by the operator'
  as locked_out get /auth/me
  expect_unauthenticated
  post /auth/login "$(credentials locked_out)"
  expect_error 400 'Invalid credentials'
  log_in locked_out 'set by the operator'
  refuses 'password' user password "$(full_name locked_out)" <<<'short'
  refuses 'password' user password "$(full_name locked_out)" <<<"$(letters 73)"
  refuses 'no such user' user password "$(full_name nobody)" <<<'long enough'
  log_in locked_out 'set by the operator'
}

@test "a password that the operator sets makes the links under way worthless that could take the account" {
  member robbed
  local link token
  as robbed patch /auth/me "{\"current_password\": \"$PASSWORD\", \"email\": \"thief-$(email_of robbed)\"}"
  expect 200
  link=$(mailed "thief-$(email_of robbed)" "/auth/verify/$(id_of robbed)\\?token=[A-Za-z0-9_-]+")
  post /auth/password/forgot "{\"email\": \"$(email_of robbed)\"}"
  expect 200
  token=$(mailed "$(email_of robbed)" '/reset-password#[A-Za-z0-9_-]+')
  chatty user password "$(full_name robbed)" <<<'set by the operator'
  post "${link%%\?*}" "{\"token\": \"${link#*token=}\"}"
  expect_error 400 'Invalid or expired verification link'
  post /auth/password/reset "{\"token\": \"${token#*#}\", \"password\": \"set by the thief\"}"
  expect_error 400 'Invalid or expired reset token'
  equal "$(sql "SELECT email FROM users WHERE id = $(id_of robbed)")" "$(email_of robbed)"
  log_in robbed 'set by the operator'
}

@test "a login under way does not outlive a password that the operator sets, nor a logout" {
  local command
  for command in password logout; do
    resident "hasty_$command"
    # As a login does it.
    hold "WITH account AS (SELECT id FROM users WHERE id = $(id_of "hasty_$command") FOR SHARE)
      INSERT INTO sessions (user_id, refresh_hash, expires_at) SELECT id, sha256('$command'), now() + interval '30 days' FROM account RETURNING id"
    chatty user "$command" "$(full_name "hasty_$command")" <<<'set by the operator' 3>&- &
    local operator=$!
    eventually 10 waits_for_lock 1
    release COMMIT
    wait "$operator"
    equal "$(sql "SELECT count(*), count(ended_at) FROM sessions WHERE user_id = $(id_of "hasty_$command")")" '1|1' "sessions, and ended ones, after $command"
  done
}

@test "a user is logged out everywhere, and can log in again" {
  member wanderer
  log_in wanderer
  run chatty user logout "$(full_name wanderer)"
  [[ $status == 0 && $output == '2 sessions'* ]] || wrong "$output"
  as wanderer get /auth/me
  expect_unauthenticated
  run chatty user logout "$(full_name wanderer)"
  [[ $status == 0 && $output == '0 sessions'* ]] || wrong "$output"
  log_in wanderer
}

@test "an account that the operator deletes is gone with all that was theirs, its images too" {
  member leaving friend
  local key
  vips gaussnoise "$BATS_TEST_TMPDIR/noise.v" 40 30
  vips cast "$BATS_TEST_TMPDIR/noise.v" "$BATS_TEST_TMPDIR/noise.png" uchar
  as leaving call POST /posts '' --form title=x --form content=y --form "image=@$BATS_TEST_TMPDIR/noise.png"
  expect 200 '.post.image_url != null'
  key=$(sql "SELECT image_key FROM posts WHERE id = $(field .post.id)")
  [[ -n $(files_of "$key") ]]
  new_post friend
  as leaving post "/posts/$NEW_POST/likes"
  as leaving post "/subscribe/$(id_of friend)"
  run chatty user delete "$(full_name leaving)"
  [[ $status == 0 && $output == *"User $(id_of leaving) deleted"* ]] || wrong "$output"
  as leaving get /auth/me
  expect_unauthenticated
  get "/auth/users/$(id_of leaving)"
  expect_error 404 'User not found'
  get "/posts/$NEW_POST"
  expect 200 '.like_count == 0'
  get "/auth/users/$(id_of friend)"
  expect 200 '.follower_count == 0'
  eventually 20 has_no_files "$key"
  refuses 'no such user' user delete "$(full_name leaving)"
  # The address is free again, the name is not for a while.
  post /auth/register "$(account leaving)"
  expect_error 400 'Username already registered'
  post /auth/register "$(account leaving | jq -c '.username = "x\(.username | .[-28:])"')"
  expect 200
}

files_of() { find "$CHATTY_HOME/media" -type f -path "*$1*"; }
has_no_files() { [[ -z $(files_of "$1") ]]; }

# -- Keys -------------------------------------------------------------------------------------------------------------

@test "a key is rotated without anybody being logged out" {
  local before
  before=$(jq -r '.keys[0].kid' "$CHATTY_HOME/keys/jwks.json")
  chatty keys rotate
  get /auth/.well-known/jwks.json
  expect 200 ".keys[0].kid != \"$before\" and (.keys | any(.kid == \"$before\"))"
  as ada get /auth/me
  expect 200
  log_in ada
  as ada get /auth/me
  expect 200
  as ada get /feed
  expect 200
  equal "$(cut -d. -f1 <"$BATS_FILE_TMPDIR/ada.token" | basenc --base64url --decode 2>/dev/null | jq -r .kid)" \
    "$(jq -r '.keys[0].kid' "$CHATTY_HOME/keys/jwks.json")"
  equal "$(stat -c %a "$CHATTY_HOME/keys/private.pem")" 600
}

@test "of rotations at the same moment every key is published, and tokens of the last one count" {
  local n rotations=()
  for n in 1 2 3; do
    chatty keys rotate >"$BATS_TEST_TMPDIR/rotation$n" 3>&- &
    rotations+=($!)
  done
  for n in "${rotations[@]}"; do wait "$n"; done
  equal "$(sed -E 's/.* ([^ ]+)\.$/\1/' "$BATS_TEST_TMPDIR"/rotation? | sort)" \
    "$(jq -r '.keys[:3][].kid' "$CHATTY_HOME/keys/jwks.json" | sort)" 'the keys that were made'
  log_in ada
  as ada get /auth/me
  expect 200
  as ada get /feed
  expect 200
}

# -- Outbox -----------------------------------------------------------------------------------------------------------

@test "a mail that was given up is listed without its link, and sent when it is tried again" {
  local row
  row=$(sql "INSERT INTO outbox (kind, payload, attempts, last_error, dead_at)
    VALUES ('mail', jsonb_build_object('template', 'verify', 'to', '$(email_of ada)', 'username', '$(full_name ada)', 'user_id', $(id_of ada), 'token', 'a_secret'), 9, 'no way', now())
    RETURNING id")
  run chatty outbox list --dead
  [[ $status == 0 && $output == *"$row  mail"*'no way'* && $output != *a_secret* ]] || wrong "$output"
  chatty outbox retry "$row"
  [[ $(link_for ada) == *token=a_secret ]] || wrong 'another link'
  refuses "$row" outbox retry "$row"
}

@test "a mail that was given up can be removed, one that waits cannot" {
  local dead waiting
  dead=$(sql "INSERT INTO outbox (kind, payload, dead_at) VALUES ('mail', '{}', now()) RETURNING id")
  waiting=$(sql "INSERT INTO outbox (kind, payload, next_attempt_at) VALUES ('mail', '{}', now() + interval '1 hour') RETURNING id")
  refuses "$waiting" outbox drop "$dead" "$waiting"
  equal "$(sql "SELECT id FROM outbox WHERE id IN ($dead, $waiting)")" "$waiting"
  refuses 'numbers of rows' outbox drop
  sql "DELETE FROM outbox WHERE id = $waiting"
}

# -- Everything -------------------------------------------------------------------------------------------------------

@test "wrong counters are counted again" {
  new_post ada
  as ada post "/posts/$NEW_POST/likes"
  expect 200
  sql "UPDATE post_stats SET likes = 70, comments = 7 WHERE post_id = $NEW_POST"
  sql "UPDATE author_stats SET posts = 70, followers = 7, following = 7, last_post_id = NULL WHERE user_id = $(id_of ada)"
  chatty recount
  get "/posts/$NEW_POST"
  expect 200 '.like_count == 1 and .comment_count == 0'
  equal "$(sql "SELECT posts, followers, following, last_post_id FROM author_stats WHERE user_id = $(id_of ada)")" "1|0|0|$NEW_POST"
}

@test "the check says that a running stack is well" {
  run chatty check
  [[ $status == 0 && $output != *failed* ]] || wrong "$output"
  equal "$(sed -n 's/^ok  *\(.*\.sock\)$/\1/p' <<<"$output" | sort)" "$(cd "$CHATTY_HOME/run" && printf '%s\n' *.sock | grep -v '^nginx' | sort)" 'the pools that it asks'
}

@test "the check names a pool that is stopped" {
  sv -w 30 down "$CHATTY_HOME/service/uploads" >/dev/null
  run chatty check
  sv up "$CHATTY_HOME/service/uploads" >/dev/null
  [[ $status == 1 && $(grep -c '^failed' <<<"$output") == 1 && $output == *'failed  uploads.sock'* ]] || wrong "status $status, $output"
  eventually 20 is_ready uploads
}

is_ready() {
  ops "/readyz/$1"
  [[ $CODE == 200 ]]
}
