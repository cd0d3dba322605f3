// What a handler returns.

import EventLoop
import FastCGI

/// A successful answer.
@Worker
public struct Reply {
  var response: FastCGI.Response

  /// A body of JSON, status 200.
  public static func json(_ value: some Encodable) -> Reply {
    Reply(status: 200, value, headers: [])
  }

  /// The longest body of a page, in bytes; one row is sent in any case.
  private static let pageSize = 256_000

  /// A page of a list, as a JSON array; the address of the next page is in `Link` (RFC 8288) unless this is the last. What would make the
  /// body too long is left to the next page.
  ///
  /// - Parameters:
  ///   - rows: what the statement gave with `page.fetch` as its limit: one more than the page holds if there is a next one.
  ///   - position: where a row stands in the list.
  public static func list<Row: Encodable, Position: ListPosition>(
    _ rows: [Row], _ page: KeysetPage<Position>, _ request: Request, position: (Row) -> Position
  ) -> Reply {
    self.page({ $0 }, of: rows, page, request, position: position)
  }

  /// As `list`, for a page that is a member of a larger body.
  public static func page<Row: Encodable, Position: ListPosition>(
    _ body: ([Row]) -> some Encodable, of rows: [Row], _ page: KeysetPage<Position>, _ request: Request, position: (Row) -> Position
  ) -> Reply {
    var shown = Array(rows.prefix(page.limit))
    var reply = Reply(status: 200, body(shown), headers: [])
    if reply.response.body.count > pageSize {
      shown = beginning(of: shown, within: pageSize - Reply(status: 200, body([]), headers: []).response.body.count)
      reply = Reply(status: 200, body(shown), headers: [])
    }
    if let last = shown.last, shown.count < rows.count {
      let next = request.nextPage(after: Cursor.encode(position(last)), limit: page.limit)
      reply.response.headers.append(("Link", "<\(next)>; rel=\"next\""))
    }
    return reply
  }

  /// As many rows from the first on as have so many bytes with the commas between, and at least one.
  private static func beginning<Row: Encodable>(of rows: [Row], within size: Int) -> [Row] {
    var room = size
    var count = 0
    for row in rows {
      room -= ((try? JSONWriter.encode(row))?.count ?? 0) + 1
      if room < -1, count > 0 { break }
      count += 1
    }
    return Array(rows.prefix(count))
  }

  /// 204 to OPTIONS (RFC 9110, section 9.3.7).
  init(allowed: [String]) {
    response = FastCGI.Response(status: 204, headers: [("Allow", allowed.joined(separator: ", "))], omitsBody: true)
  }

  func hasHeader(_ name: String) -> Bool { response.headers.contains { $0.name == name } }

  /// A body of JSON that was written before, status 200.
  init(body: [UInt8]) {
    response = FastCGI.Response(status: 200, headers: [("Content-Type", "application/json")], body: body)
  }

  /// A status and nothing else, for nginx itself when it asks (`auth_request`).
  public static func status(_ status: Int) -> Reply {
    var reply = Reply(body: [])
    reply.response.status = status
    reply.response.headers = []
    return reply
  }

  init(_ error: APIError) {
    switch error.detail {
    case .text(let text): self.init(status: error.status, Detail(detail: text), headers: error.headers)
    case .fields(let fields): self.init(status: error.status, Detail(detail: fields), headers: error.headers)
    }
  }

  init(status: Int, _ value: some Encodable, headers: [(name: String, value: String)]) {
    var headers = headers
    headers.append(("Content-Type", "application/json"))
    // Every body is made of our own types, whose numbers are finite: encoding cannot fail.
    let body = (try? JSONWriter.encode(value)) ?? Array(#"{"detail":"Internal Server Error"}"#.utf8)
    response = FastCGI.Response(status: status, headers: headers, body: body)
  }
}

/// `{"message": …}`
public struct Message: Encodable, Sendable {
  public let message: String
  public init(_ message: String) { self.message = message }
}

private struct Detail<Value: Encodable>: Encodable {
  let detail: Value
}
