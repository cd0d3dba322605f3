// Lists whose entries may turn out not to be shown: a walk through an index, in statements that each go so far and no further.
//
// What a blocked user has written leaves the indexes row by row (sql/0030_hidden.sql). Until it has, a list comes by it and asks each entry
// for its user. A hundred thousand of them in one statement would hold up whoever is behind it in the pipeline.

import EventLoop
import Postgres

/// A list in the order of an index, of which some entries are not shown.
public struct Walk {
  /// The table that the index is of.
  let table: Query
  /// What an entry is called in the following.
  let alias: Query
  /// Which entries are meant, from the position on.
  let condition: Query
  /// The order of the entries.
  let order: Query
  /// The joins that leave out what is not shown.
  let joins: Query
  /// What is read of those that are shown.
  let columns: Query
  /// The columns of the position, as the table has them.
  let position: Query
  /// For a list from the highest `id` down, when there is much to pass by: of an entry, then called `entry`, nothing is read but `id` and
  /// `user_id`, as the index has them, and these are its joins.
  let narrowJoins: Query?
  /// A statement that reads a whole page by another way, if there is one: for when there is much to pass by. No other statement follows.
  let detour: Query?

  public init(
    of table: Query, _ alias: Query, where condition: Query, order: Query, joins: Query, columns: Query, position: Query,
    narrowJoins: Query? = nil, detour: Query? = nil
  ) {
    self.table = table
    self.alias = alias
    self.condition = condition
    self.order = order
    self.joins = joins
    self.columns = columns
    self.position = position
    self.narrowJoins = narrowJoins
    self.detour = detour
  }

  /// The rows, so many at most, if no flags are on their way; none if some are. It costs a list less than one that ends by itself.
  fileprivate func plain(_ count: Int) -> Query {
    """
    SELECT \(columns) FROM \(table) \(alias) \(joins)
    WHERE \(condition) AND (SELECT true FROM unsettled_accounts LIMIT 1) IS NULL
    ORDER BY \(order)
    LIMIT \(count)
    """
  }

  private var entries: Query { "SELECT \(alias).* FROM \(table) \(alias) WHERE \(condition) ORDER BY \(order)" }
  private var narrowEntries: Query { "SELECT \(alias).id, \(alias).user_id FROM \(table) \(alias) WHERE \(condition) ORDER BY \(order)" }

  /// How many entries one statement looks at: a millisecond's work.
  private static let step = 2000
  private static let narrowStep = 5000

  /// The first rows, so many at most. If they are fewer, and the entries are not at their end, each comes with the position of the last
  /// entry that was looked at; where there are no rows that is a row of its own.
  fileprivate func first(_ count: Int) -> Query {
    """
    WITH page AS MATERIALIZED (
      SELECT true AS is_row, \(columns) FROM (\(entries) LIMIT \(Self.step)) \(alias) \(joins) ORDER BY \(order) LIMIT \(count)
    ), reached AS MATERIALIZED (
      SELECT \(position) FROM (\(entries) OFFSET \(Self.step - 1) LIMIT 1) last WHERE (SELECT count(*) FROM page) < \(count)
    )
    SELECT reached.*, page.* FROM (VALUES (1)) one LEFT JOIN reached ON true LEFT JOIN page ON true
    """
  }

  /// The next ones, in the same form, behind more hidden entries than are looked up one by one. Those of users whose flags are on their way
  /// are told by the users' ids, of eight at most; whether a row is shown is asked after that.
  fileprivate func next(_ count: Int) -> Query {
    guard let narrowJoins else { return first(count) }
    return """
      WITH looked_at AS MATERIALIZED (
        SELECT count(*) AS entries, min(id) AS last, array_agg(id) FILTER (WHERE user_id <> ALL (ARRAY(
          SELECT a.user_id FROM unsettled_accounts a JOIN users u ON u.id = a.user_id WHERE u.blocked_at IS NOT NULL LIMIT 8
        ))) AS ids
        FROM (\(narrowEntries) LIMIT \(Self.narrowStep)) entry
      ), page AS MATERIALIZED (
        SELECT true AS is_row, \(columns) FROM looked_at CROSS JOIN LATERAL unnest(looked_at.ids[1:\(count)]) AS entry (id) \(narrowJoins)
        ORDER BY entry.id DESC
      )
      SELECT CASE
          WHEN (SELECT count(*) FROM page) = \(count) THEN NULL
          WHEN cardinality(ids) > \(count) THEN ids[\(count)]
          WHEN entries = \(Self.narrowStep) THEN last
        END, page.*
      FROM looked_at LEFT JOIN page ON true
      """
  }
}

/// A position that a walk can go on from.
public protocol WalkPosition: ListPosition {
  /// Reads it from the next columns; nil if they are NULL.
  static func next(in row: inout RowReader) throws(PostgresError) -> Self?
}

extension Int64: WalkPosition {
  public static func next(in row: inout RowReader) throws(PostgresError) -> Int64? { try row.next() }
}

extension TimedPosition: WalkPosition {
  public static func next(in row: inout RowReader) throws(PostgresError) -> TimedPosition? {
    let time: Timestamp? = try row.next()
    let id: Int64? = try row.next()
    guard let time, let id else { return nil }
    return TimedPosition(time: time, id: id)
  }
}

/// One row of a walk's statement.
private struct Step<Position: WalkPosition, Row: RowDecodable>: RowDecodable {
  let reached: Position?
  let row: Row?

  init(row: inout RowReader) throws(PostgresError) {
    reached = try Position.next(in: &row)
    let isRow: Bool? = try row.next()
    self.row = isRow == nil ? nil : try Row(row: &row)
  }
}

extension Database {
  /// Fills a page, by as many statements as it takes: one, unless it is empty or flags are on their way.
  ///
  /// - Parameter walk: the list from the page's cursor on.
  /// - Returns: the page's rows and one more if there is one.
  public func read<Position: WalkPosition, Row: RowDecodable>(
    _ page: KeysetPage<Position>, as type: Row.Type, _ walk: (KeysetPage<Position>) -> Walk
  ) async throws(APIError) -> [Row] {
    let start = walk(page)
    var found = try await read(start.plain(page.fetch), as: Row.self)
    if !found.isEmpty { return found }
    var query = start.first(page.fetch)
    while true {
      let steps = try await read(query, as: Step<Position, Row>.self)
      found += steps.lazy.compactMap(\.row)
      guard found.count < page.fetch, let reached = steps.first?.reached else { return found }
      if let detour = start.detour { return try await read(detour, as: Row.self) }
      let rest = KeysetPage(limit: page.limit - found.count, cursor: reached)
      query = walk(rest).next(rest.fetch)
    }
  }
}
