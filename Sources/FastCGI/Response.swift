/// What is sent back for one request.
public struct Response: Sendable {
  /// An HTTP status code, 200 to 599.
  public var status: Int
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]
  /// For HEAD: the length of the body is told, the body is not sent.
  public var omitsBody: Bool

  public init(status: Int = 200, headers: [(name: String, value: String)] = [], body: [UInt8] = [], omitsBody: Bool = false) {
    self.status = status
    self.headers = headers
    self.body = body
    self.omitsBody = omitsBody
  }

  /// Appends the header block in CGI form (RFC 3875, section 6.2). A header whose value holds a line break is left out: nothing
  /// that a client sent can add a header of its own.
  func appendHead(to head: inout [UInt8]) {
    head.append(contentsOf: "Status: ".utf8)
    head.append(contentsOf: status.description.utf8)
    head.append(UInt8(ascii: " "))
    // With its reason phrase: nginx passes on what it gets, and without one the status line would lack a blank.
    reason.withUTF8Buffer { head.append(contentsOf: $0) }
    for (name, value) in headers where !value.utf8.contains(where: { $0 == 13 || $0 == 10 || $0 == 0 }) {
      head.append(contentsOf: "\r\n".utf8)
      head.append(contentsOf: name.utf8)
      head.append(contentsOf: ": ".utf8)
      head.append(contentsOf: value.utf8)
    }
    // RFC 9110, section 8.6: an answer without content by its status has no length either.
    if status != 204 {
      head.append(contentsOf: "\r\nContent-Length: ".utf8)
      head.append(contentsOf: body.count.description.utf8)
    }
    head.append(contentsOf: "\r\n\r\n".utf8)
  }

  /// RFC 9110, section 15.
  private var reason: StaticString {
    switch status {
    case 200: "OK"
    case 204: "No Content"
    case 304: "Not Modified"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 409: "Conflict"
    case 412: "Precondition Failed"
    case 413: "Content Too Large"
    case 415: "Unsupported Media Type"
    case 422: "Unprocessable Content"
    case 429: "Too Many Requests"
    case 500: "Internal Server Error"
    case 503: "Service Unavailable"
    default: "Status"
    }
  }
}
