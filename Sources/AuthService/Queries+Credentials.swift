// chatty-auth's statements that change or end an account.

import EventLoop
import Postgres
import ServiceKit

extension AuthService.Queries {
  static func isTaken(_ email: String, byOthersThan user: Int64, on database: Database) async throws(APIError) -> Bool {
    try await database.readOne("SELECT \(hasOwner(email, besides: user))", as: Bool.self) ?? false
  }

  /// Changes what is not nil: a new password at once, which ends the account's other sessions and whatever links are under way; a new
  /// address when the link that is mailed to it is opened. The owner is told in either case at the address that they have.
  ///
  /// - Returns: nil, and nothing has changed, if the session does not stand or the password has changed since the account was read; the
  ///   seconds to wait, and nothing has changed, if too many mails have been asked for; else 0.
  static func change(
    _ account: Credentials, of caller: Caller, hashedPassword: String?, email: String?, link: SecretToken, _ allowance: MailAllowance,
    on database: Database
  ) async throws(APIError) -> Int64? {
    try await database.transaction { database throws(APIError) in
      // The mail is counted before the account is locked, as by everybody who does both: in two orders they would wait for each other. So
      // what is to be locked is looked at twice: for who may not change it nothing is counted.
      if let email {
        let wait = try await database.writeOne(
          """
          WITH caller AS (\(caller.session))
          SELECT (\(allowance.waitToChange(to: email))) FROM caller JOIN users u ON u.id = caller.user_id
          WHERE u.hashed_password = \(account.hashedPassword)
          """, as: Int64.self)
        guard wait == 0 else { return wait }
      }
      return try await changeLocked(account, of: caller, hashedPassword: hashedPassword, email: email, link: link, on: database) ? 0 : nil
    }
  }

