import EventLoop
import Foundation
import ServiceKit
import TestSupport
import Testing

/// Callers, errors, deadlines: what is around every handler.
@Suite("answering a request")
struct DispatcherTests {
  // MARK: Callers

  @Worker
  static let callers: [Route] = [
    .get("/anyone", { _, context in .json([context.caller.userID, context.caller.sessionID]) }),
    .get("/optional", { _, context in .json([context.caller.userID, context.caller.sessionID]) }, caller: .optional),
    .get("/user", { _, context in .json([context.caller.userID, context.caller.sessionID]) }, caller: .user),
    .post(
      "/user/{id}",
      { request, _ throws(APIError) in
        let input = request.input
        _ = input.pathID("id")
        _ = input.text("text", 1...2)
        try input.validate()
        return .json("not reached")
      }, caller: .user),
  ]

  @Test("a token is looked at by routes that ask for it, and says who calls")
  func tokens() async throws {
    let service = try await TestService.start(await Self.callers)
    let client = try await service.client()
    let token = try service.token(user: 7, session: 9)
    #expect(try await client.get("/user", .bearer(token)).json == [7, 9])
    #expect(try await client.get("/optional", .bearer(token)).json == [7, 9])
    #expect(try await client.get("/anyone", .bearer(token)).json == [0, 0])
    #expect(try await client.get("/optional").json == [0, 0])
    #expect(try await client.get("/user", [("HTTP_AUTHORIZATION", "bearer  \(token)")]).json == [7, 9])
  }

  @Test("a route for users is 401 with a challenge without a token that is to be believed, one that does not mind with such a token only")
  func unauthenticated() async throws {
    let service = try await TestService.start(await Self.callers)
    let client = try await service.client()
    let token = try service.token()
    let foreign = try service.token(issuer: "https://other.example")
    for header in [
      "", "Bearer", "Bearer ", "Basic \(token)", token, "Bearer \(token)x", "Bearer \(foreign)", "Bearer a.b.c", "Bearer \(token) x",
    ] {
      let parameters = [(name: "HTTP_AUTHORIZATION", value: header)]
      for target in header.isEmpty ? ["/user"] : ["/user", "/optional"] {
        let response = try await client.get(target, parameters)
        #expect(response.status == 401)
        #expect(response["WWW-Authenticate"] == "Bearer")
        #expect(response.json == ["detail": "Not authenticated"])
      }
      #expect(try await client.get("/anyone", parameters).json == [0, 0])
    }
    #expect(try await client.get("/optional", [(name: "HTTP_AUTHORIZATION", value: "")]).json == [0, 0])
  }

  @Test("who is not known is told that, and not what else is wrong")
  func unauthenticatedFirst() async throws {
    let response = try await TestService.start(await Self.callers).client().post("/user/x", "{")
    #expect(response.status == 401)
  }

  // MARK: Errors

  @Worker
  static let errors: [Route] = [
    .get("/400", { _, _ throws(APIError) in throw .badRequest("Already subscribed") }),
    .get("/401", { _, _ throws(APIError) in throw .unauthorized }),
    .get("/403", { _, _ throws(APIError) in throw .forbidden("Admin role required") }),
    .get("/404", { _, _ throws(APIError) in throw .notFound("Post not found") }),
    .get("/409", { _, _ throws(APIError) in throw .conflict("Still running") }),
    .get("/413", { _, _ throws(APIError) in throw .tooLarge }),
    .get("/415", { _, _ throws(APIError) in throw .unsupportedMediaType }),
    .get("/503", { _, _ throws(APIError) in throw .unavailable }),
  ]

  @Test(
    "an error is its status and a detail",
    arguments: [
      (400, "Already subscribed"), (401, "Not authenticated"), (403, "Admin role required"), (404, "Post not found"),
      (409, "Still running"),
      (413, "Request body too large"), (415, "Unsupported media type"),
      (503, "Service temporarily unavailable"),
    ])
  func errorBodies(status: Int, detail: String) async throws {
    let response = try await TestService.start(await Self.errors).client().get("/\(status)")
    #expect(response.status == status)
    #expect(response.json == ["detail": .string(detail)])
    #expect(response["Content-Type"] == "application/json")
    #expect((response["Retry-After"] != nil) == (status == 503))
    #expect((response["WWW-Authenticate"] != nil) == (status == 401))
  }

  @Worker
  static let statements: [Route] = [
    .get("/division", { _, context throws(APIError) in .json(try await context.database.readOne("SELECT 1 / 0", as: Int64.self)) }),
    .get("/decoding", { _, context throws(APIError) in .json(try await context.database.readOne("SELECT 'x'", as: Int64.self)) }),
    .get("/syntax", { _, context throws(APIError) in .json(try await context.database.readOne("SELEKT secret", as: Int64.self)) }),
    .get(
      "/slow", { _, context throws(APIError) in .json(try await context.database.readOne("SELECT pg_sleep(30)::text", as: String.self)) }),
    .get(
      "/lost",
      { _, context throws(APIError) in
        .json(try await context.database.writeOne("SELECT pg_terminate_backend(pg_backend_pid())", as: Bool.self))
      }),
    .get(
      "/unique",
      { _, context throws(APIError) in
        do throws(APIError) {
          return try await context.database.transaction { database throws(APIError) in
            try await database.write(
              "CREATE TEMPORARY TABLE test_unique (id bigint CONSTRAINT test_key UNIQUE) ON COMMIT DROP", as: Bool.self)
            try await database.write("INSERT INTO test_unique VALUES (1), (1)", as: Bool.self)
            return Reply.json("not reached")
          }
        } catch {
          throw error.violates("test_key") && !error.violates("other_key") ? .badRequest("Taken") : error
        }
      }),
    .get(
      "/standby",
      { _, context throws(APIError) in
        .json(
          try await context.database.transaction { database throws(APIError) in
            try await database.write("SET TRANSACTION READ ONLY", as: Bool.self)
            try await database.write("CREATE TABLE never ()", as: Bool.self)
            return "not reached"
          })
      }),
    .get(
      "/full",
      { _, context throws(APIError) in
        .json(try await context.database.write("DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = '53100'; END $$", as: Bool.self))
      }),
    .get("/fine", { _, context throws(APIError) in .json(try await context.database.readOne("SELECT 7::bigint", as: Int64.self)) }),
    .get("/rows", { _, context throws(APIError) in .json(try await context.database.read("SELECT 7::bigint", as: Int64.self)) }),
  ]

