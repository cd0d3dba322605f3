// What time alone makes superfluous is removed, once in a while.

import EventLoop
import Logging
import Postgres

/// Removes what has expired, at the start and then every ten minutes. Several workers may do so at once: a row goes once.
@Worker
final class Sweep {
  private static let interval = Duration.seconds(600)

  private let database: PostgresClient
  private let logger: Logger
  private var nextTime = Instant.now

  init(database: PostgresClient, logger: Logger) {
    self.database = database
    self.logger = logger
  }

  /// Does what is due. What fails is tried again the next time.
  func sweepIfDue() async {
    guard Instant.now >= nextTime else { return }
    nextTime = Instant.now.advanced(by: Self.interval)
    do throws(PostgresError) {
      // In pieces, so that no statement takes long.
      while try await Queries.removeIdempotencyKeys(atMost: 1000, on: database) == 1000 {}
    } catch {
      logger.warning("sweep: \(error)")
    }
  }
}

extension Queries {
  /// Removes answers that are kept for a repetition and are older than a day.
  ///
  /// - Returns: how many.
  fileprivate static func removeIdempotencyKeys(atMost limit: Int, on database: PostgresClient) async throws(PostgresError) -> Int {
    try await database.write(
      """
      DELETE FROM idempotency_keys k USING (
        SELECT user_id, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours' ORDER BY created_at LIMIT \(limit)
      ) old
      WHERE k.user_id = old.user_id AND k.key = old.key AND k.created_at < now() - interval '24 hours'
      RETURNING k.user_id
      """, as: Int64.self
    ).count
  }
}
