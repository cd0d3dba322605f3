// What chatty-posts is sent, and the bodies of its answers. The shape of a post itself is ServiceKit's.

import ServiceKit

/// What a post is made of.
struct NewPost {
  let title: String
  let content: String
}

struct PostReply: Encodable {
  let message: String
  let post: Post
}

struct CommentReply: Encodable {
  let message = "Comment added"
  let comment: Comment
}

struct Comment: Encodable, RowDecodable {
  let id: Int64
  let content: String
  let postID: Int64
  let userID: Int64
  let username: String
  let createdAt: Timestamp

  /// The columns of a comment `c` by `u`.
  static let columns: Query = "c.id, c.content, c.post_id, c.user_id, u.username, c.created_at"

  init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    content = try row.next()
    postID = try row.next()
    userID = try row.next()
    username = try row.next()
    createdAt = try row.next()
  }

  private enum CodingKeys: String, CodingKey {
    case id
    case content
    case postID = "post_id"
    case userID = "user_id"
    case username
    case createdAt = "created_at"
  }
}

/// Who likes a post, and since when.
struct Like: Encodable, RowDecodable {
  let userID: Int64
  let username: String
  let createdAt: Timestamp

  /// The columns of a like `l` by `u`.
  static let columns: Query = "l.user_id, u.username, l.created_at"

  init(row: inout RowReader) throws(PostgresError) {
    userID = try row.next()
    username = try row.next()
    createdAt = try row.next()
  }

  private enum CodingKeys: String, CodingKey {
    case userID = "user_id"
    case username
    case createdAt = "created_at"
  }
}
