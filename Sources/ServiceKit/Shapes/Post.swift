// A post as the API shows it. Several services answer with posts, and none imports another: the shape and the SQL that it is read
// with are here, once.

import Postgres

/// A post, as everybody may see it.
public struct Post: Encodable, RowDecodable {
  public let id: Int64
  let title: String
  let content: String
  let imageFilename: String?
  let imageURL: String?
  let thumbnailURL: String?
  let imageAlt: String?
  let userID: Int64
  let username: String
  let createdAt: Timestamp
  let updatedAt: Timestamp?
  let likes: Int64
  let comments: Int64
  let isLikedByReader: Bool

  /// Grows with every edit: the time of the last one, 0 before the first.
  public var version: Int64 { updatedAt?.microseconds ?? 0 }

  /// The same of a row of `posts`.
  public static let versionColumn: Query =
    "coalesce((extract(epoch FROM posts.updated_at - timestamptz '2000-01-01 00:00:00Z') * 1000000)::bigint, 0)"

  /// Where posts are read from: `posts p`, with its author `u` and its counters `s`. A blocked author's posts are not among them.
  ///
  /// For `FROM \(Post.visible) WHERE p.id = …`, and in parentheses for a join.
  public static let visible: Query = """
    posts p JOIN users u ON u.id = p.user_id AND u.blocked_at IS NULL JOIN post_stats s ON s.post_id = p.id
    """

  /// The same joins for lists, which go through posts `p` one by one in the order of an index until the page is full: no other plan is
  /// possible. A join could be done by merging with all that is between two posts of the page, and hidden posts may be there by the thousand.
  public static let ownerAndCounters: Query = """
    CROSS JOIN LATERAL (SELECT username FROM users WHERE id = p.user_id AND blocked_at IS NULL LIMIT 1) u \
    CROSS JOIN LATERAL (SELECT likes, comments FROM post_stats WHERE post_id = p.id LIMIT 1) s
    """

  /// The ids of the newest posts below the page's cursor by `authors (user_id, last_post_id)`: those k of all who may be meant with the newest
  /// last posts below it. The k newest posts of all can only be by them.
  public static func newestByAuthors(_ page: Page) -> Query {
    """
    SELECT newest.id
    FROM authors CROSS JOIN LATERAL (
      SELECT id FROM posts
      -- There are k posts already that are no older than the oldest of these last posts.
      WHERE user_id = authors.user_id AND id < \(page.before)
        AND id >= (SELECT CASE WHEN count(*) < \(page.fetch) THEN 0 ELSE min(last_post_id) END FROM authors)
      ORDER BY id DESC
      LIMIT \(page.fetch)
    ) newest
    ORDER BY newest.id DESC
    LIMIT \(page.fetch)
    """
  }

  /// The columns of a post, of `visible` or of the same aliases.
  ///
  /// - Parameter reader: who asks; they learn whether they like it.
  public static func columns(for reader: Caller) -> Query {
    // Not EXISTS: for that the planner would rather read everything that the reader likes, once for all the posts.
    """
    \(ownColumns), s.likes, s.comments, \
    coalesce((SELECT true FROM likes l WHERE l.user_id = \(reader.userID) AND l.post_id = p.id), false)
    """
  }

  /// The columns of a post `p` that its author `u` adds in the same statement, which does not see its counters yet.
  public static let columnsWhenAdded: Query = "\(ownColumns), 0, 0, false"

  private static let ownColumns: Query = """
    p.id, p.title, p.content, p.image_filename, p.image_key, p.image_alt, p.user_id, u.username, p.created_at, p.updated_at
    """

  public init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    title = try row.next()
    content = try row.next()
    imageFilename = try row.next()
    let imageKey: String? = try row.next()
    imageURL = imageKey.map { "/media/\($0)" }
    thumbnailURL = imageKey.map { "/media/thumbnails/\($0)" }
    imageAlt = try row.next()
    userID = try row.next()
    username = try row.next()
    createdAt = try row.next()
    updatedAt = try row.next()
    likes = try row.next()
    comments = try row.next()
    isLikedByReader = try row.next()
  }

  private enum CodingKeys: String, CodingKey {
    case id
    case title
    case content
    case imageFilename = "image_filename"
    case imageURL = "image_url"
    case thumbnailURL = "thumbnail_url"
    case imageAlt = "image_alt"
    case userID = "user_id"
    case username
    case createdAt = "created_at"
    case updatedAt = "updated_at"
    case likes = "like_count"
    case comments = "comment_count"
    case isLikedByReader = "liked_by_me"
  }
}
