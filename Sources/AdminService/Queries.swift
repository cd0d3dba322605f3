// chatty-admin's statements: it adds rows to moderation_actions, where a trigger does what they say (sql/0006_moderation.sql), and counts.

import EventLoop
import ServiceKit

extension AdminService {
  @Worker
  enum Queries {
    /// Does what a moderator or an admin asks for, and records it.
    ///
    /// - Returns: what came of it; nil, and there is no record, if the caller's role does not allow it or the session does not stand.
    static func perform(
      _ action: Action, on target: Int64, because reason: String?, by caller: Caller, on database: Database
    ) async throws(APIError) -> Outcome? {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session))
        INSERT INTO moderation_actions (actor_id, action, target_id, role, reason)
        SELECT user_id, \(action.name), \(target), \(action.role?.rawValue), \(reason)
        FROM caller WHERE role = 'admin' OR role = 'moderator' AND \(action.isForModerators)
        RETURNING outcome
        """, as: Outcome.self)
    }

    /// Every figure is counted; that somebody asked is recorded. nil if the caller is no admin or the session does not stand.
    static func stats(for caller: Caller, on database: Database) async throws(APIError) -> Stats? {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session)),
        record AS (
          INSERT INTO moderation_actions (actor_id, action) SELECT user_id, 'view_stats' FROM caller WHERE role = 'admin'
          RETURNING id
        )
        SELECT
          (SELECT count(*) FROM users WHERE deleted_at IS NULL),
          (SELECT count(*) FROM users WHERE is_active),
          (SELECT count(*) FROM posts),
          (SELECT count(*) FROM comments),
          (SELECT count(*) FROM likes),
          (SELECT count(*) FROM subscriptions),
          (SELECT count(*) FROM reports WHERE resolved_at IS NULL)
        FROM record
        """, as: Stats.self)
    }
  }
}
