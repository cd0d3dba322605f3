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

  /// A page of a list, as a JSON array; the address of the next page is in `Link` (RFC 8288) unless this is the last.
  ///
  /// - Parameters:
  ///   - rows: what the statement gave with `page.fetch` as its limit: one more than the page holds if there is a next one.
  ///   - id: the id by which the list is ordered.
  public static func list<Row: Encodable>(_ rows: [Row], _ page: Page, _ request: Request, id: (Row) -> Int64) -> Reply {
    Reply(status: 200, Array(rows.prefix(page.limit)), headers: linkToNext(rows, page.limit, request) { Cursor.encode(id($0)) })
  }

  /// As `list`, for a list that runs by time.
  public static func list<Row: Encodable>(
    _ rows: [Row], _ page: TimedPage, _ request: Request, position: (Row) -> TimedPosition
  ) -> Reply {
    Reply(status: 200, Array(rows.prefix(page.limit)), headers: linkToNext(rows, page.limit, request) { Cursor.encode(position($0)) })
  }

  /// As `list`, for a page that is a member of a larger body.
  public static func page<Row>(
    _ body: ([Row]) -> some Encodable, of rows: [Row], _ page: Page, _ request: Request, id: (Row) -> Int64
  ) -> Reply {
    Reply(status: 200, body(Array(rows.prefix(page.limit))), headers: linkToNext(rows, page.limit, request) { Cursor.encode(id($0)) })
  }

  static func linkToNext<Row>(
    _ rows: [Row], _ limit: Int, _ request: Request, cursor: (Row) -> String
  ) -> [(name: String, value: String)] {
    guard rows.count > limit else { return [] }
    return [("Link", "<\(request.nextPage(after: cursor(rows[limit - 1]), limit: limit))>; rel=\"next\"")]
  }

  /// A body of JSON that was written before, status 200.
  init(body: [UInt8]) {
    response = FastCGI.Response(status: 200, headers: [("Content-Type", "application/json")], body: body)
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
