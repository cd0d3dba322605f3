// What a handler has besides the request.

import EventLoop
import Logging
import Postgres

@Worker
public struct Context {
  /// `Caller.anonymous` unless the route asks who calls.
  public let caller: Caller
  public let database: Database
  public let settings: Settings
  let requestID: String
  let route: String

  /// Logs with the request's id, route and caller in every line.
  public var logger: Logger {
    var logger = Log.process
    logger[metadataKey: "request_id"] = .string(requestID)
    logger[metadataKey: "route"] = .string(route)
    if !caller.isAnonymous { logger[metadataKey: "user_id"] = .stringConvertible(caller.userID) }
    return logger
  }

  /// Why a statement of a route for users gave nothing: 401 if the session no longer stands, `other` if it does.
  ///
  /// Only a failure pays for this second statement.
  public func unauthenticated(or other: APIError) async -> APIError {
    do throws(APIError) {
      return try await database.readOne("SELECT 1::bigint FROM (\(caller.session)) s", as: Int64.self) == nil ? .unauthorized : other
    } catch {
      return error
    }
  }
}

/// The process's own logger.
enum Log {
  @Worker static var process = Logger(label: "chatty")
}
