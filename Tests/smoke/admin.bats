#!/usr/bin/env bats
# Moderation: who may, what it does, and what is kept of it.

load support

setup_file() {
  member admin moderator user other_admin
  appoint admin admin
  appoint other_admin admin
  appoint moderator moderator
}

# audit: the newest entry of the audit log about one target, as "action outcome actor reason".
audit() {
  sql "SELECT action, outcome, coalesce(reason, '') FROM moderation_actions
       WHERE target_id = $1 AND actor_id = $(id_of "$2") ORDER BY id DESC LIMIT 1"
}

@test "a blocked user cannot log in, all their tokens are dead at once, and what they wrote is hidden" {
  member victim
  local victim token
  victim=$(id_of victim) token=$(token_of victim)
  log_in victim
  new_post victim
  as admin post "/admin/users/$victim/block" '{"reason": "Spam"}'
  expect 200 "{\"message\": \"User $victim blocked\"}"
  equal "$(audit "$victim" admin)" 'block_user|applied|Spam'

  as victim get /auth/me
  expect_unauthenticated
  as victim post "/posts/$NEW_POST/comments" '{"content": "I am still here"}'
  expect_unauthenticated
  as victim get /recommendations
  expect_unauthenticated
  bearing "$token" get /feed
  expect_unauthenticated
  post /auth/login "$(account victim | jq -c 'del(.email)')"
  expect_error 400 'Account blocked'
  get "/posts/$NEW_POST"
  expect_error 404 'Post not found'

  as admin delete "/admin/users/$victim/block"
  expect 200 "{\"message\": \"User $victim unblocked\"}"
  equal "$(audit "$victim" admin)" 'unblock_user|applied|'
  get "/posts/$NEW_POST"
  expect 200
  as victim get /auth/me
  expect 200 '.is_active'
}

@test "a block needs neither a reason nor a body, and its reason must be a text" {
  member quiet
  as admin post "/admin/users/$(id_of quiet)/block" '{"reason": 7}'
  expect_invalid body.reason:string_type
  as admin post "/admin/users/$(id_of quiet)/block"
  expect 200 "{\"message\": \"User $(id_of quiet) blocked\"}"
  as admin delete "/admin/users/$(id_of quiet)/block"
  expect 200
  as admin post "/admin/users/$(id_of quiet)/block" '{}'
  expect 200 "{\"message\": \"User $(id_of quiet) blocked\"}"
  as admin post "/admin/users/$(id_of quiet)/block" '{"reason": null}'
  expect 200
}

@test "lifting a block leaves an account that was never verified unverified" {
  resident unverified
  sql "UPDATE users SET verified_at = NULL WHERE id = $(id_of unverified)"
  as admin post "/admin/users/$(id_of unverified)/block"
  expect 200
  as admin delete "/admin/users/$(id_of unverified)/block"
  expect 200
  equal "$(sql "SELECT verified_at IS NULL, blocked_at IS NULL FROM users WHERE id = $(id_of unverified)")" 't|t'
}

@test "nobody acts on an equal, a higher role or on themselves" {
  local target
  for target in admin other_admin; do
    as admin post "/admin/users/$(id_of "$target")/block"
    expect_error 403 'Cannot act on this user'
    equal "$(sql "SELECT is_active FROM users WHERE id = $(id_of "$target")")" t
  done
  member promoted
  as admin post "/admin/users/$(id_of moderator)/block"
  expect 200
  as admin delete "/admin/users/$(id_of moderator)/block"
  expect 200
}

@test "a target that is not there is 404, and the attempt is kept" {
  local path
  as admin post /admin/users/9223372036854775807/block '{"reason": "Ghost"}'
  expect_error 404 'User not found'
  equal "$(audit 9223372036854775807 admin)" 'block_user|missing|Ghost'
  as admin delete /admin/users/9223372036854775807/block
  expect_error 404 'User not found'
  equal "$(audit 9223372036854775807 admin)" 'unblock_user|missing|'
  as admin delete /admin/posts/9223372036854775807
  expect_error 404 'Post not found'
  equal "$(audit 9223372036854775807 admin)" 'delete_post|missing|'
  as admin delete /admin/comments/9223372036854775807
  expect_error 404 'Comment not found'
  equal "$(audit 9223372036854775807 admin)" 'delete_comment|missing|'
}

