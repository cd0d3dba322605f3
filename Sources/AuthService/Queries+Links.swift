// chatty-auth's statements about links in mails: how many may be asked for, and what opening one does.

import EventLoop
import ServiceKit

/// A link that can be asked for by whoever knows an address.
enum MailedLink: String {
  /// Confirms the address of an account that is not verified yet; good for two days.
  case verify
  /// Sets a new password; good for an hour.
  case reset
}

/// How many mails one client may ask for, and how many may go to one mailbox (sql/0027_mailed_links.sql), an hour and purpose. What is
/// spent on one purpose is not missing for another.
///
/// A client's requests count whether a mail comes of them or not, since their end would tell otherwise who has an account. To a mailbox
/// only those mails count that are sent; who asks for more gets the same answer and no mail.
@Worker
struct MailAllowance {
  let client: String
  /// In an hour; 0 is no limit.
  let rate: Int

  init(_ request: Request, _ context: Context) {
    client = ClientPlace(request).client
    rate = context.settings.mailRate
  }

  /// Seconds to wait before the request, 0 if it may be made; it is counted then.
  func wait(for purpose: String) -> Query {
    "throttle('mail_from', \(purpose) || ' ' || \(client), \(rate), interval '1 hour')"
  }

  /// Seconds to wait before a mail to `email` with a link to change an account's address; it is counted if that is 0. A client that has
  /// asked too often uses up nothing of the mailbox's allowance. The value of `wait` in the one row of this.
  func waitToChange(to email: String) -> Query {
    """
    SELECT CASE WHEN client.wait > 0 THEN client.wait
      ELSE throttle('mail_to', 'change_email ' || mailbox_of(\(email)), \(rate), interval '1 hour') END AS wait
    FROM (SELECT \(wait(for: "change_email")) AS wait OFFSET 0) client
    """
  }
}

/// What may be done by opening a link.
enum LinkUse {
  /// Nothing: whether it is good.
  case look
  /// To confirm the address of a registration.
  case registration
  /// To change an account's address too.
  case all
}

extension AuthService.Queries {
  /// Queues a request for a mail with a new link, whether there is an account that it is for or not: chatty-worker finds that out, so the
  /// time that this takes tells nothing. Earlier links stay good.
  ///
  /// - Returns: the seconds to wait if this client has asked too often, else 0.
  static func requestMail(
    _ purpose: MailedLink, to email: String, link: SecretToken, _ allowance: MailAllowance, on database: Database
  ) async throws(APIError) -> Int64 {
    try await database.writeOne(
      """
      WITH allowance AS MATERIALIZED (SELECT \(allowance.wait(for: purpose.rawValue)) AS wait), request AS (
        INSERT INTO outbox (kind, payload)
        SELECT 'mail', jsonb_build_object('template', 'request', 'purpose', \(purpose.rawValue), 'address', \(email), 'token', \(link.text),
          'allowed', \(allowance.rate))
        FROM allowance WHERE wait = 0
      )
      SELECT wait FROM allowance
      """, as: Int64.self) ?? 0
  }

