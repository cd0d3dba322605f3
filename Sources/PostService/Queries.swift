// chatty-posts' statements.
//
// A like or a comment is counted by the statement that adds it, once it has locked the caller and the post: the order in which everybody
// takes locks is in sql/0004_counters.sql. What removes rows is counted by triggers.

import EventLoop
import ServiceKit

extension PostService {
  @Worker
  enum Queries {
    // MARK: Posts

    /// Newest first. None if the session of whoever has a token does not stand.
    ///
    /// - Parameter author: whose posts; nil for everybody's.
    static func list(
      _ page: Page, by author: Int64?, for reader: Caller, on database: Database
    ) async throws(APIError) -> [Post] {
      guard let author else {
        return try await database.read(page, as: Post.self) { page in
          Walk(
            of: "posts", "p", where: "p.id < \(page.before) AND NOT p.hidden AND \(reader.isNobodyOrStands)", order: "p.id DESC NULLS LAST",
            joins: Post.ownerAndCounters, columns: Post.columns(for: reader), position: "id",
            narrowJoins: "CROSS JOIN LATERAL (SELECT * FROM posts WHERE id = entry.id LIMIT 1) p \(Post.ownerAndCounters)",
            detour: page.cursor == nil ? newest(page, for: reader) : nil)
        }
      }
      // Of one author either all posts are hidden or none, whatever their flags say just now. In the place of a value: of a blocked author
      // there is none, and not one of their posts is looked at.
      return try await database.read(
        """
        SELECT \(Post.columns(for: reader)) FROM posts p \(Post.ownerAndCounters)
        WHERE p.id < \(page.before) AND p.user_id = (SELECT a.id FROM users a WHERE a.id = \(author) AND a.blocked_at IS NULL)
          AND \(reader.isNobodyOrStands)
        ORDER BY p.id DESC
        LIMIT \(page.fetch)
        """, as: Post.self)
    }

    /// The first page, by those with the newest last posts: whatever one of them has written who is blocked, it is one author who is left out.
    private static func newest(_ page: Page, for reader: Caller) -> Query {
      """
      WITH authors AS (
        SELECT latest.user_id, latest.last_post_id
        FROM (
          SELECT user_id, last_post_id FROM author_stats
          WHERE last_post_id IS NOT NULL AND \(reader.isNobodyOrStands)
          ORDER BY last_post_id DESC
        ) latest
        CROSS JOIN LATERAL (SELECT FROM users u WHERE u.id = latest.user_id AND u.blocked_at IS NULL LIMIT 1) visible
        ORDER BY latest.last_post_id DESC
        LIMIT \(page.fetch)
      ),
      merged AS (\(Post.newestByAuthors(page)))
      SELECT \(Post.columns(for: reader))
      FROM merged CROSS JOIN LATERAL (SELECT * FROM posts WHERE id = merged.id LIMIT 1) p \(Post.ownerAndCounters)
      ORDER BY merged.id DESC
      """
    }

    /// nil if there is none, if its author is blocked, or if the session of whoever has a token does not stand.
    static func post(_ id: Int64, for reader: Caller, on database: Database) async throws(APIError) -> Post? {
      try await database.readOne(
        "SELECT \(Post.columns(for: reader)) FROM \(Post.visible) WHERE p.id = \(id) AND \(reader.isNobodyOrStands)", as: Post.self)
    }

    /// The id of a post's author; nil if there is no such post, or if its author is blocked.
    static func author(of post: Int64, on database: Database) async throws(APIError) -> Int64? {
      try await database.readOne("SELECT p.user_id FROM \(Post.visible) WHERE p.id = \(post)", as: Int64.self)
    }

