// The outbox as chatty-worker sees it: claim a row, then say what became of it.

import EventLoop
import Mail
import Postgres

/// A mail that this worker is to send, before anybody else may.
struct Claim: RowDecodable {
  let id: Int64
  let payload: String
  let createdAt: Timestamp
  /// This attempt included.
  let attempts: Int64
  /// Of all claims there ever were: by it a claim that has run out is told from the next one.
  let number: Int64

  static let columns: Query = "outbox.id, outbox.payload::text, outbox.created_at, outbox.attempts, outbox.claim"

  init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    payload = try row.next()
    createdAt = try row.next()
    attempts = try row.next()
    number = try row.next()
  }
}

@Worker
enum Queries {
  /// Takes the mail that has waited longest. For two minutes it is nobody else's: a worker that dies with it leaves it to the
  /// next one after that, and one that takes longer renews its claim. No lock is held while the mail is sent, so a slow mail server
  /// keeps no transaction open.
  static func claim(on database: PostgresClient) async throws(PostgresError) -> Claim? {
    try await database.writeOne(
      """
      WITH due AS (
        SELECT id FROM outbox
        WHERE kind = 'mail' AND dead_at IS NULL AND next_attempt_at <= now()
        ORDER BY next_attempt_at
        LIMIT 1
        FOR UPDATE SKIP LOCKED
      )
      UPDATE outbox SET attempts = attempts + 1, next_attempt_at = now() + interval '2 minutes', claim = nextval('outbox_claims')
      FROM due WHERE outbox.id = due.id
      RETURNING \(Claim.columns)
      """, as: Claim.self)
  }

  /// Puts a letter in the place of a request for one, if there is an account that it is for.
  static func answer(_ request: Claim, on database: PostgresClient) async throws(PostgresError) {
    _ = try await database.writeOne("SELECT answer_mail_request(\(request.id), \(request.number))", as: Bool.self)
  }

  /// Unless somebody else has claimed it since.
  static func renew(_ claim: Claim, on database: PostgresClient) async throws(PostgresError) {
    try await database.execute(
      "UPDATE outbox SET next_attempt_at = now() + interval '2 minutes' WHERE id = \(claim.id) AND claim = \(claim.number)")
  }

  static func delivered(_ id: Int64, on database: PostgresClient) async throws(PostgresError) {
    try await database.execute("DELETE FROM outbox WHERE id = \(id)")
  }

  /// The next attempt comes after 10 s, 20 s, 40 s, …: at most an hour for a mail that was deferred, five minutes when none could
  /// leave, since that may be over at any time. A mail that is a day old, or refused for good, gets none.
  ///
  /// - Returns: whether the mail is dead now: only `chatty outbox retry` brings it back.
  static func failed(_ claim: Claim, because error: MailError, on database: PostgresClient) async throws(PostgresError) -> Bool {
    let (isFinal, longest): (Bool, Query) =
      switch error {
      case .invalidAddress, .refused: (true, "interval '1 hour'")
      case .deferred: (false, "interval '1 hour'")
      case .unavailable: (false, "interval '5 minutes'")
      }
    return try await database.writeOne(
      """
      UPDATE outbox SET
        last_error = \(error.description),
        claim = NULL,
        next_attempt_at = now() + least(\(longest), interval '10 seconds' * 2 ^ least(attempts - 1, 10)),
        dead_at = CASE WHEN \(isFinal) OR created_at < now() - interval '1 day' THEN now() END
      WHERE id = \(claim.id) AND claim = \(claim.number)
      RETURNING dead_at IS NOT NULL
      """, as: Bool.self) ?? false
  }
}
