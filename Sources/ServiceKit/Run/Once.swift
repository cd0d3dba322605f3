// Idempotency-Key: a request that is sent again, because its answer was lost, is not done again.

import Crypto
import EventLoop
import FastCGI
import Postgres

extension Context {
  /// Does the work of a request that creates something, at most once for each `Idempotency-Key` of the caller in 24 hours: a
  /// repetition gets the first answer again. Without the header it is just done.
  ///
  /// The work, and the answer to it, are one transaction: after a crash there is either both or neither, and the client's next try
  /// is answered or does the work. Only success is remembered: what failed has changed nothing and may be tried again.
  ///
  ///     return try await context.once(input) { database throws(APIError) in
  ///       let comment = try await Queries.comment(on: post, content: content, by: context.caller, on: database)
  ///       …
  ///       return .json(CommentReply(comment: comment))
  ///     }
  ///
  /// The service's role needs `SELECT`, `INSERT` and `UPDATE` on `idempotency_keys` as sql/0011_idempotency.sql gives them, and `EXECUTE` on
  /// `take_key`. It sees no rows but its own (sql/0023_answers.sql).
  ///
  /// - Parameters:
  ///   - input: what was sent, validated. A repetition has the same path and body, byte by byte, or as a form the same parts.
  ///   - work: gets the database to do it on. The reasons of a failure can be asked of `context.database`.
  /// - Throws: 400 for a key that is not 1 to 255 visible ASCII characters; 401 if the session no longer stands; 409 while the first
  ///   request with this key is at work; 422 if it was another request; and what `work` throws.
  public func once(
    _ input: Input, _ work: @Worker (Database) async throws(APIError) -> Reply
  ) async throws(APIError) -> Reply {
    guard let text = input.request.header("HTTP_IDEMPOTENCY_KEY") else { return try await work(database) }
    let key = try IdempotencyKey(text, of: caller, for: input)
    return try await database.transaction { database throws(APIError) in
      try await key.lock(on: database)
      if let first = try await key.firstAnswer(on: database) { return first }
      let reply = try await work(database)
      try await key.remember(reply, on: database)
      return reply
    }
  }
}

/// A client's name for one thing that it wants done, and what that was.
@Worker
private struct IdempotencyKey {
  private let caller: Caller
  private let text: String
  /// SHA-256 of the request: whether a second one is the same.
  private let fingerprint: [UInt8]
  /// For an advisory lock: who is at work on this key. Two keys that share a number get in each other's way and nothing worse.
  private let lockNumber: Int64

  init(_ text: String, of caller: Caller, for input: Input) throws(APIError) {
    guard text.utf8.count <= 255, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw .badRequest("Idempotency-Key must be 1 to 255 visible ASCII characters")
    }
    self.caller = caller
    self.text = text
    fingerprint = input.fingerprint()
    let digest = SHA256.hash(data: Array("\(caller.userID) \(text)".utf8))
    lockNumber = Int64(bitPattern: digest.prefix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) })
  }

  /// Until the transaction ends nobody else is at work on this key. Whoever comes meanwhile is told so rather than left to wait.
  func lock(on database: Database) async throws(APIError) {
    let whose: Query = caller.isAnonymous ? "SELECT" : caller.session
    let isFree = try await database.writeOne(
      "WITH caller AS (\(whose)) SELECT take_key(\(lockNumber)) FROM caller", as: Bool.self)
    guard let isFree else { throw .unauthorized }
    guard isFree else { throw .conflict("A request with this Idempotency-Key is still running") }
  }

  /// What the first request with this key was answered; nil if there was none.
  ///
  /// A statement after that of the lock: its snapshot has what the last owner of the lock has committed.
  func firstAnswer(on database: Database) async throws(APIError) -> Reply? {
    let first = try await database.readOne(
      """
      SELECT fingerprint, answer FROM idempotency_keys
      WHERE user_id = \(caller.userID) AND key = \(text) AND created_at > now() - interval '24 hours'
      """, as: FirstAnswer.self)
    guard let first else { return nil }
    guard first.fingerprint == fingerprint else { throw Self.usedForAnother }
    return Reply(body: first.answer)
  }

  /// In the place of one that is older than a day, if there is one.
  func remember(_ reply: Reply, on database: Database) async throws(APIError) {
    do throws(APIError) {
      try await database.write(
        """
        INSERT INTO idempotency_keys (user_id, key, fingerprint, answer)
        VALUES (\(caller.userID), \(text), \(fingerprint), \(reply.response.body))
        ON CONFLICT (user_id, key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = now()
        RETURNING true
        """, as: Bool.self)
    } catch {
      // The row is another service's, of a request that was sent there.
      guard error.cause?.sqlState == .insufficientPrivilege else { throw error }
      throw Self.usedForAnother
    }
  }

  private static let usedForAnother = APIError.unprocessable("Idempotency-Key was used for another request")
}

private struct FirstAnswer: RowDecodable {
  let fingerprint: [UInt8]
  let answer: [UInt8]

  init(row: inout RowReader) throws(PostgresError) {
    fingerprint = try row.next()
    answer = try row.next()
  }
}
