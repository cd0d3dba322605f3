// The web server's side of a FastCGI connection, with blocking calls on a thread of its own.

import Foundation
import Glibc

/// What came back for one request.
public struct ClientResponse: Sendable {
  public let status: Int
  public let headers: [(name: String, value: String)]
  public let body: [UInt8]
  /// What came as FCGI_STDERR.
  public let errorOutput: [UInt8]

  public var text: String { String(decoding: body, as: UTF8.self) }

  public subscript(header: String) -> String? { headers.first { $0.name == header }?.value }

  /// The body as whatever JSON it is, for comparing; nil if it is none.
  public var json: JSONBody? { try? JSONDecoder().decode(JSONBody.self, from: Data(body)) }

  init(standardOutput: [UInt8], errorOutput: [UInt8]) throws {
    self.errorOutput = errorOutput
    guard let end = standardOutput.firstRange(of: Array("\r\n\r\n".utf8)) else { throw TestError("no header block in the response") }
    let lines = String(decoding: standardOutput[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    let all = try lines.map { line in
      guard let colon = line.range(of: ": ") else { throw TestError("no header: \(line)") }
      return (name: String(line[..<colon.lowerBound]), value: String(line[colon.upperBound...]))
    }
    guard let first = all.first, first.name == "Status", let status = Int(first.value.prefix(while: \.isNumber)) else {
      throw TestError("no status")
    }
    self.status = status
    headers = Array(all.dropFirst())
    body = Array(standardOutput[end.upperBound...])
  }
}

/// Any JSON.
public enum JSONBody: Equatable, Sendable, Decodable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByFloatLiteral
{
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSONBody])
  case object([String: JSONBody])

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let bool = try? container.decode(Bool.self) {
      self = .bool(bool)
    } else if let integer = try? container.decode(Int64.self) {
      self = .integer(integer)
    } else if let number = try? container.decode(Double.self) {
      self = .number(number)
    } else if let string = try? container.decode(String.self) {
      self = .string(string)
    } else if let array = try? container.decode([JSONBody].self) {
      self = .array(array)
    } else {
      self = .object(try container.decode([String: JSONBody].self))
    }
  }

  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(nilLiteral: ()) { self = .null }
  public init(arrayLiteral elements: JSONBody...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSONBody)...) { self = .object(Dictionary(uniqueKeysWithValues: elements)) }

  public subscript(key: String) -> JSONBody? {
    if case .object(let members) = self { members[key] } else { nil }
  }
  public subscript(index: Int) -> JSONBody? {
    if case .array(let elements) = self, elements.indices.contains(index) { elements[index] } else { nil }
  }
  public var count: Int? {
    switch self {
    case .array(let elements): elements.count
    case .object(let members): members.count
    default: nil
    }
  }
}

/// One connection to a responder.
public actor FastCGIClient {
  private nonisolated let executor: ThreadExecutor
  private let descriptor: Int32
  /// Received and not yet looked at.
  private var received: [UInt8] = []

  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// - Parameters:
  ///   - path: of the responder's unix socket.
  ///   - executor: a thread that several clients share; they then wait for each other's blocking calls.
  ///   - server: lives at least as long as the client.
  public static func connect(
    to path: String, on executor: ThreadExecutor? = nil, of server: (any Sendable)? = nil
  ) async throws -> FastCGIClient {
    let client = try FastCGIClient(executor, server)
    try await client.open(path)
    return client
  }

  private let ownsExecutor: Bool
  private let server: (any Sendable)?

  private init(_ executor: ThreadExecutor?, _ server: (any Sendable)?) throws {
    ownsExecutor = executor == nil
    self.server = server
    self.executor = executor ?? ThreadExecutor()
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw TestError.system("socket") }
    // Against hanging; nothing in the tests takes so long.
    var timeout = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit {
    if !isClosed { Glibc.close(descriptor) }
    if ownsExecutor { executor.stop() }
  }

  private var isClosed = false

  private func open(_ path: String) throws {
    guard try withSocketAddress(path, { Glibc.connect(descriptor, $0, $1) }) == 0 else { throw TestError.system("connect") }
  }

  public func close() {
    guard !isClosed else { return }
    isClosed = true
    Glibc.close(descriptor)
  }

  /// Says that no more will be sent, and goes on receiving.
  public func closeSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  // MARK: Bytes

  public func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { throw TestError.system("send") }
      rest = rest.dropFirst(count)
    }
  }

  /// Sends as much as the socket takes at once.
  ///
  /// - Returns: how many bytes that was.
  public func sendWhatFits(_ bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) }
  }

  /// Sends the bytes in pieces, each long enough after the last to be read by itself.
  public func send(_ bytes: [UInt8], inPiecesOf length: Int, pause: Duration = .milliseconds(1)) throws {
    for start in stride(from: 0, to: bytes.count, by: length) {
      try send(Array(bytes[start..<min(start + length, bytes.count)]))
      usleep(UInt32(pause.components.attoseconds / 1_000_000_000_000))
    }
  }

  /// More of what comes; false at its end.
  private func receive() throws -> Bool {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &chunk, chunk.count, 0)
    if count < 0, errno == ECONNRESET { return false }
    guard count >= 0 else { throw TestError.system("recv") }
    received.append(contentsOf: chunk[..<count])
    return count > 0
  }

  /// Waits until the peer closes the connection.
  ///
  /// - Returns: what it sent before, unread so far.
  @discardableResult
  public func receiveToEnd() throws -> [UInt8] {
    while try receive() {}
    return received
  }

  /// Whether anything, the end included, is there to be read now.
  public func hasSomethingToRead() -> Bool {
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return !received.isEmpty || Glibc.poll(&poll, 1, 0) > 0
  }

  // MARK: Requests

  /// Sends a request and waits for its response.
  public func request(_ request: ClientRequest) throws -> ClientResponse {
    try send(request.bytes)
    return try response(to: request.id)
  }

  public func get(_ target: String, _ parameters: [(name: String, value: String)] = []) throws -> ClientResponse {
    try request(.get(target, parameters))
  }

  public func post(_ target: String, _ body: String, type: String? = "application/json") throws -> ClientResponse {
    try request(.post(target, body, type: type))
  }

  /// Waits for the response to a request that was sent.
  public func response(to id: UInt16 = 1) throws -> ClientResponse {
    var output: [UInt8] = []
    var errorOutput: [UInt8] = []
    while true {
      let (kind, recordID, content) = try record()
      guard recordID == id else { throw TestError("a record of request \(recordID) in the response to \(id)") }
      switch kind {
      case .standardOutput: output += content
      case .standardError: errorOutput += content
      case .end:
        guard content.count == 8, content[4] == 0 else { throw TestError("protocol status \(content)") }
        return try ClientResponse(standardOutput: output, errorOutput: errorOutput)
      default: throw TestError("a record of type \(kind)")
      }
    }
  }

  private func record() throws -> (Records.Kind, UInt16, [UInt8]) {
    let header = try take(8)
    guard header[0] == 1, let kind = Records.Kind(rawValue: header[1]) else { throw TestError("no FastCGI: \(header)") }
    let content = try take(Int(header[4]) << 8 | Int(header[5]))
    _ = try take(Int(header[6]))
    return (kind, UInt16(header[2]) << 8 | UInt16(header[3]), content)
  }

  private func take(_ count: Int) throws -> [UInt8] {
    while received.count < count {
      guard try receive() else { throw TestError("the connection was closed after \(received.count) of \(count) bytes") }
    }
    defer { received.removeFirst(count) }
    return Array(received[..<count])
  }
}
