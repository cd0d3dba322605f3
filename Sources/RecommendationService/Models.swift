// The bodies of chatty-recommendations' answers. The shape of a post is ServiceKit's.

import ServiceKit

struct RecommendationReply: Encodable {
  let message: String
  let posts: [Recommendation]
}

/// A post, and why it is recommended: the members of the post and two more.
struct Recommendation: Encodable, RowDecodable {
  let post: Post
  /// The sum of the similarities of the neighbours who like it; 0 where it is only popular.
  let score: Double
  /// `similar_users` or `popular`.
  let reason: String

  init(row: inout RowReader) throws(PostgresError) {
    post = try Post(row: &row)
    score = try row.next()
    reason = try row.next()
  }

  private enum CodingKeys: String, CodingKey {
    case score
    case reason
  }

  func encode(to encoder: any Encoder) throws {
    try post.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(score, forKey: .score)
    try container.encode(reason, forKey: .reason)
  }
}
