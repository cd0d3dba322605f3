// Who makes a request, as far as its token tells.

import Postgres

/// The user and the session that a believed access token names. Both ids come from the token alone: whether the session
/// still stands is asked by every statement of a route for users, with `session`.
public struct Caller: Equatable, Sendable {
  /// 0 for somebody without a token, an id that no row has: so `liked_by_me` and the like need no special case.
  public let userID: Int64
  public let sessionID: Int64

  public init(userID: Int64, sessionID: Int64) {
    self.userID = userID
    self.sessionID = sessionID
  }

  public static let anonymous = Caller(userID: 0, sessionID: 0)

  public var isAnonymous: Bool { userID == 0 }

  /// The caller's row of the view `active_sessions`: no row once the session has ended or expired, or the user may not act.
  ///
  /// For `WITH caller AS (\(caller.session)) …`; its columns are `user_id`, `username` and `role`.
  public var session: Query {
    """
    SELECT s.user_id, s.username, s.role FROM active_sessions s \
    WHERE s.id = \(sessionID) AND s.user_id = \(userID)
    """
  }

  /// As `session`, with the user kept from being deleted or blocked until the transaction ends: for statements that add something of the
  /// user's. While an account is being deleted or blocked they wait, and then find no session; and whoever deletes or blocks it waits
  /// for them, and then finds what they have added (sql/0031_settling.sql).
  ///
  /// The foreign keys lock the user too, but last, and everybody locks users first (sql/0004_counters.sql). The service's role needs
  /// `UPDATE` on some column of `users`, as sql/0018_callers_locked.sql gives it.
  public var lockedSession: Query {
    // Of what has changed meanwhile only the row that is locked is looked at again.
    """
    SELECT me.user_id, me.username, me.role FROM (\(session)) me JOIN users u ON u.id = me.user_id AND u.is_active \
    FOR SHARE OF u
    """
  }

  /// A condition that holds for somebody without a token, and for somebody with one if their session stands: for statements that
  /// everybody may run and that tell those who are known a little more.
  public var isNobodyOrStands: Query {
    // In the place of a value: it is asked once, before any row is looked at.
    isAnonymous ? "true" : "(SELECT true FROM (\(session)) me)"
  }
}
