// chatty-auth's statements about attempts to prove a password: how many there may be, and one at a time.
//
// What is counted, with CHATTY_LOGIN_FAILURES (F, 10) and CHATTY_LOGIN_LOCK (L, 900 s); sql/0026_guessing.sql does it. A place is an IPv4
// address or the /64 of an IPv6 one, a network its /24 or /48. All is counted by the name that was typed, whether there is such an account
// or not: if an account's two names were counted together, a limit would tell which address is whose.
//
//   a stranger's place    F failures, then L seconds without an answer       10 in 15 minutes
//   a stranger's network  3 F                                                30 in 15 minutes
//   all strangers         10 F; then only the first try of a network a day   100 in 15 minutes, 9,600 a day, and one a network
//   a place of the owner  F; beyond them a right password gets in and a      200 in 15 minutes: more than nginx lets through from one
//                         wrong one is told to wait; 20 F in all             client (CHATTY_RATE_LOGIN, 10 a minute)
//   a session             F failures with PATCH and DELETE /auth/me          10 in 15 minutes
//
// Each row counts for itself, so strangers, however many, spend nothing of what the owner has at a place where they have logged in, or in
// a session that stands. From a new place, while the account is under attack, the owner's first try of the day gets in from a network that
// nobody has tried from, and a reset of the password, whose link only they get, makes the place theirs. A success takes back what its
// attempts were counted, and nothing of what others have tried.
//
// A hash takes a quarter of a second of a core, so of each name one is in work at a time: who comes meanwhile is told to come again, at
// once, and the worker is free for others. A username's logins, the changes of its sessions and its resets take turns; logins by the
// address do so by themselves, since they would otherwise tell whose it is.

import EventLoop
import ServiceKit

extension AuthService.Queries {
  /// Counts an attempt to log in and reads the account that it is for. It is counted before the password is looked at, or many
  /// attempts at once would all find the count as it was; a success takes it back. Unless it has to wait it has the turn of its name, which
  /// ends with `release`.
  ///
  /// A username has no `@` and an address always has one, so each is looked up in one index. Of several accounts with one address, which can
  /// be until it is confirmed, it is the one that has it, or else the newest.
  static func attempt(
    _ login: String, _ place: ClientPlace, _ settings: Settings, on database: Database
  ) async throws(APIError) -> Attempt {
    let isTheirs: Query =
      login.contains("@")
      ? "\(EmailAddress.key("u.email")) = \(EmailAddress.key("\(login)"))"
      : "\(EmailAddress.key("u.username")) = \(EmailAddress.key("\(login)"))"
    let attempt = try await database.writeOne(
      """
      WITH account AS MATERIALIZED (
        SELECT u.id, EXISTS (SELECT FROM login_places p WHERE p.user_id = u.id AND p.network = \(place.cidr)::cidr) AS is_known
        FROM users u WHERE \(isTheirs)
        ORDER BY u.verified_at IS NULL AND u.by_registration, \(login) IN (u.username, u.email) DESC, u.id DESC
        LIMIT 1
      ), attempt AS MATERIALIZED (
        SELECT * FROM login_attempt(
          \(login), \(place.client), \(place.network), coalesce((SELECT is_known FROM account), false),
          \(settings.loginFailures), \(period(settings)))
      )
      SELECT attempt.wait, attempt.slow, attempt.is_counted, \(Credentials.columns) FROM attempt LEFT JOIN users u ON u.id = (SELECT id FROM account)
      """, as: Attempt.self)
    return attempt ?? Attempt(wait: 0, slow: 0, isCounted: false, account: nil)
  }

  /// As an attempt to log in, by somebody who is logged in and says their password again. nil if the session does not stand.
  static func attempt(_ caller: Caller, _ settings: Settings, on database: Database) async throws(APIError) -> Attempt? {
    try await database.writeOne(
      """
      WITH caller AS MATERIALIZED (\(caller.session)), attempt AS MATERIALIZED (
        SELECT user_id, session_attempt(username, \(caller.sessionID), \(settings.loginFailures), \(period(settings))) AS wait FROM caller
      )
      SELECT attempt.wait, 0::bigint, false, \(Credentials.columns) FROM attempt JOIN users u ON u.id = attempt.user_id
      """, as: Attempt.self)
  }

  /// Takes the turn of a name for a hash that is no attempt. nil if it is taken; otherwise what the hash that is in work is for.
  static func claimHash(of name: String, for purpose: HashPurpose, on database: Database) async throws(APIError) -> HashPurpose? {
    let present = try await database.writeOne("SELECT coalesce(claim_hash(\(name), \(purpose.rawValue)), '')", as: String.self)
    return present.flatMap(HashPurpose.init)
  }

  /// Ends the turn of a name: its hash is done.
  static func release(_ name: String, on database: Database) async throws(APIError) {
    try await database.writeOne("SELECT release_hash(\(name))", as: Bool.self)
  }

  /// Takes back what was counted of an attempt with the right password.
  static func forgive(_ attempt: Attempt, of login: String, _ place: ClientPlace, on database: Database) async throws(APIError) {
    try await database.writeOne("SELECT \(forgiven(attempt, of: login, place))", as: Bool.self)
  }

  static func forgiven(_ attempt: Attempt, of login: String, _ place: ClientPlace) -> Query {
    "forgive_login(\(login), \(place.client), \(place.network), \(attempt.isCounted))"
  }

  static func forgive(_ caller: Caller, on database: Database) async throws(APIError) {
    try await database.writeOne("SELECT unthrottle('login', 'session ' || \(caller.sessionID))", as: Bool.self)
  }

  /// Notes that the owner has proven to be there. For a statement with a row `account`, whose `id` is the user's.
  static func noted(_ place: ClientPlace) -> Query {
    """
    INSERT INTO login_places (user_id, network) SELECT id, \(place.cidr)::cidr FROM account WHERE \(place.cidr) IS NOT NULL
    ON CONFLICT (user_id, network) DO UPDATE SET last_login_at = now()
    """
  }

  private static func period(_ settings: Settings) -> Query { "\(settings.loginLock / .seconds(1)) * interval '1 second'" }
}

/// What a hash is computed for.
enum HashPurpose: String {
  /// Whether a password is right, and what may follow from it.
  case proof
  /// The new password of a link for a forgotten one.
  case reset
}