  private static func changeLocked(
    _ account: Credentials, of caller: Caller, hashedPassword: String?, email: String?, link: SecretToken, on database: Database
  ) async throws(APIError) -> Bool {
    let hasNewPassword = hashedPassword != nil
    return try await locking(caller.userID, on: database) { database throws(APIError) in
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session)), account AS (
          UPDATE users u SET hashed_password = coalesce(\(hashedPassword), u.hashed_password) FROM caller
          WHERE u.id = caller.user_id AND u.hashed_password = \(account.hashedPassword)
          RETURNING u.id, u.username, u.email
        ), ended AS (
          UPDATE sessions s SET ended_at = now() FROM account
          WHERE \(hasNewPassword) AND s.user_id = account.id AND s.id <> \(caller.sessionID) AND s.ended_at IS NULL
        ), spent AS (
          DELETE FROM email_tokens t USING account WHERE t.user_id = account.id AND t.used_at IS NULL
            AND (\(hasNewPassword) AND t.purpose IN ('reset', 'change_email') OR \(email) IS NOT NULL AND t.purpose = 'change_email')
        ), link AS (
          INSERT INTO email_tokens (token_hash, user_id, purpose, email, expires_at)
          SELECT \(link.hash), id, 'change_email', \(email), now() + interval '2 days' FROM account WHERE \(email) IS NOT NULL
        ), mails AS (
          INSERT INTO outbox (kind, payload)
          SELECT 'mail', jsonb_build_object(
            'template', 'change_email', 'to', \(email), 'username', username, 'user_id', id, 'token', \(link.text))
          FROM account WHERE \(email) IS NOT NULL
          UNION ALL
          SELECT 'mail', jsonb_build_object('template', 'email_changing', 'to', email, 'username', username, 'user_id', id)
          FROM account WHERE \(email) IS NOT NULL
          UNION ALL
          SELECT 'mail', jsonb_build_object('template', 'password_changed', 'to', email, 'username', username, 'user_id', id)
          FROM account WHERE \(hasNewPassword)
        )
        SELECT id FROM account
        """, as: Int64.self) != nil
    }
  }

  /// Runs `change` as a transaction that has the account to itself: logins, requests for links and other changes that are under way are
  /// waited for, and what they have added is there for the statements of `change`, which begin afterwards. (A single statement would
  /// wait too, but see only what was there when it began: a session that began while it waited would outlive a reset.) It also makes
  /// everybody lock the account first, and sessions and links after it.
  static func locking<Value: Sendable>(
    _ user: Int64, on database: Database, _ change: @Worker (Database) async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    try await database.transaction { database throws(APIError) in
      try await database.writeOne("SELECT id FROM users WHERE id = \(user) FOR UPDATE", as: Int64.self)
      return try await change(database)
    }
  }

  /// Deletes the account. At once nobody is logged in to it and nothing of theirs is shown; the rows go in steps (sql/0031_settling.sql).
  ///
  /// - Returns: nil, and nothing has changed, if the session does not stand or the password has changed since the account was read.
  static func delete(_ account: Credentials, of caller: Caller, on database: Database) async throws(APIError) -> Deletion? {
    let outcome = try await database.writeOne(
      "SELECT delete_account(s.user_id, \(account.hashedPassword)) FROM (\(caller.session)) s", as: Deletion.self)
    return outcome == .missing ? nil : outcome
  }

  /// Whose password a link that was mailed for a forgotten one can set; nil if it is not good any longer.
  static func owner(ofReset token: SecretToken, on database: Database) async throws(APIError) -> ResetOwner? {
    try await database.readOne("SELECT u.id, u.username FROM email_tokens t, users u WHERE \(isGood(token))", as: ResetOwner.self)
  }

  /// Sets a new password by such a link. It ends every session and whatever other links are under way, opens the account to logins
  /// again, from this place above all, and confirms its address, since that is where the link was read; accounts that only claim the
  /// address go.
  ///
  /// False, and nothing has changed, if the link is not good any longer.
  ///
  /// - Throws: what `violates("users_email_key")` if the address has become another account's.
  static func reset(
    _ token: SecretToken, of user: Int64, to hashedPassword: String, _ place: ClientPlace, on database: Database
  ) async throws(APIError) -> Bool {
    // As for `verify`, claims may lock each other.
    try await DeadlockRetry.run { () throws(APIError) in
      try await resetOnce(token, of: user, to: hashedPassword, place, on: database)
    }
  }

  private static func resetOnce(
    _ token: SecretToken, of user: Int64, to hashedPassword: String, _ place: ClientPlace, on database: Database
  ) async throws(APIError) -> Bool {
    try await locking(user, on: database) { database throws(APIError) in
      try await database.writeOne(
        """
        WITH link AS (
          UPDATE email_tokens t SET used_at = now() FROM users u WHERE \(isGood(token)) RETURNING t.user_id
        ), account AS (
          UPDATE users u SET hashed_password = \(hashedPassword), verified_at = coalesce(u.verified_at, now())
          FROM link WHERE u.id = link.user_id
          RETURNING u.id, u.username, u.email
        ), claims AS (
          \(claimsRemoved)
        ), ended AS (
          UPDATE sessions s SET ended_at = now() FROM account WHERE s.user_id = account.id AND s.ended_at IS NULL
        ), forgotten AS (
          DELETE FROM login_places p USING account WHERE p.user_id = account.id AND p.network IS DISTINCT FROM \(place.cidr)::cidr
        ), place AS (
          \(noted(place))
        ), spent AS (
          DELETE FROM email_tokens t USING account
          WHERE t.user_id = account.id AND t.used_at IS NULL AND t.purpose IN ('reset', 'change_email') AND t.token_hash <> \(token.hash)
        ), notice AS (
          INSERT INTO outbox (kind, payload)
          SELECT 'mail', jsonb_build_object('template', 'password_changed', 'to', email, 'username', username, 'user_id', id) FROM account
        )
        SELECT id, unthrottle('login', username), unthrottle('login', email) FROM account
        """, as: Int64.self) != nil
    }
  }

  private static func isGood(_ token: SecretToken) -> Query {
    """
    t.token_hash = \(token.hash) AND t.purpose = 'reset' AND t.used_at IS NULL AND t.expires_at > now()
      AND u.id = t.user_id AND u.blocked_at IS NULL
    """
  }
}
