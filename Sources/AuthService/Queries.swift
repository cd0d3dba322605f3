// chatty-auth's statements about accounts as such. Those about sessions, about attempts, about links in mails, and those that
// need a proof, are in the files beside this one.

import EventLoop
import ServiceKit

extension AuthService {
  @Worker
  enum Queries {
    /// Adds an account that is not verified yet, and queues the mail with its link, which is good for two days. Until the link is opened
    /// the account only claims the address: others may claim it too.
    ///
    /// - Parameter request: what a registration is known by that is sent again; nil: it is not.
    /// - Returns: nil, and nothing has changed, if the username is taken or the address has an owner.
    /// - Throws: 429, and nothing has changed, if too many mails of registrations have gone to the address.
    static func register(
      _ account: NewAccount, hashedPassword: String, link: SecretToken, request: [UInt8]?, mailRate: Int, on database: Database
    ) async throws(APIError) -> Int64? {
      try await database.transaction { database throws(APIError) in
        let added = try await database.writeOne(
          """
          WITH account AS (
            INSERT INTO users (username, email, hashed_password, by_registration)
            SELECT \(account.username), \(account.email), \(hashedPassword), true WHERE NOT \(hasOwner(account.email))
            ON CONFLICT DO NOTHING
            RETURNING id, username, email
          ), allowance AS MATERIALIZED (
            SELECT throttle('mail_to', 'register ' || mailbox_of(email), \(mailRate), interval '1 hour') AS wait FROM account
          ), link AS (
            INSERT INTO email_tokens (token_hash, user_id, purpose, expires_at)
            SELECT \(link.hash), id, 'verify', now() + interval '2 days' FROM account
          ), mail AS (
            INSERT INTO outbox (kind, payload)
            SELECT 'mail', jsonb_build_object('template', 'verify', 'to', email, 'username', username, 'user_id', id, 'token', \(link.text))
            FROM account
          ), key AS (
            INSERT INTO registration_keys (request, user_id) SELECT \(request), id FROM account WHERE \(request) IS NOT NULL
            ON CONFLICT (request) DO UPDATE SET user_id = excluded.user_id, created_at = now()
          )
          SELECT account.id, allowance.wait FROM account, allowance
          """, as: NewRow.self)
        if let added, added.wait > 0 { throw .tooManyRequests(retryAfter: added.wait) }
        return added?.id
      }
    }

    /// The account that the same registration has made before, within a day.
    static func registered(by request: [UInt8], on database: Database) async throws(APIError) -> Credentials? {
      try await database.readOne(
        """
        SELECT \(Credentials.columns) FROM registration_keys k JOIN users u ON u.id = k.user_id
        WHERE k.request = \(request) AND k.created_at > now() - interval '24 hours'
        """, as: Credentials.self)
    }

    /// Whether nobody else can have these names. An address that is only claimed is not taken: its owner confirms the right claim.
    static func taken(username: String, email: String, on database: Database) async throws(APIError) -> TakenNames? {
      try await database.readOne(
        """
        SELECT EXISTS (SELECT FROM users WHERE \(Username.key("username")) = \(Username.key("\(username)")) AND NOT is_twin),
               \(hasOwner(email))
        """, as: TakenNames.self)
    }

    /// Whether an account has this address: it is confirmed, or came another way than by registration.
    static func hasOwner(_ email: String, besides user: Int64 = 0) -> Query {
      """
      EXISTS (
        SELECT FROM users o
        WHERE \(EmailAddress.key("o.email")) = \(EmailAddress.key("\(email)")) AND (o.verified_at IS NOT NULL OR NOT o.by_registration)
          AND o.id <> \(user)
      )
      """
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
    /// order, until the page is full; by operators that the index of all names does not have (sql/0034_active_names.sql).
    static func users(named prefix: String, _ page: KeysetPage<String>, on database: Database) async throws(APIError) -> [User] {
      try await database.read(
        """
        SELECT \(User.columns)
        FROM users u CROSS JOIN LATERAL (SELECT posts, followers, following FROM author_stats WHERE user_id = u.id LIMIT 1) a
        WHERE u.is_active AND lower(u.username COLLATE "C") ~>=~ lower(\(prefix) COLLATE "C")
          AND lower(u.username COLLATE "C") ~<~ (lower(\(prefix) COLLATE "C") || chr(127))
          AND lower(u.username COLLATE "C") ~>~ \(page.after)
        ORDER BY lower(u.username COLLATE "C") USING ~<~
        LIMIT \(page.fetch)
        """, as: User.self)
    }
  }
}
