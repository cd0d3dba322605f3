// chatty-auth's statements about accounts as such. Those about sessions, and those that need a proof, are in the files beside this one.

import EventLoop
import Glibc
import ServiceKit

/// How many mails may be asked for by one client, and to one address.
@Worker
struct MailAllowance {
  /// The client's address, or of an IPv6 one the /64: that is what a customer has.
  let client: String
  /// In an hour; 0 is no limit.
  let rate: Int

  init(_ request: Request, _ context: Context) {
    client = Self.network(of: request.remoteAddress)
    rate = context.settings.mailRate
  }

  private static func network(of address: String) -> String {
    var bytes = in6_addr()
    guard inet_pton(AF_INET6, address, &bytes) == 1 else { return address }
    return withUnsafeBytes(of: bytes) { bytes in
      // An IPv4 address as an IPv6 socket sees it, ::ffff:192.0.2.1 (RFC 4291, section 2.5.5.2).
      if bytes.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) { return bytes.suffix(4).map(String.init).joined(separator: ".") }
      return Base64URL.encode(bytes.prefix(8))
    }
  }

  /// Seconds to wait before a mail to the address `email`, 0 if it may be sent; it is counted then. A client that has asked too
  /// often uses up nothing of the address's allowance. The value of `wait` in the one row of this.
  func wait(to email: Query) -> Query {
    """
    SELECT CASE WHEN client.wait > 0 THEN client.wait ELSE throttle('mail_to', \(email), \(rate), interval '1 hour') END AS wait
    FROM (SELECT throttle('mail_from', \(client), \(rate), interval '1 hour') AS wait OFFSET 0) client
    """
  }
}

/// A link that can be asked for by whoever knows an address.
enum MailedLink {
  /// Confirms the address of an account that is not verified yet; good for two days.
  case verify
  /// Sets a new password; good for an hour.
  case reset
}

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

    /// Uses a verification link: of a registration, or of a new address, which becomes the account's. Links that were mailed to the
    /// address before are worth nothing then.
    ///
    /// A link that was used before is good for ever, for the account it was used for, and does nothing: people open links twice, and
    /// mail scanners open them first.
    ///
    /// - Throws: what `violates("users_email_key")` if the new address has become another account's.
    static func verify(userID: Int64, link: SecretToken, on database: Database) async throws(APIError) -> Verification? {
      let isGood: Query =
        """
        token_hash = \(link.hash) AND user_id = \(userID) AND purpose IN ('verify', 'change_email')
        AND (used_at IS NOT NULL OR expires_at > now())
        """
      // Asked first, so that guessing locks nobody's account.
      let asked = try await database.readOne(
        "SELECT EXISTS (SELECT FROM users WHERE id = \(userID)), EXISTS (SELECT FROM email_tokens WHERE \(isGood))",
        as: Verification.self)
      guard asked?.linkIsGood == true else { return asked }
      return try await locking(userID, on: database) { database throws(APIError) in
        try await database.writeOne(
          """
          WITH link AS (
            UPDATE email_tokens SET used_at = coalesce(used_at, now()) WHERE \(isGood)
            RETURNING user_id, email, used_at = now() AS is_first
          ), account AS (
            UPDATE users u SET verified_at = coalesce(u.verified_at, now()), email = coalesce(link.email, u.email)
            FROM link WHERE u.id = link.user_id AND link.is_first
            RETURNING u.id, link.email IS NOT NULL AS has_moved
          ), spent AS (
            DELETE FROM email_tokens t USING account
            WHERE account.has_moved AND t.user_id = account.id AND t.used_at IS NULL AND t.token_hash <> \(link.hash)
          )
          SELECT EXISTS (SELECT FROM users WHERE id = \(userID)), EXISTS (SELECT FROM link)
          """, as: Verification.self)
      }
    }

    /// Queues a mail with a new link if there is an account that it is for. Earlier links stay good.
    ///
    /// - Returns: the seconds to wait if too many have been asked for, else 0.
    static func requestMail(
      _ purpose: MailedLink, to email: String, link: SecretToken, _ allowance: MailAllowance, on database: Database
    ) async throws(APIError) -> Int64 {
      let (name, life, isMeant): (Query, Query, Query) =
        switch purpose {
        case .verify: ("'verify'", "interval '2 days'", "u.verified_at IS NULL")
        case .reset: ("'reset'", "interval '1 hour'", "true")
        }
      return try await database.writeOne(
        """
        WITH allowance AS MATERIALIZED (\(allowance.wait(to: "\(email)"))), account AS (
          SELECT u.id, u.username, u.email FROM allowance JOIN users u ON lower(u.email) = lower(\(email))
          WHERE allowance.wait = 0 AND u.blocked_at IS NULL AND \(isMeant)
          FOR SHARE OF u
        ), link AS (
          INSERT INTO email_tokens (token_hash, user_id, purpose, expires_at)
          SELECT \(link.hash), id, \(name), now() + \(life) FROM account
        ), mail AS (
          INSERT INTO outbox (kind, payload)
          SELECT 'mail', jsonb_build_object('template', \(name), 'to', email, 'username', username, 'user_id', id, 'token', \(link.text))
          FROM account
        )
        SELECT wait FROM allowance
        """, as: Int64.self) ?? 0
    }

    /// The caller; nil if the session does not stand.
    static func me(_ caller: Caller, on database: Database) async throws(APIError) -> OwnUser? {
      try await database.readOne(
        """
        WITH caller AS (\(caller.session))
        SELECT \(OwnUser.columns) FROM caller JOIN users u ON u.id = caller.user_id JOIN author_stats a ON a.user_id = u.id
        """, as: OwnUser.self)
    }

    /// nil also for one who is blocked or not verified yet: to others they are nobody.
    static func user(_ id: Int64, on database: Database) async throws(APIError) -> User? {
      try await database.readOne(
        "SELECT \(User.columns) FROM users u JOIN author_stats a ON a.user_id = u.id WHERE u.id = \(id) AND u.is_active",
        as: User.self)
    }

    /// The active users whose names begin with `prefix`, in whatever case, by name. They are read from the index of those names, in its
    /// order, until the page is full.
    static func users(named prefix: String, _ page: KeysetPage<String>, on database: Database) async throws(APIError) -> [User] {
      try await database.read(
        """
        SELECT \(User.columns)
        FROM users u CROSS JOIN LATERAL (SELECT posts, followers, following FROM author_stats WHERE user_id = u.id LIMIT 1) a
        WHERE u.is_active AND lower(u.username COLLATE "C") >= lower(\(prefix) COLLATE "C")
          AND lower(u.username COLLATE "C") < lower(\(prefix) COLLATE "C") || chr(127)
          AND lower(u.username COLLATE "C") > \(page.after)
        ORDER BY lower(u.username COLLATE "C")
        LIMIT \(page.fetch)
        """, as: User.self)
    }
  }
}
