// The images of the outbox: files whose post is gone are removed.

import EventLoop
import Logging
import Media
import Postgres
import ServiceKit

/// Removes the files of images that nothing shows any more, at least once: that one is gone already is success.
///
/// A name comes into the outbox with the deletion of its post, whichever way that went, or from `pending_media`, when its post never came
/// to be. No name is ever used again, so there is nothing that could be removed too early.
@Worker
struct MediaDrain: Job {
  static let interval = Duration.seconds(5)

  /// Images of one claim: of an account that goes there may be thousands.
  private static let batch = 100

  private let store: MediaStore
  private let database: PostgresClient
  private let logger: Logger

  init(settings: Settings, database: PostgresClient, logger: Logger) {
    store = MediaStore(home: settings.home)
    self.database = database
    self.logger = logger
  }

  func work(until isStopping: @escaping @Worker () -> Bool) async {
    do throws(PostgresError) {
      try await Queries.giveUpPendingMedia(on: database)
      while !isStopping() {
        let claims = try await Queries.claimMedia(atMost: Self.batch, on: database)
        if claims.isEmpty { break }
        try await remove(claims)
      }
    } catch {
      logger.warning("outbox: \(error)")
    }
  }

  private func remove(_ claims: [MediaClaim]) async throws(PostgresError) {
    var removed: [Int64] = []
    for claim in claims {
      var problem: String?
      if let key = claim.key.flatMap(ImageKey.init) { problem = store.remove(key) } else { problem = "not the name of an image" }
      guard let problem else {
        removed.append(claim.id)
        continue
      }
      let isDead = try await Queries.failedMedia(claim.id, because: problem, on: database)
      logger.log(
        level: isDead ? .error : .warning, "image \(isDead ? "given up" : "not removed")",
        metadata: ["outbox_id": "\(claim.id)", "reason": "\(problem)"])
    }
    try await Queries.removedMedia(removed, on: database)
    logger.info("images removed", metadata: ["images": "\(removed.count)"])
  }
}

/// The name of an image whose files are to go.
private struct MediaClaim: RowDecodable {
  let id: Int64
  /// nil for a row that says none.
  let key: String?

  init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    key = try row.next()
  }
}

extension Queries {
  /// Images that were begun an hour ago and are no post's: what made them has died. Their names go into the outbox.
  fileprivate static func giveUpPendingMedia(on database: PostgresClient) async throws(PostgresError) {
    try await database.execute(
      """
      WITH given_up AS (
        DELETE FROM pending_media WHERE created_at < now() - interval '1 hour'
        RETURNING image_key
      )
      INSERT INTO outbox (kind, payload) SELECT 'media', jsonb_build_object('image_key', image_key) FROM given_up
      """)
  }

  /// Takes those that have waited longest. For two minutes they are nobody else's.
  fileprivate static func claimMedia(atMost limit: Int, on database: PostgresClient) async throws(PostgresError) -> [MediaClaim] {
    try await database.write(
      """
      WITH due AS (
        SELECT id FROM outbox
        WHERE kind = 'media' AND dead_at IS NULL AND next_attempt_at <= now()
        ORDER BY next_attempt_at
        LIMIT \(limit)
        FOR UPDATE SKIP LOCKED
      )
      UPDATE outbox SET attempts = attempts + 1, next_attempt_at = now() + interval '2 minutes'
      FROM due WHERE outbox.id = due.id
      RETURNING outbox.id, outbox.payload ->> 'image_key'
      """, as: MediaClaim.self)
  }

  fileprivate static func removedMedia(_ ids: [Int64], on database: PostgresClient) async throws(PostgresError) {
    try await database.execute("DELETE FROM outbox WHERE id = ANY (\(IDList(ids)))")
  }

  /// - Returns: whether it is dead now: after a day only `chatty outbox retry` brings it back.
  fileprivate static func failedMedia(
    _ id: Int64, because problem: String, on database: PostgresClient
  ) async throws(PostgresError) -> Bool {
    try await database.writeOne(
      """
      UPDATE outbox SET
        last_error = \(problem),
        next_attempt_at = now() + least(interval '1 hour', interval '10 seconds' * 2 ^ least(attempts - 1, 10)),
        dead_at = CASE WHEN created_at < now() - interval '1 day' THEN now() END
      WHERE id = \(id)
      RETURNING dead_at IS NOT NULL
      """, as: Bool.self) ?? false
  }
}