@test "an admin and a moderator delete posts and comments, and the counters follow" {
  local moderator post comment
  for moderator in admin moderator; do
    new_post user
    post=$NEW_POST
    new_comment user "$post"
    comment=$NEW_COMMENT
    as user post "/posts/$post/likes"
    expect 200

    as "$moderator" delete "/admin/comments/$comment"
    expect 200 "{\"message\": \"Comment $comment deleted\"}"
    equal "$(audit "$comment" "$moderator")" 'delete_comment|applied|'
    get "/posts/$post"
    expect 200 '.comment_count == 0 and .like_count == 1'

    as "$moderator" delete "/admin/posts/$post"
    expect 200 "{\"message\": \"Post $post deleted\"}"
    equal "$(audit "$post" "$moderator")" 'delete_post|applied|'
    get "/posts/$post"
    expect_error 404 'Post not found'
    get "/auth/users/$(id_of user)"
    expect 200 '.post_count == 0'
    as "$moderator" delete "/admin/posts/$post"
    expect_error 404 'Post not found'
  done
}

@test "what an admin has written a moderator does not delete; what their equals have they do" {
  local role
  for role in admin other_admin; do
    new_post "$role"
    new_comment "$role" "$NEW_POST"
    as moderator delete "/admin/comments/$NEW_COMMENT"
    expect_error 403 'Cannot act on this user'
    equal "$(audit "$NEW_COMMENT" moderator)" 'delete_comment|forbidden|'
    as moderator delete "/admin/posts/$NEW_POST"
    expect_error 403 'Cannot act on this user'
    equal "$(audit "$NEW_POST" moderator)" 'delete_post|forbidden|'
    get "/posts/$NEW_POST"
    expect 200 '.comment_count == 1'
    as admin delete "/admin/comments/$NEW_COMMENT"
    expect 200
    as admin delete "/admin/posts/$NEW_POST"
    expect 200
  done
  member peer
  appoint peer moderator
  new_post peer
  as moderator delete "/admin/posts/$NEW_POST"
  expect 200
  new_post moderator
  as moderator delete "/admin/posts/$NEW_POST"
  expect 200
}

# every_route: each admin route of a harmless target, as METHOD PATH.
every_route() {
  printf '%s\n' "POST /admin/users/$(id_of user)/block" "DELETE /admin/users/$(id_of user)/block" \
    "DELETE /admin/posts/$1" "DELETE /admin/comments/$2" 'GET /admin/stats'
}

@test "a user may nothing of this, and nobody without a token" {
  new_post user
  new_comment user "$NEW_POST"
  local method path
  while read -r method path; do
    as user call "$method" "$path"
    expect_error 403 'Admin role required'
    call "$method" "$path"
    expect_unauthenticated
  done < <(every_route "$NEW_POST" "$NEW_COMMENT")
  as user get /auth/me
  expect 200
  get "/posts/$NEW_POST"
  expect 200 '.comment_count == 1'
}

@test "a moderator touches content only, not people and figures" {
  local method path
  while read -r method path; do
    if [[ $path == /admin/users/* || $path == /admin/stats ]]; then
      as moderator call "$method" "$path"
      expect_error 403 'Admin role required'
    fi
  done < <(every_route 1 1)
  as user get /auth/me
  expect 200
}

@test "a role that is taken away is gone on the next request" {
  member former
  appoint former admin
  as former get /admin/stats
  expect 200
  appoint former user
  as former get /admin/stats
  expect_error 403 'Admin role required'
}

@test "the figures are those of the database" {
  as admin get /admin/stats
  expect 200 '.message == "Activity stats"' "$(sql "SELECT '.stats | .total_users == ' || (SELECT count(*) FROM users WHERE deleted_at IS NULL)
    || ' and .active_users == ' || (SELECT count(*) FROM users WHERE verified_at IS NOT NULL AND blocked_at IS NULL)
    || ' and .total_posts == ' || (SELECT count(*) FROM posts) || ' and .total_comments == ' || (SELECT count(*) FROM comments)
    || ' and .total_likes == ' || (SELECT count(*) FROM likes) || ' and .total_subscriptions == ' || (SELECT count(*) FROM subscriptions)
    || ' and .open_reports == ' || (SELECT count(*) FROM reports WHERE resolved_at IS NULL)")"
  equal "$(sql "SELECT action FROM moderation_actions WHERE actor_id = $(id_of admin) ORDER BY id DESC LIMIT 1")" view_stats
}

@test "a caller cannot write somebody else into the audit log" {
  member framed
  as admin post "/admin/users/$(id_of framed)/block" "{\"actor_id\": $(id_of user), \"actor\": \"x\", \"action\": \"set_role\", \"outcome\": \"missing\", \"created_at\": \"2001-01-01T00:00:00Z\"}"
  expect 200
  equal "$(sql "SELECT actor_id, actor, action, outcome, created_at > now() - interval '1 minute' FROM moderation_actions
    WHERE target_id = $(id_of framed) ORDER BY id DESC LIMIT 1")" "$(id_of admin)|$(full_name admin)|block_user|applied|t"
}
