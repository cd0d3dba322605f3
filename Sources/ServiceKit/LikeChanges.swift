// How much has changed that an index of likes is made of.

import Postgres

/// What the database has counted so far, and when that was.
public struct LikeChanges: RowDecodable {
  /// Likes added and removed, users changed and removed, as far as the statistics know by now. It tells something only beside an earlier
  /// number: a difference is the least that has changed, and after a crash of the database the count begins anew.
  public let count: Int64
  /// Microseconds since 1970-01-01T00:00:00Z, by the database's clock: when the transaction began.
  public let time: Int64

  public init(row: inout RowReader) throws(PostgresError) {
    count = try row.next()
    time = try row.next()
  }

  /// For `SELECT \(LikeChanges.columns)`.
  public static let columns: Query = """
    pg_stat_get_tuples_inserted('likes'::regclass) + pg_stat_get_tuples_deleted('likes'::regclass) \
    + pg_stat_get_tuples_updated('users'::regclass) + pg_stat_get_tuples_deleted('users'::regclass), \
    (extract(epoch FROM now()) * 1000000)::bigint
    """
}
