// Lists that run by a name: the cursor is the last name that was seen.

import EventLoop

/// How much of a list by name is asked for, and from where.
public struct NamedPage: Sendable {
  /// Rows at most, 1 to 100.
  public let limit: Int
  /// Rows with a name behind this.
  public let after: String

  /// The LIMIT of the statement: one row more, which tells whether there is a next page.
  public var fetch: Int { limit + 1 }
}

extension Input {
  /// As `page`, for a list that runs by name.
  public func namedPage() -> NamedPage {
    let limit = queryInteger("limit", 1...Page.maximumLimit, default: Page.defaultLimit)
    return NamedPage(limit: Int(limit), after: cursor(Cursor.decodeName) ?? "")
  }
}

extension Reply {
  /// As `list`, for a list that runs by name.
  public static func list<Row: Encodable>(_ rows: [Row], _ page: NamedPage, _ request: Request, name: (Row) -> String) -> Reply {
    Reply(status: 200, Array(rows.prefix(page.limit)), headers: linkToNext(rows, page.limit, request) { Cursor.encode(name($0)) })
  }
}

extension Cursor {
  package static func encode(_ name: String) -> String { Base64URL.encode(name.utf8) }

  /// A name has one byte at least, none of them a NUL.
  package static func decodeName(_ text: String) -> String? {
    guard let bytes = Base64URL.decode(Array(text.utf8)), !bytes.isEmpty, !bytes.contains(0) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }
}
