// A request as a handler sees it: the route's parameters, the query and the body, over what FastCGI brought.

import EventLoop
import FastCGI

@Worker
public struct Request {
  let raw: FastCGI.Request
  /// The path, percent-encoded as the client sent it.
  public let path: PathValues
  public let query: QueryValues

  init(_ raw: FastCGI.Request, path: String, query: String, values: PathValues.Pairs) {
    self.raw = raw
    self.path = PathValues(text: path, values: values)
    self.query = QueryValues(query)
  }

  /// The fields of this request, to be read and then validated together.
  public var input: Input { Input(self) }

  /// GET or HEAD.
  var isSafe: Bool { raw.method == "GET" || raw.method == "HEAD" }

  /// A route for GET answers HEAD too. What a GET does besides answering, a HEAD does not do.
  public var isHead: Bool { raw.method == "HEAD" }

  public func header(_ parameter: StaticString) -> String? { raw.parameter(parameter) }

  /// The client's address as nginx knows it.
  public var remoteAddress: String { raw.parameter("REMOTE_ADDR") ?? "" }
  public var userAgent: String { raw.parameter("HTTP_USER_AGENT") ?? "" }
  /// nginx makes one where the client sent none.
  public var id: String { raw.parameter("REQUEST_ID") ?? "" }

  /// The body is JSON by its media type (RFC 8259, section 11; RFC 6839, section 3.1); without one it is taken for JSON.
  var hasJSONBody: Bool {
    guard let type = raw.parameter("CONTENT_TYPE") else { return true }
    // What nearly everybody sends, before it is taken apart character by character.
    if type == "application/json" { return true }
    // White space is blanks and tabs (RFC 9110, section 5.6.3).
    let essence = type.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
    return essence == "application/json" || (essence.hasPrefix("application/") && essence.hasSuffix("+json"))
  }

  /// The body is compressed or otherwise not what its media type says before it is decoded (RFC 9110, section 8.4).
  var hasCodedBody: Bool {
    guard let coding = raw.parameter("HTTP_CONTENT_ENCODING") else { return false }
    return coding.lowercased() != "identity"
  }
}

/// The values of a route's `{parameters}`.
@Worker
public struct PathValues {
  typealias Pairs = [(name: String, value: String)]

  public let text: String
  let values: Pairs

  /// A value as the client sent it, percent-decoded; empty if the route has none of that name.
  public subscript(name: String) -> String { values.first { $0.name == name }?.value ?? "" }

  /// A positive 64-bit number.
  ///
  /// - Throws: 422 if it is anything else.
  public func id(_ name: String) throws(APIError) -> Int64 {
    let text = self[name]
    switch IntegerField.id(text) {
    case .success(let id): return id
    case .failure(let flaw): throw APIError(fields: [FieldError(flaw, "path", name, .string(text))])
    }
  }
}

/// The query's names and values, percent-decoded (the URL standard's `application/x-www-form-urlencoded`). The first of several wins.
@Worker
public struct QueryValues {
  private let text: String

  init(_ text: String) { self.text = text }

  /// Each `name=value` as it was sent, with the name decoded.
  var rawPairs: [(name: String, text: String)] {
    text.utf8.split(separator: UInt8(ascii: "&")).map { pair in
      (PercentEncoding.decode(pair.prefix { $0 != UInt8(ascii: "=") }, plusIsSpace: true), String(Substring(pair)))
    }
  }

  public subscript(name: String) -> String? {
    guard !text.isEmpty else { return nil }
    for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
      let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      if PercentEncoding.decode(parts[0], plusIsSpace: true) == name {
        return parts.count > 1 ? PercentEncoding.decode(parts[1], plusIsSpace: true) : ""
      }
    }
    return nil
  }
}
