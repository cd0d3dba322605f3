// The operator's statements about accounts.

import EventLoop
import Postgres
import ServiceKit

struct Account: RowDecodable, CustomStringConvertible {
  let id: Int64
  let username: String
  let email: String
  let role: String
  let createdAt: Timestamp
  let verifiedAt: Timestamp?
  let blockedAt: Timestamp?
  let sessions: Int64

  /// Of `users u`.
  static let columns: Query =
    """
    u.id, u.username, u.email, u.role, u.created_at, u.verified_at, u.blocked_at, \
    (SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND s.ended_at IS NULL AND s.expires_at > now())
    """

  init(row: inout RowReader) throws(PostgresError) {
    id = try row.next()
    username = try row.next()
    email = try row.next()
    role = try row.next()
    createdAt = try row.next()
    verifiedAt = try row.next()
    blockedAt = try row.next()
    sessions = try row.next()
  }

  var description: String {
    """
    id        \(id)
    username  \(username)
    email     \(email)
    role      \(role)
    created   \(createdAt)
    verified  \(verifiedAt?.description ?? "no")
    blocked   \(blockedAt?.description ?? "no")
    sessions  \(sessions)
    """
  }
}

@Worker
enum Accounts {
  /// Exactly one of `name`, a username or e-mail address, and `id` is given. Of several accounts with one address, which can be until it is
  /// confirmed, it is the one that has it, or else the newest.
  static func find(_ name: String?, id: Int64?, on database: PostgresClient) async throws(PostgresError) -> Account? {
    try await database.readOne(
      """
      SELECT \(Account.columns) FROM users u
      WHERE (u.id = \(id) OR \(EmailAddress.key("u.username")) = \(EmailAddress.key("\(name)"))
          OR \(EmailAddress.key("u.email")) = \(EmailAddress.key("\(name)")))
        AND u.deleted_at IS NULL
      ORDER BY u.verified_at IS NULL AND u.by_registration, u.id DESC
      LIMIT 1
      """, as: Account.self)
  }

  /// - Returns: the new account's id; nil if one of its names is taken.
  static func create(
    _ username: String, _ email: String, _ hashedPassword: String, _ role: Role, on database: PostgresClient
  ) async throws(PostgresError) -> Int64? {
    try await database.writeOne(
      """
      INSERT INTO users (username, email, hashed_password, role, verified_at)
      VALUES (\(username), \(email), \(hashedPassword), \(role.rawValue), now())
      ON CONFLICT DO NOTHING
      RETURNING id
      """, as: Int64.self)
  }

  static func verify(_ id: Int64, on database: PostgresClient) async throws(PostgresError) {
    try await database.execute("UPDATE users SET verified_at = now() WHERE id = \(id) AND verified_at IS NULL")
  }

  /// Sets a new password as its owner would: every session ends, and so do the links under way that could take the account.
  static func setPassword(_ hash: String, of account: Account, on database: PostgresClient) async throws(PostgresError) {
    try await locking(account.id, on: database) { transaction throws(PostgresError) in
      try await transaction.execute(
        """
        WITH account AS (
          UPDATE users SET hashed_password = \(hash) WHERE id = \(account.id) RETURNING id
        ), spent AS (
          DELETE FROM email_tokens t USING account
          WHERE t.user_id = account.id AND t.used_at IS NULL AND t.purpose IN ('reset', 'change_email')
        )
        UPDATE sessions s SET ended_at = now() FROM account WHERE s.user_id = account.id AND s.ended_at IS NULL
        """)
    }
    try await unlock(account, on: database)
  }

  /// - Returns: how many stood.
  static func endSessions(of id: Int64, on database: PostgresClient) async throws(PostgresError) -> Int {
    try await locking(id, on: database) { transaction throws(PostgresError) in
      try await transaction.all(
        """
        UPDATE sessions s SET ended_at = now() WHERE s.user_id = \(id) AND s.ended_at IS NULL AND s.expires_at > now() RETURNING s.id
        """, as: Int64.self
      ).count
    }
  }

  /// Runs `change` as a transaction that has the account to itself: logins and requests for links that are under way are waited for, and
  /// what they have added is there for the statements of `change`, which begin afterwards. A single statement would wait too, but see only
  /// what was there when it began: a session that began while it waited would outlive it.
  private static func locking<Value: Sendable>(
    _ id: Int64, on database: PostgresClient, _ change: @Worker (PostgresClient.Transaction) async throws(PostgresError) -> Value
  ) async throws(PostgresError) -> Value {
    try await database.transaction { transaction throws(PostgresError) in
      try await transaction.all("SELECT id FROM users WHERE id = \(id) FOR UPDATE", as: Int64.self)
      return try await change(transaction)
    }
  }

  /// Deletes the account, as its owner can, and the last admin's too. False if it is gone already.
  static func delete(_ id: Int64, on database: PostgresClient) async throws(PostgresError) -> Bool {
    try await database.writeOne("SELECT delete_account(\(id), NULL)", as: String.self) == "deleted"
  }

  /// Failures are counted by the name that was typed: the username and the address.
  static func unlock(_ account: Account, on database: PostgresClient) async throws(PostgresError) {
    _ = try await database.writeOne(
      "SELECT unthrottle('login', \(account.username)), unthrottle('login', \(account.email))", as: Bool.self)
  }

  /// Moderation is an insert, for an operator too: a trigger carries it out, and the row is its record. It has no actor, which
  /// the database takes from chatty_operator alone.
  ///
  /// - Returns: what came of it: `applied`, or `missing` if the account is gone.
  static func moderate(
    _ id: Int64, _ action: Moderation, because reason: String?, on database: PostgresClient
  ) async throws(PostgresError) -> String? {
    try await database.writeOne(
      """
      INSERT INTO moderation_actions (action, target_id, role, reason)
      VALUES (\(action.name), \(id), \(action.role?.rawValue), \(reason))
      RETURNING outcome
      """, as: String.self)
  }
}

enum Role: String, CaseIterable, Sendable {
  case user, moderator, admin
}

/// What an operator does to an account, by the names of `moderation_actions`.
enum Moderation: Sendable {
  case block
  case unblock
  case setRole(Role)

  var name: String {
    switch self {
    case .block: "block_user"
    case .unblock: "unblock_user"
    case .setRole: "set_role"
    }
  }

  var role: Role? {
    if case .setRole(let role) = self { role } else { nil }
  }
}
