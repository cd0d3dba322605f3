// Lists page by keyset: the cursor names the last row that was seen, so rows that come or go meanwhile shift nothing.

import EventLoop

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

/// A position in a list as clients carry it: opaque, since its content may change.
package enum Cursor {
  package static func encode(_ id: Int64) -> String {
    withUnsafeBytes(of: id.bigEndian) { Base64URL.encode(Array($0.drop { $0 == 0 })) }
  }

  package static func decode(_ text: String) -> Int64? {
    guard let bytes = Base64URL.decode(Array(text.utf8)), (1...8).contains(bytes.count), bytes.first != 0 else { return nil }
    let value = bytes.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    return Int64(exactly: value)
  }
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

  /// The address of the page that starts behind `id`, relative to this server (RFC 8288, section 3.1, and RFC 3986, section 4.2).
  func nextPage(after id: Int64, limit: Int) -> String {
    var pairs = query.rawPairs.filter { !["limit", "cursor"].contains($0.name) }.map(\.text)
    pairs.append("limit=\(limit)")
    pairs.append("cursor=\(Cursor.encode(id))")
    let address = "\(path.text)?\(pairs.joined(separator: "&"))"
    // These are no part of an address (RFC 3986, appendix A), but clients send them, and in the header they would end it.
    return address.replacing("<", with: "%3C").replacing(">", with: "%3E").replacing("\"", with: "%22")
  }
}

extension Input {
  /// As `Request.page`, for routes that read other fields too.
  public func page() -> Page {
    let limit = queryInteger("limit", 1...Page.maximumLimit, default: Page.defaultLimit)
    return Page(limit: Int(limit), cursor: cursor())
  }

  private func cursor() -> Int64? {
    guard let text = request.query["cursor"], !text.isEmpty else { return nil }
    if let id = Cursor.decode(text) { return id }
    reject(.value("not a cursor of this list"), "query", "cursor", .string(text))
    return nil
  }
}
