// chatty-recommendations' statements. The first is the definition of what is recommended.

import EventLoop
import ServiceKit

extension RecommendationService {
  @Worker
  enum Queries {
    /// Recommends what those like who like what the caller likes (user-based collaborative filtering over likes), and where that is
    /// not enough, what is popular. None if the session does not stand.
    ///
    /// With A and B what two users like, their similarity is |A∩B| / √(|A|·|B|), times n / (n + d) where overlaps of n likes are
    /// damped by d. The most similar active users are the caller's neighbours; of equals the one with the larger overlap, then with
    /// the lower id. A post's score is the sum of the similarities of the neighbours who like it. What the caller likes or wrote is not
    /// recommended. Popular is what was liked most in the last seven days, then at all.
    ///
    /// It reads every like of every post that the caller likes: the definition, and what answers where there is no index.
    ///
    /// - Parameters:
    ///   - limit: posts at most.
    ///   - neighbours: neighbours at most.
    ///   - damping: d; 0 damps nothing.
    static func recommendations(
      for caller: Caller, limit: Int64, neighbours: Int, damping: Int, on database: Database
    ) async throws(APIError) -> [Recommendation] {
      try await database.read(
        statement(
          for: caller, limit: limit, neighbours: neighbours, damping: damping,
          liked: "SELECT l.post_id FROM caller JOIN likes l ON l.user_id = caller.user_id",
          others: """
            SELECT l.user_id, count(*) AS common, (SELECT count(*) FROM likes WHERE user_id = l.user_id) AS total
            FROM liked JOIN likes l ON l.post_id = liked.post_id
            WHERE l.user_id <> \(caller.userID)
            GROUP BY l.user_id
            """,
          popular: """
            SELECT s.post_id AS id,
              row_number() OVER (ORDER BY week.likes DESC NULLS LAST, CASE WHEN week.likes IS NULL THEN s.likes END DESC, s.post_id DESC) AS place
            FROM post_stats s LEFT JOIN (
              SELECT post_id, count(*) AS likes FROM likes WHERE created_at > now() - interval '7 days' AND NOT hidden GROUP BY post_id
            ) week ON week.post_id = s.post_id
            WHERE s.likes > 0
            """),
        as: Recommendation.self)
    }

    /// The same with the neighbours that the index names, those who are active, and popular posts as it names them. Their likes and the
    /// posts are looked at as they are now.
    ///
    /// - Parameters:
    ///   - liked: ids of the posts that the caller likes.
    ///   - candidates: ids of users, the most similar first.
    ///   - popular: ids of posts, the most popular first.
    static func recommendations(
      for caller: Caller, liking liked: [Int64], limit: Int64, neighbours: Int, among candidates: [Int64], popular: [Int64], damping: Int,
      on database: Database
    ) async throws(APIError) -> [Recommendation] {
      try await database.read(
        statement(
          for: caller, limit: limit, neighbours: neighbours, damping: damping,
          liked: "SELECT unnest(\(IDList(liked))) AS post_id",
          others: """
            SELECT l.user_id, count(*) FILTER (WHERE l.post_id IN (SELECT post_id FROM liked)) AS common, count(*) AS total
            FROM (
              SELECT c.user_id FROM unnest(\(IDList(candidates))) WITH ORDINALITY AS c(user_id, place) JOIN users u ON u.id = c.user_id AND u.is_active
              ORDER BY c.place
              LIMIT \(neighbours)
            ) c JOIN likes l ON l.user_id = c.user_id
            GROUP BY l.user_id
            """,
          popular: "SELECT c.id, c.place FROM unnest(\(IDList(popular))) WITH ORDINALITY AS c(id, place)"),
        as: Recommendation.self)
    }

