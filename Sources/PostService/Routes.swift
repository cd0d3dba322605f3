// What chatty-posts answers: posts, their comments, likes and reports, and whose images may be seen.

import Media
import ServiceKit

enum PostService: ServiceDefinition {
  static let name = "posts"

  static func prepare(_ settings: Settings) throws(SettingError) {
    BoundedProcess.sandbox = settings.imageSandbox ? .namespaces : .none
  }

  static let routes: [Route] = [
    .get("/posts", list, caller: .optional),
    .post("/posts", create, caller: .user),
    .get("/posts/{post_id}", show, caller: .optional),
    .patch("/posts/{post_id}", update, caller: .user),
    .delete("/posts/{post_id}", delete, caller: .user),
    .post("/posts/{post_id}/comments", comment, caller: .user),
    .get("/posts/{post_id}/comments", listComments),
    .delete("/posts/{post_id}/comments/{comment_id}", deleteComment, caller: .user),
    .post("/posts/{post_id}/likes", like, caller: .user),
    .get("/posts/{post_id}/likes", listLikes),
    .delete("/posts/{post_id}/likes", unlike, caller: .user),
    .post("/posts/{post_id}/reports", report, caller: .user),
    .get("/-/media/{image_key}", permitImage),
  ]
}
