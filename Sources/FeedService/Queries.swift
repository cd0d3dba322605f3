// chatty-feed's statements. Triggers count subscriptions (sql/0004_counters.sql).

import EventLoop
import ServiceKit

extension FeedService {
  @Worker
  enum Queries {
    // MARK: Subscriptions

    /// False, and nothing has changed, if the caller is that user or follows them already, if there is no such user, or if the session
    /// does not stand.
    static func subscribe(_ caller: Caller, to user: Int64, on database: Database) async throws(APIError) -> Bool {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session))
        INSERT INTO subscriptions (follower_id, following_id)
        SELECT caller.user_id, u.id FROM caller JOIN users u ON u.id <> caller.user_id WHERE u.id = \(user)
        ON CONFLICT DO NOTHING
        RETURNING following_id
        """, as: Int64.self) != nil
    }

    /// False if the caller does not follow that user, or if the session does not stand.
    static func unsubscribe(_ caller: Caller, from user: Int64, on database: Database) async throws(APIError) -> Bool {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session))
        DELETE FROM subscriptions f USING caller WHERE f.follower_id = caller.user_id AND f.following_id = \(user)
        RETURNING f.following_id
        """, as: Int64.self) != nil
    }

    static func exists(_ user: Int64, on database: Database) async throws(APIError) -> Bool {
      try await database.readOne("SELECT id FROM users WHERE id = \(user)", as: Int64.self) != nil
    }

    /// nil if the session does not stand.
    static func followsSomebody(_ caller: Caller, on database: Database) async throws(APIError) -> Bool? {
      try await database.readOne(
        """
        WITH caller AS (\(caller.session))
        SELECT EXISTS (SELECT FROM subscriptions f WHERE f.follower_id = caller.user_id) FROM caller
        """, as: Bool.self)
    }

    // MARK: The feed

    /// The newest posts by those whom the caller follows; none if the session does not stand.
    ///
    /// PostgreSQL cannot merge many ordered index ranges, and asked plainly it would read every post of everybody followed. But k posts
    /// can only be by the k authors with the newest last posts. So: those authors, k posts of each, the newest k of all; for each
    /// followed user one narrow lookup, then at most k² entries of an index, however many posts there are. Whole rows are
    /// read at the end, for the posts of the page alone.
    static func feed(of caller: Caller, _ page: Page, on database: Database) async throws(APIError) -> [Post] {
      try await database.read(
        """
        WITH caller AS (\(caller.session)),
        authors AS (
          SELECT latest.user_id
          FROM (
            SELECT f.following_id AS user_id, a.last_post_id
            FROM caller JOIN subscriptions f ON f.follower_id = caller.user_id JOIN \(lastPosts(page))
            ORDER BY a.last_post_id DESC
          ) latest
          -- Asked in that order, and so only of as many as are taken.
          JOIN users u ON u.id = latest.user_id AND u.blocked_at IS NULL
          ORDER BY latest.last_post_id DESC
          LIMIT \(page.fetch)
        ),
        picked AS (
          SELECT newest.id
          FROM authors CROSS JOIN LATERAL (
            SELECT id FROM posts WHERE user_id = authors.user_id AND id < \(page.before) ORDER BY id DESC LIMIT \(page.fetch)
          ) newest
          ORDER BY newest.id DESC
          LIMIT \(page.fetch)
        )
        SELECT \(Post.columns(for: caller)) FROM picked JOIN (\(Post.visible)) ON p.id = picked.id
        ORDER BY p.id DESC
        """, as: Post.self)
    }

    /// What to join a subscription `f` with: the newest post of the one who is followed, as `a.last_post_id`. It is kept for the first
    /// page; a later one looks for the newest below its cursor.
    private static func lastPosts(_ page: Page) -> Query {
      guard let cursor = page.cursor else { return "author_stats a ON a.user_id = f.following_id AND a.last_post_id IS NOT NULL" }
      return """
        LATERAL (
          SELECT id AS last_post_id FROM posts WHERE user_id = f.following_id AND id < \(cursor) ORDER BY id DESC LIMIT 1
        ) a ON true
        """
    }
  }
}
