#!/usr/bin/env bats
# Who gives roles to whom.

load support

setup_file() {
  member admin moderator user
  appoint admin admin
  appoint moderator moderator
}

# set_role ACTOR TARGET ROLE
set_role() {
  as "$1" put "/admin/users/$(id_of "$2")/role" "{\"role\": \"$3\"}"
}

@test "an admin makes a user a moderator, an admin and a user again, at once and on record" {
  member climber
  local climber
  climber=$(id_of climber)
  new_post user
  as climber delete "/admin/posts/$NEW_POST"
  expect_error 403 'Admin role required'

  set_role admin climber moderator
  expect 200 "{\"message\": \"User $climber is now moderator\"}"
  as climber delete "/admin/posts/$NEW_POST"
  expect 200
  as climber get /admin/stats
  expect_error 403 'Admin role required'

  set_role admin climber user
  expect 200 "{\"message\": \"User $climber is now user\"}"
  as climber delete "/admin/posts/$NEW_POST"
  expect_error 403 'Admin role required'

  set_role admin climber admin
  expect 200 "{\"message\": \"User $climber is now admin\"}"
  as climber get /admin/stats
  expect 200
  equal "$(sql "SELECT string_agg(role, ' ' ORDER BY id) FROM moderation_actions
    WHERE action = 'set_role' AND target_id = $climber AND actor_id = $(id_of admin) AND outcome = 'applied'")" 'moderator user admin'

  # Now they are equals.
  set_role admin climber user
  expect_error 403 'Cannot act on this user'
  as climber get /admin/stats
  expect 200
}

@test "nobody changes their own role, and only an admin another's" {
  set_role admin admin user
  expect_error 403 'Cannot act on this user'
  as admin get /admin/stats
  expect 200
  local actor
  for actor in moderator user; do
    set_role "$actor" user admin
    expect_error 403 'Admin role required'
    set_role "$actor" "$actor" admin
    expect_error 403 'Admin role required'
  done
  put "/admin/users/$(id_of user)/role" '{"role": "admin"}'
  expect_unauthenticated
  as user get /auth/me
  expect 200 '.role == "user"'
}

@test "a role is one of three, and its user is there" {
  as admin put "/admin/users/$(id_of user)/role" '{"role": "root"}'
  expect_invalid body.role:literal_error
  as admin put "/admin/users/$(id_of user)/role" '{"role": null}'
  expect_invalid body.role:string_type
  as admin put "/admin/users/$(id_of user)/role" '{}'
  expect_invalid body.role:missing
  as admin put /admin/users/0/role '{}'
  expect_invalid path.user_id:greater_than body.role:missing
  as admin put /admin/users/9223372036854775807/role '{"role": "moderator"}'
  expect_error 404 'User not found'
  equal "$(sql "SELECT outcome, role FROM moderation_actions WHERE target_id = 9223372036854775807 AND action = 'set_role' ORDER BY id DESC LIMIT 1")" \
    'missing|moderator'
}
