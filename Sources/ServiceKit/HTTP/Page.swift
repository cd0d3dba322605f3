// Lists page by keyset: the cursor names the last row that was seen, so rows that come or go meanwhile shift nothing.

import EventLoop
import Postgres

/// How much of a list is asked for, and from where.
public struct KeysetPage<Position: ListPosition>: Sendable {
  /// Rows at most, 1 to 100.
  public let limit: Int
  /// Where the last row of the page before stood; nil for the first page.
  public let cursor: Position?

  /// The LIMIT of the statement: one row more, which tells whether there is a next page.
  public var fetch: Int { limit + 1 }
}

/// A page of a list by id.
public typealias Page = KeysetPage<Int64>

extension KeysetPage where Position == Int64 {
  /// For lists that run from newest to oldest: rows with an id below this.
  public var before: Int64 { cursor ?? .max }
  /// For lists that run from oldest to newest: rows with an id above this.
  public var after: Int64 { cursor ?? 0 }
}

extension KeysetPage where Position == TimedPosition {
  /// For lists that run from newest to oldest: rows with `(time, id) < (\(page.before.time), \(page.before.id))`.
  public var before: TimedPosition { cursor ?? TimedPosition(time: Timestamp(microseconds: .max), id: .max) }
}

extension KeysetPage where Position == String {
  /// Rows with a name behind this.
  public var after: String { cursor ?? "" }
}

extension Request {
  /// Reads `?limit=` and `?cursor=` of a list by id.
  ///
  /// - Throws: 422 for a limit outside 1…100 and for a cursor that no list has given out.
  public func page() throws(APIError) -> Page {
    let input = self.input
    let page = input.page()
    try input.validate()
    return page
  }

  /// The address of the page that starts behind `cursor`, relative to this server (RFC 8288, section 3.1, and RFC 3986, section 4.2).
  func nextPage(after cursor: String, limit: Int) -> String {
    var pairs = query.rawPairs.filter { !["limit", "cursor"].contains($0.name) }.map(\.text)
    pairs.append("limit=\(limit)")
    pairs.append("cursor=\(cursor)")
    return PercentEncoding.address("\(path.text)?\(pairs.joined(separator: "&"))")
  }
}

extension Input {
  private static let defaultLimit: Int64 = 50
  private static let limits: ClosedRange<Int64> = 1...100

  /// As `Request.page`, for routes that read other fields too, and for lists by something else than an id.
  public func page<Position: ListPosition>(by type: Position.Type = Int64.self) -> KeysetPage<Position> {
    let limit = queryInteger("limit", Self.limits, default: Self.defaultLimit)
    return KeysetPage(limit: Int(limit), cursor: cursor())
  }

  private func cursor<Position: ListPosition>() -> Position? {
    guard let text = request.query["cursor"], !text.isEmpty else { return nil }
    if let position = Cursor.decode(text, as: Position.self) { return position }
    reject(.value("not a cursor of this list"), "query", "cursor", .string(text))
    return nil
  }
}