  /// Uses a link: of a registration, of a new address, which becomes the account's, or of the way back from one. Accounts that only claim
  /// the address go: it was their claim against its owner's.
  ///
  /// The way back is mailed to the old address once the new one counts, and good for seven days, whatever has become of the account
  /// meanwhile. It is taken by somebody whose account was stolen: it ends every session, makes the password worthless, which the thief knew,
  /// and mails a link for a new one.
  ///
  /// A link that was used before is good for ever, for the account it was used for, and does nothing: people open links twice. No link is
  /// good while the account is blocked.
  ///
  /// - Throws: what `violates("users_email_key")` if the address has become another account's.
  static func verify(userID: Int64, link: SecretToken, _ use: LinkUse, on database: Database) async throws(APIError) -> Verification? {
    let isGood: Query =
      """
      t.token_hash = \(link.hash) AND t.user_id = \(userID) AND t.user_id = u.id AND u.blocked_at IS NULL
        AND (t.purpose = 'verify' OR t.purpose IN ('change_email', 'restore_email') AND (\(use == .all) OR t.used_at IS NOT NULL))
        AND (t.used_at IS NOT NULL OR t.expires_at > now())
      """
    // Asked first, so that guessing locks nobody's account.
    let asked = try await database.readOne(
      "SELECT EXISTS (SELECT FROM users WHERE id = \(userID)), EXISTS (SELECT FROM email_tokens t, users u WHERE \(isGood))",
      as: Verification.self)
    guard asked?.linkIsGood == true, use != .look else { return asked }
    let back = SecretToken()
    let reset = SecretToken()
    // Two claims that are confirmed at the same moment lock each other's account: one is tried again.
    return try await DeadlockRetry.run { () throws(APIError) in
      try await locking(userID, on: database) { database throws(APIError) in
        try await database.writeOne(
          """
          WITH link AS (
            UPDATE email_tokens t SET used_at = coalesce(t.used_at, now()) FROM users u WHERE \(isGood)
            RETURNING t.user_id, t.purpose, t.email, u.email AS old_email, t.used_at = now() AS is_first
          ), account AS (
            UPDATE users u SET
              verified_at = coalesce(u.verified_at, now()),
              email = coalesce(link.email, u.email),
              hashed_password = CASE link.purpose WHEN 'restore_email' THEN '!' ELSE u.hashed_password END
            FROM link WHERE u.id = link.user_id AND link.is_first
            RETURNING u.id, u.username, u.email, link.purpose, link.old_email
          ), claims AS (
            \(claimsRemoved)
          ), ended AS (
            UPDATE sessions s SET ended_at = now() FROM account a
            WHERE a.purpose = 'restore_email' AND s.user_id = a.id AND s.ended_at IS NULL
          ), forgotten AS (
            DELETE FROM login_places p USING account a WHERE a.purpose = 'restore_email' AND p.user_id = a.id
          ), spent AS (
            DELETE FROM email_tokens t USING account a
            WHERE a.purpose <> 'verify' AND t.user_id = a.id AND t.used_at IS NULL AND t.token_hash <> \(link.hash)
              AND (a.purpose = 'restore_email' OR t.purpose <> 'restore_email')
          ), links AS (
            INSERT INTO email_tokens (token_hash, user_id, purpose, email, expires_at)
            SELECT \(back.hash), id, 'restore_email', old_email, now() + interval '7 days' FROM account WHERE purpose = 'change_email'
            UNION ALL
            SELECT \(reset.hash), id, 'reset', NULL, now() + interval '1 hour' FROM account WHERE purpose = 'restore_email'
          ), mails AS (
            INSERT INTO outbox (kind, payload)
            SELECT 'mail', jsonb_build_object(
              'template', 'email_changed', 'to', old_email, 'username', username, 'user_id', id, 'token', \(back.text))
            FROM account WHERE purpose = 'change_email'
            UNION ALL
            SELECT 'mail', jsonb_build_object('template', 'email_restored', 'to', old_email, 'username', username, 'user_id', id)
            FROM account WHERE purpose = 'restore_email'
            UNION ALL
            SELECT 'mail', jsonb_build_object('template', 'reset', 'to', email, 'username', username, 'user_id', id, 'token', \(reset.text))
            FROM account WHERE purpose = 'restore_email'
          )
          SELECT EXISTS (SELECT FROM users WHERE id = \(userID)), EXISTS (SELECT FROM link)
          """, as: Verification.self)
      }
    }
  }

  /// Removes the accounts that only claim the address of the row `account`.
  static var claimsRemoved: Query {
    """
    DELETE FROM users c USING account a
    WHERE \(EmailAddress.key("c.email")) = \(EmailAddress.key("a.email")) AND c.id <> a.id
      AND c.by_registration AND c.verified_at IS NULL AND c.blocked_at IS NULL AND c.role = 'user'
      AND NOT EXISTS (SELECT FROM sessions s WHERE s.user_id = c.id)
    """
  }
}
