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
  ///   - position: where a row stands in the list.
  public static func list<Row: Encodable, Position: ListPosition>(
    _ rows: [Row], _ page: KeysetPage<Position>, _ request: Request, position: (Row) -> Position
  ) -> Reply {
    self.page({ $0 }, of: rows, page, request, position: position)
  }

  /// As `list`, for a page that is a member of a larger body.
  public static func page<Row, Position: ListPosition>(
    _ body: ([Row]) -> some Encodable, of rows: [Row], _ page: KeysetPage<Position>, _ request: Request, position: (Row) -> Position
  ) -> Reply {
    var headers: [(name: String, value: String)] = []
    if rows.count > page.limit {
      let next = request.nextPage(after: Cursor.encode(position(rows[page.limit - 1])), limit: page.limit)
      headers.append(("Link", "<\(next)>; rel=\"next\""))
    }
    return Reply(status: 200, body(Array(rows.prefix(page.limit))), headers: headers)
  }

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
