// The bodies of chatty-feed's answers. The shape of a post is ServiceKit's.

import ServiceKit

struct Feed: Encodable {
  let message: String
  let posts: [Post]
}
