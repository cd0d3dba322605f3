// What chatty-feed answers: following, unfollowing, and the feed of what the followed write.

import ServiceKit

enum FeedService: ServiceDefinition {
  static let name = "feed"

  static let routes: [Route] = [
    .post("/subscribe/{user_id}", subscribe, caller: .user),
    .delete("/unsubscribe/{user_id}", unsubscribe, caller: .user),
    .get("/feed", feed, caller: .user),
  ]
}
