// What a handler has besides the request.

import EventLoop
import FastCGI
import Logging
import Postgres

@Worker
public struct Context {
  /// `Caller.anonymous` unless the route asks who calls.
  public let caller: Caller
  public let database: Database
  public let settings: Settings
  let request: FastCGI.Request
  let route: String

  /// Whether there is room for files under the stack's folder.
  public var hasRoomForFiles: Bool { database.room?.isEnoughForFiles ?? true }

  /// Logs with the request's id, route and caller in every line.
  public var logger: Logger {
    var logger = Log.process
    logger[metadataKey: "request_id"] = .string(request.parameter("REQUEST_ID") ?? "")
    logger[metadataKey: "route"] = .string(route)
    if !caller.isAnonymous { logger[metadataKey: "user_id"] = .stringConvertible(caller.userID) }
    return logger
  }

  /// Why a statement of a route for users gave nothing: 401 if the session no longer stands, `other` if it does.
  ///
  /// Only a failure pays for this second statement.
  public func unauthenticated(or other: APIError) async -> APIError {
    do throws(APIError) {
      try await requireSession()
      return other
    } catch {
      return error
    }
  }

  /// For a statement that may rightly give nothing. Nobody in particular needs no session.
  ///
  /// - Throws: 401 if the caller's session no longer stands.
  public func requireSession() async throws(APIError) {
    guard !caller.isAnonymous else { return }
    guard try await database.readOne("SELECT true FROM (\(caller.session)) s", as: Bool.self) != nil else { throw .unauthorized }
  }
}

/// The process's own logger.
enum Log {
  @Worker static var process = Logger(label: "chatty")
}
