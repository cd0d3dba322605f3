// chatty-auth's statements about logging in and about sessions.

import EventLoop
import ServiceKit

/// What a client says of itself, to be shown to the session's owner.
@Worker
struct Device {
  let ip: String
  let userAgent: String

  init(_ request: Request) {
    ip = request.remoteAddress
    userAgent = request.userAgent
  }
}

extension AuthService.Queries {
  /// Read again, when they may have changed. nil if the account is gone.
  static func credentials(of user: Int64, on database: Database) async throws(APIError) -> Credentials? {
    try await database.readOne("SELECT \(Credentials.columns) FROM users u WHERE u.id = \(user)", as: Credentials.self)
  }

  /// Begins a session of 30 days.
  ///
  /// The account is locked: whoever changes or deletes it meanwhile is waited for, and then found out; whoever wants to do so next
  /// waits, and then finds the session.
  ///
  /// - Parameters:
  ///   - attempt: the attempt to log in with the name `login`, which is taken back.
  ///   - upgrade: a new hash of the same password; nil: the present one stays.
  /// - Returns: its id; nil if the account was blocked or its password changed since the credentials were read.
  static func beginSession(
    of account: Credentials, by attempt: Attempt, with login: String, refresh: RefreshToken, upgrade: String?, _ device: Device,
    _ place: ClientPlace, on database: Database
  ) async throws(APIError) -> Int64? {
    let isTheSame: Query = "id = \(account.userID) AND is_active AND hashed_password = \(account.hashedPassword)"
    let found: Query =
      if let upgrade {
        "UPDATE users SET hashed_password = \(upgrade) WHERE \(isTheSame) RETURNING id"
      } else {
        "SELECT id FROM users WHERE \(isTheSame) FOR SHARE"
      }
    return try await database.writeOne(
      """
      WITH account AS (\(found)), place AS (\(noted(place)))
      INSERT INTO sessions (user_id, family_hash, refresh_hash, expires_at, ip, user_agent)
      SELECT id, \(refresh.family.hash), \(refresh.secret.hash), now() + interval '30 days', \(device.ip), left(\(device.userAgent), 400)
      FROM account
      RETURNING id, \(forgiven(attempt, of: login, place))
      """, as: Int64.self)
  }

  /// The session that a refresh token names and that stands, whether the token is good or not.
  static func session(of presented: RefreshToken, on database: Database) async throws(APIError) -> Caller? {
    try await database.readOne(
      """
      SELECT s.user_id, s.id FROM sessions s WHERE s.family_hash = \(presented.family.hash) AND s.ended_at IS NULL AND s.expires_at > now()
      """, as: NamedSession.self)?.caller
  }

  /// Puts the next refresh token in the place of the presented one, and has the session last 30 days more. If the presented one is the one
  /// before, replaced within the last 30 seconds, nothing is replaced; if it is an older one the session ends.
  ///
  /// One update decides: a second one of the same row waits for the first, and then sees its secret.
  ///
  /// - Parameter successor: the next tokens, sealed with the presented one.
  /// - Returns: nil if there is no such session any longer.
  static func refresh(
    _ presented: RefreshToken, next: RefreshToken, successor: [UInt8], _ device: Device, on database: Database
  ) async throws(APIError) -> Refreshed? {
    let isPresent: Query = "s.refresh_hash = \(presented.secret.hash)"
    let isPrevious: Query = "s.previous_hash = \(presented.secret.hash) AND s.rotated_at > now() - interval '30 seconds'"
    return try await database.writeOne(
      """
      UPDATE sessions s SET
        refresh_hash = CASE WHEN \(isPresent) THEN \(next.secret.hash) ELSE s.refresh_hash END,
        previous_hash = CASE WHEN \(isPresent) THEN s.refresh_hash ELSE s.previous_hash END,
        rotated_at = CASE WHEN \(isPresent) THEN now() ELSE s.rotated_at END,
        successor = CASE WHEN \(isPresent) THEN \(successor) ELSE s.successor END,
        ended_at = CASE WHEN \(isPresent) OR \(isPrevious) THEN NULL ELSE now() END,
        last_used_at = now(), expires_at = now() + interval '30 days', ip = \(device.ip), user_agent = left(\(device.userAgent), 400)
      FROM users u
      WHERE s.family_hash = \(presented.family.hash) AND s.ended_at IS NULL AND s.expires_at > now() AND u.id = s.user_id AND u.is_active
      RETURNING s.user_id, s.id, s.ended_at IS NULL, s.successor
      """, as: Refreshed.self)
  }

  /// The caller's sessions that stand, newest first; none if the caller's own does not.
  static func sessions(of caller: Caller, _ page: Page, on database: Database) async throws(APIError) -> [Session] {
    try await database.read(
      """
      WITH caller AS (\(caller.session))
      SELECT s.id, s.created_at, s.last_used_at, s.ip, s.user_agent, s.id = \(caller.sessionID)
      FROM caller JOIN sessions s ON s.user_id = caller.user_id
      WHERE s.ended_at IS NULL AND s.expires_at > now() AND s.id < \(page.before)
      ORDER BY s.id DESC
      LIMIT \(page.fetch)
      """, as: Session.self)
  }

  /// Ends one of the caller's sessions. False if they have no such session, or if their own does not stand.
  static func endSession(_ id: Int64, of caller: Caller, on database: Database) async throws(APIError) -> Bool {
    try await database.writeOne(
      """
      WITH caller AS (\(caller.session))
      UPDATE sessions s SET ended_at = now() FROM caller
      WHERE s.id = \(id) AND s.user_id = caller.user_id AND s.ended_at IS NULL AND s.expires_at > now()
      RETURNING s.id
      """, as: Int64.self) != nil
  }

  /// Ends all of the caller's sessions but this one. False if it does not stand.
  static func endOtherSessions(of caller: Caller, on database: Database) async throws(APIError) -> Bool {
    try await database.writeOne(
      """
      WITH caller AS (\(caller.session)), ended AS (
        UPDATE sessions s SET ended_at = now() FROM caller
        WHERE s.user_id = caller.user_id AND s.id <> \(caller.sessionID) AND s.ended_at IS NULL
      )
      SELECT true FROM caller
      """, as: Bool.self) != nil
  }
}