    /// - Parameters:
    ///   - liked: `post_id` of all that the caller likes.
    ///   - others: `user_id`, how many likes they have in `common` with the caller, and in `total`.
    ///   - popular: `id` and `place` of posts.
    private static func statement(
      for caller: Caller, limit: Int64, neighbours: Int, damping: Int, liked: Query, others: Query, popular: Query
    ) -> Query {
      let weight: Query = "(o.common / (o.common + \(Double(damping))))"
      // Looked up one by one, in the order in which they come, until there are enough: OFFSET keeps the planner from joining all.
      let candidate: Query = """
        SELECT p.id FROM posts p JOIN users u ON u.id = p.user_id AND u.blocked_at IS NULL \
        WHERE p.id = c.id AND p.user_id <> \(caller.userID) OFFSET 0
        """
      return """
        WITH caller AS (\(caller.session)),
        liked AS MATERIALIZED (
          \(liked)
        ),
        others AS MATERIALIZED (
          \(others)
        ),
        neighbours AS MATERIALIZED (
          -- With 40 binary digits it can be summed up exactly, in any order: equals are equal.
          SELECT o.user_id, round(o.common / sqrt((SELECT count(*) FROM liked) * o.total::float8) * \(weight) * 1099511627776) / 1099511627776
            AS similarity
          FROM others o JOIN users u ON u.id = o.user_id AND u.is_active
          WHERE o.common > 0
          -- The square of the similarity but for |A|: a quotient of whole numbers, in which equals are equal to the last bit.
          ORDER BY o.common * o.common / o.total::float8 * \(weight) * \(weight) DESC, o.common DESC, o.user_id
          LIMIT \(neighbours)
        ),
        by_neighbours AS MATERIALIZED (
          SELECT c.id, c.score
          FROM (
            SELECT l.post_id AS id, sum(n.similarity) AS score
            FROM neighbours n JOIN likes l ON l.user_id = n.user_id
            WHERE l.post_id NOT IN (SELECT post_id FROM liked)
            GROUP BY l.post_id
            ORDER BY score DESC, id DESC
          ) c CROSS JOIN LATERAL (\(candidate)) visible
          ORDER BY c.score DESC, c.id DESC
          LIMIT \(limit)
        ),
        popular AS MATERIALIZED (
          SELECT c.id, c.place
          FROM (
            SELECT c.id, c.place FROM (\(popular)) c
            WHERE (SELECT count(*) FROM by_neighbours) < \(limit)
              AND c.id NOT IN (SELECT post_id FROM liked) AND c.id NOT IN (SELECT id FROM by_neighbours)
            ORDER BY c.place
          ) c CROSS JOIN LATERAL (\(candidate)) visible
          -- What only users liked who have been blocked since is popular no longer.
          CROSS JOIN LATERAL (SELECT FROM post_stats s WHERE s.post_id = c.id AND s.likes > 0 OFFSET 0) liked
          ORDER BY c.place
          LIMIT \(limit)
        ),
        chosen AS (
          SELECT id, score, 'similar_users' AS reason, row_number() OVER (ORDER BY score DESC, id DESC) AS place FROM by_neighbours
          UNION ALL
          SELECT id, 0, 'popular', (SELECT count(*) FROM by_neighbours) + row_number() OVER (ORDER BY place) FROM popular
          ORDER BY place
          LIMIT \(limit)
        )
        SELECT \(Post.columns(for: caller)), chosen.score, chosen.reason
        FROM caller CROSS JOIN chosen JOIN (\(Post.visible)) ON p.id = chosen.id
        ORDER BY chosen.place
        """
    }

    /// The ids of all that the caller likes; nil if the session does not stand.
    static func liked(by caller: Caller, on database: Database) async throws(APIError) -> [Int64]? {
      try await database.readOne(
        """
        SELECT ARRAY(SELECT l.post_id FROM likes l WHERE l.user_id = s.user_id ORDER BY l.post_id) FROM (\(caller.session)) s
        """, as: LikedPosts.self)?.ids
    }
  }
}

private struct LikedPosts: RowDecodable {
  let ids: [Int64]
  init(row: inout RowReader) throws(PostgresError) { ids = try row.next(IDList.self).ids }
}