  @Test("what the database refuses is 500 and shows nothing of it; what it had no time for or was away for is 503 and may be tried again")
  func databaseErrors() async throws {
    let service = try await TestService.start(
      await Self.statements, database: try TestDatabase.url, settings: ["CHATTY_STATEMENT_TIMEOUT": "300"])
    let client = try await service.client()
    for target in ["/division", "/decoding", "/syntax"] {
      let response = try await client.get(target)
      #expect(response.status == 500)
      #expect(response.json == ["detail": "Internal Server Error"])
      #expect(response.headers.map(\.name) == ["Content-Type", "Cache-Control", "Content-Length"])
    }
    for target in ["/slow", "/lost", "/standby"] {
      let response = try await client.get(target)
      #expect(response.status == 503)
      #expect(response["Retry-After"] == "1")
      #expect(response.json == ["detail": "Service temporarily unavailable"])
    }
    // A disk is not made larger in a second.
    let full = try await client.get("/full")
    #expect(full.status == 503)
    #expect(full["Retry-After"] == "30")
    #expect(try await client.get("/unique").json == ["detail": "Taken"])
    #expect(try await client.get("/fine").json == 7)
  }

  @Test("without a database it is 503")
  func databaseAway() async throws {
    let client = try await TestService.start(await Self.statements).client()
    for target in ["/fine", "/rows", "/unique", "/lost"] {
      let response = try await client.get(target)
      #expect(response.status == 503)
      #expect(response["Retry-After"] == "1")
    }
  }

  // MARK: Deadlines

  @Test("a request that has waited for longer than anybody waits is not begun")
  func deadline() async throws {
    let begun = try await onLoop { Begun() }
    let service = try await TestService.start([
      await .post(
        "/begin",
        { _, _ in
          begun.count += 1
          return .json("begun")
        })
    ])
    let client = try await service.client()
    func post(_ received: String) async throws -> ClientResponse {
      try await client.request(ClientRequest("POST", "/begin", parameters: [("REQUEST_RECEIVED", received)]))
    }
    let now = Date().timeIntervalSince1970
    let late = try await post(String(now - 60))
    #expect(late.status == 503)
    #expect(late["Retry-After"] == "1")
    // Numbers that are no times.
    for received in ["-9223372036854775808", "-9223372036854775807", "-1", "0"] { #expect(try await post(received).status == 503) }
    #expect(try await onLoop { begun.count } == 0)
    // In time, of a clock that is ahead, and of none.
    let others = [String(now), String(now + 60), "9223372036854775807", "9223372036854775808", "", "soon", "nan", "1e999"]
    for received in others { #expect(try await post(received).status == 200) }
    #expect(try await onLoop { begun.count } == others.count)
  }

  @Worker
  private final class Begun {
    var count = 0
  }

  // MARK: Readiness

  /// Stands in for the function of the migrations (sql/0035_write_checks.sql).
  private func defineCheck(_ statement: Query) async throws {
    try await withClient { test async throws in
      try await test.client.execute(
        "CREATE OR REPLACE FUNCTION check_writing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN \(statement); END $$")
    }
  }

  @Test("a pool is ready if its database answers and takes writes, and then names the next if it is told one")
  func ready() async throws {
    try await defineCheck("RAISE 'a disk that is gone' USING ERRCODE = '58030'")
    let unwritable = try await TestService.start(await Self.statements, database: try TestDatabase.url, settings: ["CHATTY_POOL": "posts"])
    let refused = try await unwritable.client().get("/-/ready", [("READY_NEXT", "/readyz/feed")])
    #expect(refused.status == 503 && refused["X-Accel-Redirect"] == nil && refused["Retry-After"] == "1")
    #expect(refused.json == ["detail": "posts: the database takes no writes: 58030: a disk that is gone"])

    try await defineCheck("NULL")
    let service = try await TestService.start(await Self.statements, database: try TestDatabase.url)
    let client = try await service.client()
    let alone = try await client.get("/-/ready")
    #expect(alone.status == 200 && alone.json == ["status": "ready"])
    #expect(alone["X-Accel-Redirect"] == nil)
    let chained = try await client.get("/-/ready", [("READY_NEXT", "/readyz/posts")])
    #expect(chained.status == 200 && chained["X-Accel-Redirect"] == "/readyz/posts")
  }

  @Test("a pool whose database is away is not ready, and says which it is")
  func notReady() async throws {
    let client = try await TestService.start(await Self.statements, settings: ["CHATTY_POOL": "posts"]).client()
    let response = try await client.get("/-/ready", [("READY_NEXT", "/readyz/feed")])
    #expect(response.status == 503)
    #expect(response.json == ["detail": "posts: the database does not answer"])
    #expect(response["X-Accel-Redirect"] == nil)
  }
}
