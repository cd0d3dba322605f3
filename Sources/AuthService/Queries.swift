// chatty-auth's statements.

import EventLoop
import ServiceKit

extension AuthService {
  @Worker
  enum Queries {
    /// Adds an account that is not verified yet, and queues the mail with its link, which is good for two days.
    ///
    /// - Returns: the account's id; nil, and nothing has changed, if the username or the address is taken, in whatever case.
    static func register(
      username: String, email: String, hashedPassword: String, link: SecretToken, on database: Database
    ) async throws(APIError) -> Int64? {
      try await database.writeOne(
        """
        WITH account AS (
          INSERT INTO users (username, email, hashed_password) VALUES (\(username), \(email), \(hashedPassword))
          ON CONFLICT DO NOTHING
          RETURNING id, username, email
        ), link AS (
          INSERT INTO email_tokens (token_hash, user_id, purpose, expires_at)
          SELECT \(link.hash), id, 'verify', now() + interval '2 days' FROM account
        ), mail AS (
          INSERT INTO outbox (kind, payload)
          SELECT 'mail', jsonb_build_object('template', 'verify', 'to', email, 'username', username, 'user_id', id, 'token', \(link.text))
          FROM account
        )
        SELECT id FROM account
        """, as: Int64.self)
    }

    /// Asked when `register` added nothing.
    static func taken(username: String, email: String, on database: Database) async throws(APIError) -> TakenNames? {
      try await database.readOne(
        """
        SELECT EXISTS (SELECT FROM users WHERE lower(username) = lower(\(username))),
               EXISTS (SELECT FROM users WHERE lower(email) = lower(\(email)))
        """, as: TakenNames.self)
    }

    /// Uses a verification link. A link that was used before is good for ever, for the account it was used for: people open links
    /// twice, and mail scanners open them first.
    static func verify(userID: Int64, link: SecretToken, on database: Database) async throws(APIError) -> Verification? {
      try await database.writeOne(
        """
        WITH link AS (
          UPDATE email_tokens SET used_at = coalesce(used_at, now())
          WHERE token_hash = \(link.hash) AND user_id = \(userID) AND purpose = 'verify' AND (used_at IS NOT NULL OR expires_at > now())
          RETURNING user_id
        ), verified AS (
          UPDATE users u SET verified_at = now() FROM link WHERE u.id = link.user_id AND u.verified_at IS NULL
        )
        SELECT EXISTS (SELECT FROM users WHERE id = \(userID)), EXISTS (SELECT FROM link)
        """, as: Verification.self)
    }

    /// The account that somebody logs in to. A username has no `@` and an address always has one, so each is looked up in one index.
    static func credentials(of login: String, on database: Database) async throws(APIError) -> Credentials? {
      let isTheirs: Query = login.contains("@") ? "lower(u.email) = lower(\(login))" : "lower(u.username) = lower(\(login))"
      return try await database.readOne("SELECT \(Credentials.columns) FROM users u WHERE \(isTheirs)", as: Credentials.self)
    }

    /// Begins a session of 30 days.
    ///
    /// - Returns: its id; nil if the account was blocked or its password changed since the credentials were read.
    static func beginSession(
      of account: Credentials, refresh: SecretToken, ip: String, userAgent: String, on database: Database
    ) async throws(APIError) -> Int64? {
      try await database.writeOne(
        """
        INSERT INTO sessions (user_id, refresh_hash, expires_at, ip, user_agent)
        SELECT id, \(refresh.hash), now() + interval '30 days', \(ip), left(\(userAgent), 400) FROM users
        WHERE id = \(account.userID) AND is_active AND hashed_password = \(account.hashedPassword)
        RETURNING id
        """, as: Int64.self)
    }

    /// Ends the caller's session. False if it did not stand any longer.
    static func endSession(of caller: Caller, on database: Database) async throws(APIError) -> Bool {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session))
        UPDATE sessions SET ended_at = now() FROM caller WHERE sessions.id = \(caller.sessionID) RETURNING sessions.id
        """, as: Int64.self) != nil
    }

    /// The caller; nil if the session does not stand.
    static func me(_ caller: Caller, on database: Database) async throws(APIError) -> OwnUser? {
      try await database.readOne(
        """
        WITH caller AS (\(caller.session))
        SELECT \(OwnUser.columns) FROM caller JOIN users u ON u.id = caller.user_id JOIN author_stats a ON a.user_id = u.id
        """, as: OwnUser.self)
    }

    static func user(_ id: Int64, on database: Database) async throws(APIError) -> User? {
      try await database.readOne(
        "SELECT \(User.columns) FROM users u JOIN author_stats a ON a.user_id = u.id WHERE u.id = \(id)",
        as: User.self)
    }
  }
}
