// The index of likes, from one snapshot of the database.

import Glibc
import LikeIndex
import Postgres
import ServiceKit

enum IndexBuild {
  /// How long one copy may take: it goes through a whole table, and nobody waits for it.
  private static let timeout = Duration.seconds(3_600)

  /// Builds the index and puts it in its place.
  ///
  /// - Parameter waiting: whether to wait while somebody else builds.
  /// - Throws: `IndexError`, `busy` among them, or `PostgresError`. The index in use stays then.
  static func run(_ settings: Settings, waiting: Bool) throws -> IndexHeader {
    let path = settings.recommendationIndex
    mkdir(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]), 0o750)
    let lock = try BuildLock(path: path, waiting: waiting)
    defer { withExtendedLifetime(lock) {} }
    // Requests come first.
    nice(10)

    var connection = settings.database
    connection.statementTimeout = timeout
    let reader = try SnapshotReader(connection)
    guard let snapshot = try reader.one(SnapshotRow.query, as: SnapshotRow.self)?.snapshot else {
      throw Failure("The database says nothing.")
    }
    let builder = try IndexBuilder(path: path)
    try reader.copy("COPY (SELECT id FROM users WHERE is_active) TO STDOUT (FORMAT binary)") { row in
      builder.add(user: try row.next())
    }
    // Those of blocked users count for nothing.
    try reader.copy("COPY (SELECT user_id, post_id FROM likes WHERE NOT hidden) TO STDOUT (FORMAT binary)") { row in
      try builder.add(likeBy: try row.next(), of: try row.next())
    }
    try reader.copy(
      """
      COPY (SELECT post_id, count(*) FROM likes WHERE created_at > now() - interval '7 days' AND NOT hidden GROUP BY post_id) TO STDOUT (FORMAT binary)
      """
    ) { row in
      let post = try row.next()
      builder.add(recentLikes: try row.next(), of: post)
    }
    try reader.copy(
      """
      COPY (SELECT p.id, p.user_id FROM posts p JOIN users u ON u.id = p.user_id AND u.blocked_at IS NULL) TO STDOUT (FORMAT binary)
      """
    ) { row in
      let post = try row.next()
      builder.add(visiblePost: post, by: try row.next())
    }
    return try builder.finish(snapshot)
  }
}

/// Where the snapshot is in the database's history.
private struct SnapshotRow: RowDecodable {
  let snapshot: IndexHeader.Snapshot

  static let query: Query = """
    SELECT \(LikeChanges.columns),
      pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
      (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::bigint
    """

  init(row: inout RowReader) throws(PostgresError) {
    let changes = try LikeChanges(row: &row)
    let (xmin, xmax, walPosition): (Int64, Int64, Int64) = (try row.next(), try row.next(), try row.next())
    snapshot = IndexHeader.Snapshot(
      xmin: UInt64(bitPattern: xmin), xmax: UInt64(bitPattern: xmax), walPosition: UInt64(bitPattern: walPosition), takenAt: changes.time,
      changes: changes.count)
  }
}
