// The table of a service's routes, and how a path finds its row.

import EventLoop

/// One row: a method, a path, who may call, and the function that answers.
@Worker
public struct Route {
  public typealias Handler = @Worker @Sendable (Request, Context) async throws(APIError) -> Reply

  /// Who may call.
  public enum Access: Sendable {
    /// Everybody; a token is not looked at.
    case anyone
    /// Everybody; one whose token is believed is known, and everybody else is `Caller.anonymous`.
    case optional
    /// Those whose token is believed. That the session still stands is the handler's statement to ask.
    case user
  }

  let method: String
  /// As it is written in the table, `/posts/{post_id}`: the name of the route in logs and metrics.
  let pattern: String
  let segments: [Segment]
  let access: Access
  let handler: Handler

  enum Segment {
    case literal([UInt8])
    case parameter(String)
  }

  public static func get(_ pattern: String, _ handler: @escaping Handler, caller: Access = .anyone) -> Route {
    Route("GET", pattern, caller, handler)
  }
  public static func post(_ pattern: String, _ handler: @escaping Handler, caller: Access = .anyone) -> Route {
    Route("POST", pattern, caller, handler)
  }
  public static func put(_ pattern: String, _ handler: @escaping Handler, caller: Access = .anyone) -> Route {
    Route("PUT", pattern, caller, handler)
  }
  public static func patch(_ pattern: String, _ handler: @escaping Handler, caller: Access = .anyone) -> Route {
    Route("PATCH", pattern, caller, handler)
  }
  public static func delete(_ pattern: String, _ handler: @escaping Handler, caller: Access = .anyone) -> Route {
    Route("DELETE", pattern, caller, handler)
  }

  private init(_ method: String, _ pattern: String, _ access: Access, _ handler: @escaping Handler) {
    self.method = method
    self.pattern = pattern
    self.access = access
    self.handler = handler
    segments = pattern.split(separator: "/").map { segment in
      segment.hasPrefix("{") ? .parameter(String(segment.dropFirst().dropLast())) : .literal(Array(segment.utf8))
    }
  }
}

/// Finds the route of a request.
@Worker
struct Router {
  private let routes: [Route]

  init(_ routes: [Route]) { self.routes = routes }

  /// What a method and a path lead to.
  enum Destination {
    /// A row, and the path's values, percent-decoded.
    case route(Route, PathValues.Pairs)
    /// OPTIONS of a known path: the methods that its rows have.
    case options([String])
  }

  /// HEAD goes where GET does.
  ///
  /// - Parameter query: for the address that a path with a slash too much is sent to.
  /// - Throws: 404 for a path that no row has, 405 for one that only rows of other methods have, 308 for one that has rows without the slash
  ///   at its end.
  func find(_ method: String, _ path: String, query: String) throws(APIError) -> Destination {
    let method = method == "HEAD" ? "GET" : method
    var parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.first?.isEmpty == true else { throw .notFound() }
    parts.removeFirst()
    // `/p%6Fsts` is `/posts` (RFC 3986, section 6.2.2.2); an encoded slash parts nothing.
    if path.utf8.contains(UInt8(ascii: "%")) { parts = parts.map { Substring(PercentEncoding.decode($0, plusIsSpace: false)).utf8 } }
    var allowed: [String] = []
    for route in routes where Self.matches(route, parts) {
      if route.method == method { return .route(route, Self.values(route, parts)) }
      allowed.append(contentsOf: route.method == "GET" ? ["GET", "HEAD"] : [route.method])
    }
    if !allowed.isEmpty {
      if method == "OPTIONS" { return .options(allowed) }
      throw .methodNotAllowed(allowed)
    }
    if parts.last?.isEmpty == true, routes.contains(where: { Self.matches($0, parts.dropLast()) }) {
      throw .moved(to: PercentEncoding.address("\(path.dropLast())\(query.isEmpty ? "" : "?\(query)")"))
    }
    throw .notFound()
  }

  private static func matches(_ route: Route, _ parts: some Collection<Substring.UTF8View>) -> Bool {
    guard route.segments.count == parts.count else { return false }
    for (segment, part) in zip(route.segments, parts) {
      switch segment {
      case .literal(let bytes): if !part.elementsEqual(bytes) { return false }
      case .parameter: if part.isEmpty { return false }
      }
    }
    return true
  }

  private static func values(_ route: Route, _ parts: [Substring.UTF8View]) -> PathValues.Pairs {
    var values: PathValues.Pairs = []
    for (segment, part) in zip(route.segments, parts) {
      if case .parameter(let name) = segment { values.append((name, String(Substring(part)))) }
    }
    return values
  }
}
