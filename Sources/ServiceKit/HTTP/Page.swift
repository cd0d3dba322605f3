// Lists page by keyset: the cursor names the last row that was seen, so rows that come or go meanwhile shift nothing.

import EventLoop
import Postgres

/// How much of a list is asked for, and from where.
public struct Page: Sendable {
  /// Rows at most, 1 to 100.
  public let limit: Int
  /// The id of the last row of the page before; nil for the first page.
  public let cursor: Int64?

  /// The LIMIT of the statement: one row more, which tells whether there is a next page.
  public var fetch: Int { limit + 1 }
  /// For lists that run from newest to oldest: rows with an id below this.
  public var before: Int64 { cursor ?? .max }
  /// For lists that run from oldest to newest: rows with an id above this.
  public var after: Int64 { cursor ?? 0 }

  public static let defaultLimit: Int64 = 50
  public static let maximumLimit: Int64 = 100
}

/// The same for a list that runs by time, from newest to oldest, and by id where times are the same.
public struct TimedPage: Sendable {
  public let limit: Int
  /// The last row of the page before; nil for the first page.
  let cursor: TimedPosition?

  public var fetch: Int { limit + 1 }
  /// Rows below this: `(time, id) < (\(page.before.time), \(page.before.id))`.
  public var before: TimedPosition { cursor ?? TimedPosition(time: Timestamp(microseconds: .max), id: .max) }
}

/// Where a row stands in a list by time.
public struct TimedPosition: Equatable, Sendable {
  public let time: Timestamp
  public let id: Int64

  public init(time: Timestamp, id: Int64) {
    self.time = time
    self.id = id
  }
}

/// A position in a list as clients carry it: opaque, since its content may change.
package enum Cursor {
  package static func encode(_ id: Int64) -> String {
    Base64URL.encode(Array(bytes(of: id).drop { $0 == 0 }))
  }

  package static func decode(_ text: String) -> Int64? {
    guard let bytes = Base64URL.decode(Array(text.utf8)), (1...8).contains(bytes.count), bytes.first != 0 else { return nil }
    let value = bytes.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    return Int64(exactly: value)
  }

  package static func encode(_ position: TimedPosition) -> String {
    Base64URL.encode(bytes(of: position.time.microseconds) + bytes(of: position.id))
  }

  package static func decodeTimed(_ text: String) -> TimedPosition? {
    guard let bytes = Base64URL.decode(Array(text.utf8)), bytes.count == 16 else { return nil }
    let time = Int64(bitPattern: bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) })
    let id = Int64(bitPattern: bytes[8...].reduce(0) { $0 << 8 | UInt64($1) })
    return id > 0 && Timestamp.storable.contains(time) ? TimedPosition(time: Timestamp(microseconds: time), id: id) : nil
  }

  private static func bytes(of number: Int64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
}

extension Request {
  /// Reads `?limit=` and `?cursor=`.
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
    let address = "\(path.text)?\(pairs.joined(separator: "&"))"
    // These are no part of an address (RFC 3986, appendix A), but clients send them, and in the header they would end it.
    return address.replacing("<", with: "%3C").replacing(">", with: "%3E").replacing("\"", with: "%22")
  }
}

extension Input {
  /// As `Request.page`, for routes that read other fields too.
  public func page() -> Page {
    let limit = queryInteger("limit", 1...Page.maximumLimit, default: Page.defaultLimit)
    return Page(limit: Int(limit), cursor: cursor(Cursor.decode))
  }

  /// As `page`, for a list that runs by time.
  public func timedPage() -> TimedPage {
    let limit = queryInteger("limit", 1...Page.maximumLimit, default: Page.defaultLimit)
    return TimedPage(limit: Int(limit), cursor: cursor(Cursor.decodeTimed))
  }

  func cursor<Position>(_ decode: (String) -> Position?) -> Position? {
    guard let text = request.query["cursor"], !text.isEmpty else { return nil }
    if let position = decode(text) { return position }
    reject(.value("not a cursor of this list"), "query", "cursor", .string(text))
    return nil
  }
}
