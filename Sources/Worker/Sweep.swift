// What time alone makes superfluous is removed, once in a while.

import EventLoop
import Logging
import Postgres

/// Removes what has expired. Several workers may do so at once: a row goes once.
@Worker
struct Sweep: Job {
  static let interval = Duration.seconds(600)

  /// Rows of one statement, so that none takes long.
  private static let batch = 1000

  /// For so long nobody else gets the name of a deleted account, in days.
  private static let nameDays = 90

  /// Days after which accounts that nobody has confirmed are removed; 0: never.
  let unverifiedDays: Int
  let database: PostgresClient
  let logger: Logger

  func work(until isStopping: @escaping @Worker () -> Bool) async {
    await remove("idempotency_keys", by: "user_id, key", where: "created_at < now() - interval '24 hours'", until: isStopping)
    await remove("registration_keys", by: "request", where: "created_at < now() - interval '24 hours'", until: isStopping)
    await remove("throttles", by: "kind, subject", where: "resets_at < now()", until: isStopping)
    // Before the links: an account is known by the link of its registration.
    if unverifiedDays > 0 {
      await sweep("users", until: isStopping) { () throws(PostgresError) in
        let removed = try await database.writeOne(
          "SELECT remove_abandoned_accounts(\(unverifiedDays) * interval '1 day', \(Self.batch))", as: Int64.self)
        return Int(removed ?? 0)
      }
    }
    await sweep("users", until: isStopping) { () throws(PostgresError) in
      let removed = try await database.writeOne(
        "SELECT remove_deleted_accounts(\(Self.nameDays) * interval '1 day', \(Self.batch))", as: Int64.self)
      return Int(removed ?? 0)
    }
    // An ended session is kept for a month: what was done in it may have to be looked into.
    await remove("sessions", by: "id", where: "least(ended_at, expires_at) < now() - interval '30 days'", until: isStopping)
    // Somebody who has not been at a place for half a year is a stranger there.
    await remove("login_places", by: "user_id, network", where: "last_login_at < now() - interval '180 days'", until: isStopping)
    // A used link is kept for good: to open it again says that the account is verified.
    await remove(
      "email_tokens", by: "user_id, created_at", where: "used_at IS NULL AND expires_at < now() - interval '30 days'", until: isStopping)
  }

  private func remove(_ table: Query, by key: Query, where hasExpired: Query, until isStopping: @Worker () -> Bool) async {
    await sweep(table.sql, until: isStopping) { () throws(PostgresError) in
      // The condition stands there twice, for a row that has changed since it was found.
      try await database.write(
        """
        DELETE FROM \(table)
        WHERE (\(key)) IN (SELECT \(key) FROM \(table) WHERE \(hasExpired) LIMIT \(Self.batch)) AND \(hasExpired)
        RETURNING true
        """, as: Bool.self
      ).count
    }
  }

  /// Removes batch after batch until one is not full. What fails is tried again the next time.
  ///
  /// - Parameter removeBatch: removes so many rows at most and gives how many it has removed.
  private func sweep(
    _ table: String, until isStopping: @Worker () -> Bool, _ removeBatch: @Worker () async throws(PostgresError) -> Int
  ) async {
    var removed = 0
    do throws(PostgresError) {
      while !isStopping() {
        let count = try await removeBatch()
        removed += count
        if count < Self.batch { break }
      }
    } catch {
      logger.warning("sweep: \(error)")
    }
    if removed > 0 { logger.info("swept", metadata: ["table": "\(table)", "rows": "\(removed)"]) }
  }
}
