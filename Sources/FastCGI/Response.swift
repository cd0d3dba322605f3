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

  /// The header block in CGI form (RFC 3875, section 6.2). A header whose value holds a line break is left out: nothing that a
  /// client sent can add a header of its own.
  var head: [UInt8] {
    var head = Array("Status: \(status)\r\n".utf8)
    for (name, value) in headers where !value.utf8.contains(where: { $0 == 13 || $0 == 10 || $0 == 0 }) {
      head.append(contentsOf: name.utf8)
      head.append(contentsOf: ": ".utf8)
      head.append(contentsOf: value.utf8)
      head.append(contentsOf: "\r\n".utf8)
    }
    head.append(contentsOf: "Content-Length: \(body.count)\r\n\r\n".utf8)
    return head
  }
}
