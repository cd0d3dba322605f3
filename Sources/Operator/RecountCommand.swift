// `chatty recount`: counters that are wrong, for example after rows were changed by hand.

import ArgumentParser
import EventLoop
import Postgres

struct RecountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recount",
    abstract: "Counts likes, comments, posts, subscriptions and the room of images again and mends the counters that are wrong.",
    discussion: "The services go on meanwhile: what is liked or written while it runs is counted exactly once.")

  func run() throws {
    try withDatabase(statementTimeout: .seconds(600)) { database in
      try await Recount.addMissingRows(on: database)
      let posts = try await Recount.mend(Recount.posts, on: database)
      let authors = try await Recount.mend(Recount.authors, on: database)
      print("Mended the counters of \(posts) posts and \(authors) users.")
    }
  }
}

/// Counting again under load. What is hidden does not count, as far as its flag says so (sql/0030_hidden.sql).
///
/// A batch first locks its counter rows and then counts, in a second statement, with a snapshot taken after the locks. Whoever
/// adds or removes a row changes its counter in the same transaction: it has either committed before the lock, and is counted,
/// or waits for the lock, is not seen, and counts itself afterwards. So each is counted once, and no table is locked. Rows
/// are locked by id, as everybody locks them (sql/0004_counters.sql), so nothing deadlocks.
@Worker
enum Recount {
  /// Which counters: how to lock the next batch of them after an id, and how to mend one batch.
  struct Counters: Sendable {
    let lock: @Sendable (_ after: Int64) -> Query
    let mend: @Sendable (_ ids: [Int64]) -> Query
  }

  static func addMissingRows(on database: PostgresClient) async throws(PostgresError) {
    try await database.execute("INSERT INTO post_stats (post_id) SELECT id FROM posts ON CONFLICT DO NOTHING")
    try await database.execute("INSERT INTO author_stats (user_id) SELECT id FROM users WHERE deleted_at IS NULL ON CONFLICT DO NOTHING")
  }

  static let posts = Counters(
    lock: { after in
      "SELECT post_id FROM post_stats WHERE post_id > \(after) ORDER BY post_id LIMIT 500 FOR NO KEY UPDATE"
    },
    mend: { ids in
      """
      UPDATE post_stats s SET likes = c.likes, comments = c.comments
      FROM (
        SELECT b.id,
               (SELECT count(*) FROM likes l WHERE l.post_id = b.id AND NOT l.hidden) AS likes,
               (SELECT count(*) FROM comments c WHERE c.post_id = b.id AND NOT c.hidden) AS comments
        FROM unnest(\(IDList(ids))) AS b(id)
      ) c
      WHERE s.post_id = c.id AND (s.likes, s.comments) IS DISTINCT FROM (c.likes, c.comments)
      RETURNING s.post_id
      """
    })

  static let authors = Counters(
    lock: { after in
      "SELECT user_id FROM author_stats WHERE user_id > \(after) ORDER BY user_id LIMIT 500 FOR NO KEY UPDATE"
    },
    mend: { ids in
      """
      UPDATE author_stats s SET last_post_id = c.last_post_id, posts = c.posts, followers = c.followers, following = c.following,
        media_bytes = c.media_bytes
      FROM (
        SELECT b.id,
               (SELECT max(p.id) FROM posts p WHERE p.user_id = b.id) AS last_post_id,
               (SELECT count(*) FROM posts p WHERE p.user_id = b.id) AS posts,
               (SELECT count(*) FROM subscriptions f WHERE f.following_id = b.id AND NOT f.follower_hidden) AS followers,
               (SELECT count(*) FROM subscriptions f WHERE f.follower_id = b.id AND NOT f.following_hidden) AS following,
               (SELECT coalesce(sum(p.image_bytes), 0) FROM posts p WHERE p.user_id = b.id)
                 + (SELECT coalesce(sum(m.reserved), 0) FROM pending_media m WHERE m.user_id = b.id) AS media_bytes
        FROM unnest(\(IDList(ids))) AS b(id)
      ) c
      WHERE s.user_id = c.id
        AND (s.last_post_id, s.posts, s.followers, s.following, s.media_bytes)
          IS DISTINCT FROM (c.last_post_id, c.posts, c.followers, c.following, c.media_bytes)
      RETURNING s.user_id
      """
    })

  /// - Returns: how many rows were wrong.
  static func mend(_ counters: Counters, on database: PostgresClient) async throws(PostgresError) -> Int {
    var mended = 0
    var last: Int64 = 0
    while let batch = try await mendBatch(counters, after: last, on: database) {
      mended += batch.mended
      last = batch.last
    }
    return mended
  }

  /// One batch, in a transaction of its own.
  private static func mendBatch(
    _ counters: Counters, after last: Int64, on database: PostgresClient
  ) async throws(PostgresError) -> (last: Int64, mended: Int)? {
    try await database.transaction { transaction async throws(PostgresError) -> (last: Int64, mended: Int)? in
      let ids = try await transaction.all(counters.lock(last), as: Int64.self)
      guard let last = ids.last else { return nil }
      return (last, try await transaction.all(counters.mend(ids), as: Int64.self).count)
    }
  }
}
