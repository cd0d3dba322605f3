// What chatty-admin answers: moderation and figures.

import ServiceKit

enum AdminService: ServiceDefinition {
  static let name = "admin"

  static let routes: [Route] = [
    .post("/admin/users/{user_id}/block", block, caller: .user),
    .delete("/admin/users/{user_id}/block", unblock, caller: .user),
    .put("/admin/users/{user_id}/role", setRole, caller: .user),
    .delete("/admin/posts/{post_id}", deletePost, caller: .user),
    .delete("/admin/comments/{comment_id}", deleteComment, caller: .user),
    .get("/admin/stats", stats, caller: .user),
  ]
}
