import EventLoop
import Logging
import ServiceKit

enum Probe: ServiceDefinition {
  static let name = "probe"

  static let routes: [Route] = [
    .get("/number/{number}", number),
    .get("/wait/{milliseconds}", wait),
    .get("/large/{characters}", large),
    .get("/failure", failure),
    .get("/notice", notice),
    .get("/me", me, caller: .user),
    .post("/length", length),
    .post("/log", log),
  ]

  /// The number of the path, by way of the database.
  private static func number(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let number = try request.path.id("number")
    let answer = try await context.database.readOne("SELECT \(number)", as: Int64.self)
    return .json(["number": answer])
  }

  /// Answers after a while.
  private static func wait(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    await Loop.shared.sleep(.milliseconds(try request.path.id("milliseconds")))
    return .json(Message("waited"))
  }

  /// An answer of about so many characters.
  private static func large(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    .json(Message(String(repeating: "x", count: Int(try request.path.id("characters")))))
  }

  /// A statement that the server refuses.
  private static func failure(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    _ = try await context.database.readOne("SELECT 1 / 0", as: Int64.self)
    return .json(Message("not reached"))
  }

  /// A statement on which the server remarks.
  private static func notice(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    try await context.database.write("DO $$ BEGIN RAISE WARNING 'a remark'; END $$", as: String.self)
    return .json(Message("remarked"))
  }

  private static func me(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    context.logger.notice("asked who it is")
    return .json(["user_id": context.caller.userID, "session_id": context.caller.sessionID])
  }

  /// How long a text of the body is.
  private static func length(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let text = input.text("text", 0...Int.max)
    try input.validate()
    return .json(["length": text.utf8.count])
  }

  /// Logs a text of the body.
  private static func log(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let text = input.text("text", 0...Int.max)
    try input.validate()
    context.logger.notice("\(text)", metadata: ["\(text)": "\(text)", "nested": ["list": ["\(text)"]]])
    return .json(Message("logged"))
  }
}
