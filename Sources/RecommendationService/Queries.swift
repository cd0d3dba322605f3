// chatty-recommendations' statements. The first is the definition of what is recommended.

import EventLoop
import ServiceKit

extension RecommendationService {
  @Worker
  enum Queries {
    /// Recommends what those like who like what the caller likes (user-based collaborative filtering over likes), and where that is
    /// not enough, what is popular. None if the session does not stand.
    ///
    /// With A and B what two users like, their similarity is |A∩B| / √(|A|·|B|). The most similar active users are the caller's
    /// neighbours; of equals the one with the larger overlap, then with the lower id. A post's score is the sum of the similarities
    /// of the neighbours who like it. What the caller likes or wrote is not recommended.
    ///
    /// It reads every like of every post that the caller likes. The popular posts are only looked for when they are needed.
    ///
    /// - Parameters:
    ///   - limit: posts at most.
    ///   - neighbours: neighbours at most.
    static func recommendations(
      for caller: Caller, limit: Int64, neighbours: Int, on database: Database
    ) async throws(APIError) -> [Recommendation] {
      let isCandidate: Query = "p.user_id <> \(caller.userID) AND p.id NOT IN (SELECT post_id FROM liked)"
      let visible: Query = "posts p JOIN users u ON u.id = p.user_id AND u.blocked_at IS NULL"
      return try await database.read(
        """
        WITH caller AS (\(caller.session)),
        liked AS MATERIALIZED (
          SELECT l.post_id FROM caller JOIN likes l ON l.user_id = caller.user_id
        ),
        others AS (
          SELECT l.user_id, count(*) AS common, (SELECT count(*) FROM likes WHERE user_id = l.user_id) AS total
          FROM liked JOIN likes l ON l.post_id = liked.post_id
          WHERE l.user_id <> \(caller.userID)
          GROUP BY l.user_id
        ),
        neighbours AS MATERIALIZED (
          SELECT o.user_id, o.common / sqrt((SELECT count(*) FROM liked) * o.total::float8) AS similarity
          FROM others o JOIN users u ON u.id = o.user_id AND u.is_active
          -- The square of the similarity but for |A|: a quotient of whole numbers, in which equals are equal to the last bit.
          ORDER BY o.common * o.common / o.total::float8 DESC, o.common DESC, o.user_id
          LIMIT \(neighbours)
        ),
        by_neighbours AS MATERIALIZED (
          SELECT p.id, sum(n.similarity ORDER BY n.similarity) AS score
          FROM neighbours n JOIN likes l ON l.user_id = n.user_id JOIN (\(visible)) ON p.id = l.post_id
          WHERE \(isCandidate)
          GROUP BY p.id
          ORDER BY score DESC, p.id DESC
          LIMIT \(limit)
        ),
        popular_this_week AS MATERIALIZED (
          SELECT p.id, popular.likes
          FROM (
            SELECT post_id, count(*) AS likes FROM likes WHERE created_at > now() - interval '7 days'
            GROUP BY post_id
            ORDER BY likes DESC, post_id DESC
          ) popular JOIN (\(visible)) ON p.id = popular.post_id
          WHERE (SELECT count(*) FROM by_neighbours) < \(limit)
            AND \(isCandidate) AND p.id NOT IN (SELECT id FROM by_neighbours)
          ORDER BY popular.likes DESC, popular.post_id DESC
          LIMIT \(limit)
        ),
        popular_ever AS MATERIALIZED (
          SELECT p.id, popular.likes
          FROM (
            SELECT post_id, likes FROM post_stats WHERE likes > 0
            ORDER BY likes DESC, post_id DESC
          ) popular JOIN (\(visible)) ON p.id = popular.post_id
          WHERE (SELECT count(*) FROM by_neighbours) + (SELECT count(*) FROM popular_this_week) < \(limit)
            AND \(isCandidate) AND p.id NOT IN (SELECT id FROM by_neighbours) AND p.id NOT IN (SELECT id FROM popular_this_week)
          ORDER BY popular.likes DESC, popular.post_id DESC
          LIMIT \(limit)
        ),
        chosen AS (
          SELECT id, score, 'similar_users' AS reason, 1 AS choice, 0 AS likes FROM by_neighbours
          UNION ALL SELECT id, 0, 'popular', 2, likes FROM popular_this_week
          UNION ALL SELECT id, 0, 'popular', 3, likes FROM popular_ever
          ORDER BY choice, score DESC, likes DESC, id DESC
          LIMIT \(limit)
        )
        SELECT \(Post.columns(for: caller)), chosen.score, chosen.reason
        FROM caller CROSS JOIN chosen JOIN (\(Post.visible)) ON p.id = chosen.id
        ORDER BY chosen.choice, chosen.score DESC, chosen.likes DESC, chosen.id DESC
        """, as: Recommendation.self)
    }

    /// Whether the caller's session stands, asked when there was nothing to recommend.
    static func stands(_ caller: Caller, on database: Database) async throws(APIError) -> Bool {
      try await database.readOne("SELECT s.user_id FROM (\(caller.session)) s", as: Int64.self) != nil
    }
  }
}
