// From a FastCGI request to its response: route, caller, handler, errors, log.

import EventLoop
import FastCGI
import Glibc
import Logging
import Postgres

@Worker
package final class Dispatcher {
  private let router: Router
  private let settings: Settings
  private let database: Database
  private let verifier: TokenVerifier
  private let readiness: Readiness
  /// A request that has waited longer than this before a worker took it is not begun: nginx, and the client, have given up.
  /// In seconds.
  private let deadline: Int64

  package init(routes: [Route], settings: Settings, database: Database, verifier: TokenVerifier) {
    router = Router(routes)
    self.settings = settings
    self.database = database
    self.verifier = verifier
    readiness = Readiness(of: database, pool: settings.pool)
    deadline = settings.queueTime.components.seconds
  }

  package func respond(to raw: FastCGI.Request) async -> FastCGI.Response {
    let started = ContinuousClock.now
    let (path, query) = Self.split(raw.target)
    if path == Readiness.path { return await readiness.respond(to: raw) }
    var routeName = "none"
    var caller = Caller.anonymous
    var caching = Caching.none
    var reply: Reply
    var failure: APIError?
    do throws(APIError) {
      switch try router.find(raw.method, path, query: query) {
      case .options(let allowed):
        reply = Reply(allowed: allowed)
      case .route(let route, let values):
        routeName = route.pattern
        caching = Caching(route)
        guard isWorthBeginning(raw) else { throw .unavailable }
        caller = try verifier.caller(of: raw, route.access)
        let request = Request(raw, path: path, query: query, values: values)
        let context = Context(caller: caller, database: database, settings: settings, request: raw, route: routeName)
        reply = try await route.handler(request, context)
        caching.tag(&reply, request)
      }
    } catch {
      failure = error
      reply = Reply(error)
    }
    caching.announce(in: &reply)
    if raw.method == "HEAD" { reply.response.omitsBody = true }
    log(raw, routeName, caller, reply.response.status, failure, started)
    return reply.response
  }

  /// nginx says when it had the whole request: seconds since 1970 with milliseconds.
  private func isWorthBeginning(_ raw: FastCGI.Request) -> Bool {
    guard let text = raw.parameter("REQUEST_RECEIVED"), let received = Int64(Substring(text.utf8.prefix { $0 != UInt8(ascii: ".") }))
    else { return true }
    // Not every number is a time.
    let (waited, isImpossible) = Int64(time(nil)).subtractingReportingOverflow(received)
    return !isImpossible && waited <= deadline
  }

  /// One line a request: errors of ours at `error`, a database that is away at `warning`, the rest at `info`.
  private func log(
    _ raw: FastCGI.Request, _ route: String, _ caller: Caller, _ status: Int, _ failure: APIError?, _ started: ContinuousClock.Instant
  ) {
    let level: Logger.Level = status == 503 ? .warning : status >= 500 ? .error : .info
    guard Log.process.logLevel <= level else { return }
    let (seconds, attoseconds) = (ContinuousClock.now - started).components
    var metadata: Logger.Metadata = [
      "method": .string(raw.method), "route": .string(route), "status": .stringConvertible(status),
      "duration_ms": .stringConvertible(seconds * 1000 + attoseconds / 1_000_000_000_000_000),
      "request_id": .string(raw.parameter("REQUEST_ID") ?? ""),
    ]
    if !caller.isAnonymous { metadata["user_id"] = .stringConvertible(caller.userID) }
    if let cause = failure?.cause { metadata["cause"] = .string(cause.description) }
    Log.process.log(level: level, "request", metadata: metadata)
  }

  private static func split(_ target: String) -> (path: String, query: String) {
    guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return (target, "") }
    return (String(target[..<mark]), String(target[target.utf8.index(after: mark)...]))
  }
}

extension TokenVerifier {
  /// Who makes a request, as far as its token tells.
  ///
  /// - Throws: 401 if the route asks for somebody who is known, or if there is a token that counts for nothing: who believes to be logged in
  ///   is told, rather than answered like somebody else.
  fileprivate func caller(of raw: FastCGI.Request, _ access: Route.Access) throws(APIError) -> Caller {
    guard access != .anyone else { return .anonymous }
    let authorization = raw.parameter("HTTP_AUTHORIZATION")
    if access == .optional, authorization == nil { return .anonymous }
    guard let caller = caller(authorization: authorization) else { throw .unauthorized }
    return caller
  }
}