    /// nil if the session does not stand.
    static func create(_ new: NewPost, by caller: Caller, on database: Database) async throws(APIError) -> Post? {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.lockedSession)),
        added AS (
          INSERT INTO posts (user_id, title, content) SELECT user_id, \(new.title), \(new.content) FROM caller
          RETURNING *
        )
        SELECT \(Post.columnsWhenAdded) FROM added p JOIN caller u ON u.user_id = p.user_id
        """, as: Post.self)
    }

    /// Changes what is given and leaves what is nil. A post that is like that already keeps its version.
    ///
    /// - Parameters:
    ///   - imageAlt: empty for none.
    ///   - versions: it is changed only if it has one of these; nil: whatever it has.
    /// - Returns: the post as it is now; nil, and nothing has changed, if it is not the caller's or has another version, or if it is to get
    ///   an alternative text and has no image.
    static func update(
      _ id: Int64, title: String?, content: String?, imageAlt: String?, ifOneOf versions: [Int64]?, by caller: Caller,
      on database: Database
    ) async throws(APIError) -> Post? {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session)),
        given AS (SELECT \(title) AS title, \(content) AS content, \(imageAlt) AS image_alt),
        changed AS (
          UPDATE posts SET
            title = coalesce(given.title, posts.title),
            content = coalesce(given.content, posts.content),
            image_alt = nullif(coalesce(given.image_alt, posts.image_alt), ''),
            -- Later than the last time in any case: it is the version, and of two transactions the one that began first may end last.
            updated_at = CASE
              WHEN given.title <> posts.title OR given.content <> posts.content OR given.image_alt <> coalesce(posts.image_alt, '')
              THEN greatest(now(), posts.updated_at + interval '1 microsecond')
              ELSE posts.updated_at
            END
          FROM caller, given
          WHERE posts.id = \(id) AND posts.user_id = caller.user_id \(hasVersion(of: versions))
            AND (posts.image_key IS NOT NULL OR coalesce(given.image_alt, '') = '')
          RETURNING posts.*
        )
        SELECT \(Post.columns(for: caller))
        FROM changed p JOIN caller u ON u.user_id = p.user_id JOIN post_stats s ON s.post_id = p.id
        """, as: Post.self)
    }

    /// Whether a post is the caller's and has no image. False also if the session does not stand.
    static func isWithoutImage(_ post: Int64, of caller: Caller, on database: Database) async throws(APIError) -> Bool {
      try await database.readOne(
        """
        SELECT p.id FROM (\(caller.session)) me JOIN posts p ON p.user_id = me.user_id
        WHERE p.id = \(post) AND p.image_key IS NULL
        """, as: Int64.self) != nil
    }

    /// Deletes a post with its comments and likes. False, and nothing has changed, if it is not the caller's or has another version.
    ///
    /// - Parameter versions: as of `update`.
    static func delete(
      _ id: Int64, ifOneOf versions: [Int64]?, by caller: Caller, on database: Database
    ) async throws(APIError) -> Bool {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session))
        DELETE FROM posts USING caller WHERE posts.id = \(id) AND posts.user_id = caller.user_id \(hasVersion(of: versions))
        RETURNING posts.id
        """, as: Int64.self) != nil
    }

    /// A further condition on a row of `posts`.
    private static func hasVersion(of versions: [Int64]?) -> Query {
      versions.map { "AND \(Post.versionColumn) = ANY (\(IDList($0)))" } ?? ""
    }

    // MARK: Comments

    /// nil, and nothing has changed, if there is no such post or the session does not stand.
    static func comment(
      on post: Int64, content: String, by caller: Caller, on database: Database
    ) async throws(APIError) -> Comment? {
      try await database.writeOne(
        """
        WITH post AS (\(locked(post, for: caller))),
        added AS (
          INSERT INTO comments (post_id, user_id, content) SELECT post.id, post.user_id, \(content) FROM post
          RETURNING *
        ),
        counted AS (
          UPDATE post_stats s SET comments = s.comments + 1 FROM added WHERE s.post_id = added.post_id
        )
        SELECT \(Comment.columns) FROM added c JOIN post u ON u.user_id = c.user_id
        """, as: Comment.self)
    }

    /// Oldest first, without those of blocked users. Empty also if there is no such post.
    static func comments(of post: Int64, _ page: Page, on database: Database) async throws(APIError) -> [Comment] {
      try await database.read(page, as: Comment.self) { page in
        Walk(
          // A range of one index, and its order: where most comments are on one post, all comments by id would look as good. It ends where
          // the hidden ones begin.
          of: "comments", "c",
          where: "c.post_id = (\(visible(post))) AND (c.hidden, c.id) > (false, \(page.after)) AND c.hidden <= false",
          order: "c.hidden, c.id", joins: "CROSS JOIN LATERAL (\(author(of: "c"))) u", columns: Comment.columns, position: "id")
      }
    }

    /// Deletes a comment of the caller's, or on a post of theirs. False, and nothing has changed, if it is neither, or cannot be seen.
    static func deleteComment(
      _ comment: Int64, on post: Int64, by caller: Caller, on database: Database
    ) async throws(APIError) -> Bool {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session)),
        found AS (
          SELECT c.id FROM caller, \(visibleComments)
          WHERE c.id = \(comment) AND p.id = \(post) AND caller.user_id IN (c.user_id, p.user_id)
        )
        DELETE FROM comments USING found WHERE comments.id = found.id
        RETURNING comments.id
        """, as: Int64.self) != nil
    }

    /// Whether there is such a comment that can be seen.
    static func hasComment(_ comment: Int64, on post: Int64, on database: Database) async throws(APIError) -> Bool {
      try await database.readOne(
        "SELECT c.id FROM \(visibleComments) WHERE c.id = \(comment) AND p.id = \(post)", as: Int64.self) != nil
    }

    /// Comments `c` by `u` on posts `p`, without those that are hidden because either's author is blocked.
    private static let visibleComments: Query = """
      posts p JOIN users author ON author.id = p.user_id AND author.blocked_at IS NULL
      JOIN comments c ON c.post_id = p.id
      JOIN users u ON u.id = c.user_id AND u.blocked_at IS NULL
      """

    /// The id of a post unless it is hidden, in the place of a value.
    private static func visible(_ post: Int64) -> Query {
      "SELECT p.id FROM posts p WHERE p.id = \(post) AND (SELECT true FROM users a WHERE a.id = p.user_id AND a.blocked_at IS NULL)"
    }

    /// Whose a comment or a like is, unless they are blocked: asked row by row, until the page is full (as by `Post.ownerAndCounters`).
    private static func author(of row: Query) -> Query {
      "SELECT username FROM users WHERE id = \(row).user_id AND blocked_at IS NULL LIMIT 1"
    }

    // MARK: Likes

    /// Likes a post, if the caller does not yet. False if there is no such post or the session does not stand.
    static func like(_ post: Int64, by caller: Caller, on database: Database) async throws(APIError) -> Bool {
      try await database.writeOne(
        """
        WITH post AS (\(locked(post, for: caller))),
        added AS (
          INSERT INTO likes (user_id, post_id) SELECT post.user_id, post.id FROM post
          ON CONFLICT DO NOTHING
          RETURNING post_id
        ),
        counted AS (
          UPDATE post_stats s SET likes = s.likes + 1 FROM added WHERE s.post_id = added.post_id
        )
        SELECT post.id FROM post
        """, as: Int64.self) != nil
    }

    /// False if the caller does not like the post, or if the session does not stand.
    static func unlike(_ post: Int64, by caller: Caller, on database: Database) async throws(APIError) -> Bool {
      try await database.writeOne(
        """
        WITH caller AS (\(caller.session))
        DELETE FROM likes USING caller WHERE likes.user_id = caller.user_id AND likes.post_id = \(post)
        RETURNING likes.post_id
        """, as: Int64.self) != nil
    }

    /// Who likes a post, newest first, without blocked users. Empty also if there is no such post.
    static func likes(of post: Int64, _ page: KeysetPage<TimedPosition>, on database: Database) async throws(APIError) -> [Like] {
      try await database.read(page, as: Like.self) { page in
        Walk(
          of: "likes", "l",
          where: """
            l.post_id = (\(visible(post))) AND NOT l.hidden AND (l.created_at, l.user_id) < (\(page.before.time), \(page.before.id))
            """,
          order: "l.created_at DESC, l.user_id DESC", joins: "CROSS JOIN LATERAL (\(author(of: "l"))) u", columns: Like.columns,
          position: "created_at, user_id")
      }
    }

    // MARK: Reports

    /// Reports a post. If the caller has a report on it that is still open, that gets the reason too, unless it has it; what does not fit
    /// (sql/0033_reports.sql) is cut. False if there is no such post or the session does not stand.
    static func report(
      _ post: Int64, because reason: String, by caller: Caller, on database: Database
    ) async throws(APIError) -> Bool {
      try await database.writeOne(
        """
        WITH post AS (\(locked(post, for: caller))),
        added AS (
          INSERT INTO reports (post_id, user_id, reason) SELECT post.id, post.user_id, \(reason) FROM post
          ON CONFLICT (post_id, user_id) WHERE resolved_at IS NULL
            DO UPDATE SET reason = left(reports.reason || E'\\n' || excluded.reason, 20000)
            WHERE strpos(E'\\n' || reports.reason || E'\\n', E'\\n' || excluded.reason || E'\\n') = 0
        )
        SELECT post.id FROM post
        """, as: Int64.self) != nil
    }

    /// The `id` of a post that may be seen, with the caller's `user_id` and `username`: both are kept from going until the
    /// transaction ends, as by `Caller.lockedSession`, but in one step, which costs a comment hardly anything. No row if there is no such
    /// post or the session does not stand.
    private static func locked(_ post: Int64, for caller: Caller) -> Query {
      // One row at most is locked, in the order in which the tables are named. The author is in the place of a value, which is not turned
      // into a join.
      """
      SELECT p.id, me.user_id, me.username
      FROM (\(caller.session)) me JOIN users u ON u.id = me.user_id AND u.is_active CROSS JOIN posts p
      WHERE p.id = \(post) AND (SELECT true FROM users author WHERE author.id = p.user_id AND author.blocked_at IS NULL)
      FOR SHARE OF u FOR KEY SHARE OF p
      """
    }
  }
}
