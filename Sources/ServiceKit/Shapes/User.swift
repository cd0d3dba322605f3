// A user as the API shows them to others, for every service that answers with users.

import Postgres

/// A user as everybody may see them. An e-mail address is not part of it.
public struct User: Encodable, RowDecodable {
  public let id: Int64
  public let username: String
  let createdAt: Timestamp
  let posts: Int64
  let followers: Int64
  let following: Int64

  /// The columns of a user: of `users u` joined with `author_stats a`.
  public static let columns: Query = "u.id, u.username, u.created_at, a.posts, a.followers, a.following"

  public init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    username = try row.next()
    createdAt = try row.next()
    posts = try row.next()
    followers = try row.next()
    following = try row.next()
  }

  private enum CodingKeys: String, CodingKey {
    case id
    case username
    case createdAt = "created_at"
    case posts = "post_count"
    case followers = "follower_count"
    case following = "following_count"
  }
}
