import EventLoop
import ServiceKit
import TestSupport
import Testing

@Suite("routes")
struct RouterTests {
  @Worker
  static let routes: [Route] = [
    .get("/things", { _, _ in .json("list") }),
    .post("/things", { _, _ in .json("create") }),
    .get("/things/mine", { _, _ in .json("mine") }),
    .get("/things/{thing_id}", { request, _ throws(APIError) in .json(["thing": try request.path.id("thing_id")]) }),
    .patch("/things/{thing_id}", { request, _ throws(APIError) in .json(["patched": try request.path.id("thing_id")]) }),
    .delete("/things/{thing_id}", { request, _ throws(APIError) in .json(["deleted": try request.path.id("thing_id")]) }),
    .get(
      "/things/{thing_id}/parts/{part_id}",
      { request, _ throws(APIError) in .json([try request.path.id("thing_id"), try request.path.id("part_id")]) }),
    .put("/only", { _, _ in .json("put") }),
    .get("/.well-known/x.json", { _, _ in .json("dots") }),
  ]

  static func service() async throws -> TestService { try await .start(await routes) }

  @Test(
    "a method and a path find their row",
    arguments: [
      ("GET", "/things", "list"), ("POST", "/things", "create"), ("GET", "/things/mine", "mine"), ("GET", "/things/7", ["thing": 7]),
      ("PATCH", "/things/7", ["patched": 7]), ("DELETE", "/things/9223372036854775807", ["deleted": 9_223_372_036_854_775_807]),
      ("GET", "/things/1/parts/2", [1, 2]), ("PUT", "/only", "put"), ("GET", "/.well-known/x.json", "dots"),
      // The query is no part of the path.
      ("GET", "/things?a=/things/7", "list"), ("GET", "/things?", "list"), ("GET", "/things/7?a?b=%2F", ["thing": 7]),
      // Percent-encoding changes nothing but an encoded slash, which parts nothing.
      ("GET", "/%74hings", "list"), ("GET", "/t%68%69ngs/%37", ["thing": 7]), ("GET", "/things/%6Dine", "mine"),
    ] as [(String, String, JSONBody)])
  func found(method: String, target: String, body: JSONBody) async throws {
    let response = try await Self.service().client().request(ClientRequest(method, target))
    #expect(response.status == 200)
    #expect(response.json == body)
    #expect(response["Content-Type"] == "application/json")
  }

  @Test(
    "a path that no row has is 404",
    arguments: [
      "/", "/thing", "/thingsx", "//things", "/things//", "/things/7//", "//things/", "/things/7/parts", "/things/7/parts/",
      "/things//parts/8", "/things/7/part/8", "/Things", "things", "*", "?", "", "/things%2F7", "/things%3F",
      "/things%", "/things%00", "/%", "/things/../only", "/;/things", "/things;x=1", "/things.", "/%C0%AF",
    ])
  func notFound(target: String) async throws {
    let response = try await Self.service().client().get(target)
    #expect(response.status == 404)
    #expect(response.json == ["detail": "Not Found"])
  }

  @Test(
    "a path with a slash too much is sent to the one without, as it was sent",
    arguments: [
      ("GET", "/things/", "/things"), ("DELETE", "/things/7/", "/things/7"), ("PUT", "/things/7/parts/8/?a=b&c", "/things/7/parts/8?a=b&c"),
      ("GET", "/%74hings/?<\">", "/%74hings?%3C%22%3E"), ("POST", "/only/?", "/only"),
    ])
  func slashAtTheEnd(method: String, target: String, location: String) async throws {
    let response = try await Self.service().client().request(ClientRequest(method, target))
    #expect(response.status == 308)
    #expect(response["Location"] == location)
    #expect(response.json == ["detail": "Permanent Redirect"])
  }

  @Test("OPTIONS of a known path is 204, with its methods and no body", arguments: [("/things", "GET, HEAD, POST"), ("/only?x", "PUT")])
  func options(target: String, allow: String) async throws {
    let response = try await Self.service().client().request(ClientRequest("OPTIONS", target))
    #expect(response.status == 204)
    #expect(response["Allow"] == allow)
    #expect(response["Content-Length"] == nil && response["Content-Type"] == nil && response.body.isEmpty)
  }

  @Test(
    "a path of other methods alone is 405, and told which those are",
    arguments: [
      ("DELETE", "/things", "GET, HEAD, POST"), ("PUT", "/things/7", "GET, HEAD, PATCH, DELETE"), ("GET", "/only", "PUT"),
      ("HEAD", "/only", "PUT"), ("get", "/things", "GET, HEAD, POST"), ("", "/only", "PUT"),
      ("POST", "/things/7/parts/8?x", "GET, HEAD"),
    ])
  func methodNotAllowed(method: String, target: String, allow: String) async throws {
    let response = try await Self.service().client().request(ClientRequest(method, target))
    #expect(response.status == 405)
    #expect(response["Allow"] == allow)
    if method != "HEAD" { #expect(response.json == ["detail": "Method Not Allowed"]) }
  }

  @Test("HEAD works wherever GET does, with GET's headers and no body")
  func head() async throws {
    let client = try await Self.service().client()
    for target in ["/things", "/things/7", "/nowhere", "/things/x"] {
      let get = try await client.get(target)
      let head = try await client.request(ClientRequest("HEAD", target))
      #expect(head.status == get.status)
      #expect(head.headers.map(\.name) == get.headers.map(\.name))
      #expect(head["Content-Length"] == get["Content-Length"])
      #expect(head.body.isEmpty && !get.body.isEmpty)
    }
  }

  @Test(
    "an id in a path is a positive number of 64 bits, or 422",
    arguments: [
      ("0", "greater_than", "Input should be greater than 0"), ("-7", "greater_than", "Input should be greater than 0"),
      ("x", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
      ("7x", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
      ("1.5", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
      ("0x7", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
      ("--7", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
      ("-", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
      ("٣", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
      ("9223372036854775808", "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size"),
      ("-9223372036854775809", "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size"),
      ("99999999999999999999999999999999", "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size"),
    ])
  func wrongID(text: String, type: String, message: String) async throws {
    let response = try await Self.service().client().get("/things/\(text)")
    #expect(response.status == 422)
    #expect(
      response.json == ["detail": [["type": .string(type), "loc": ["path", "thing_id"], "msg": .string(message), "input": .string(text)]]])
  }

  @Test("an id is shown decoded in its error, and bytes that are not UTF-8 do no harm")
  func encodedID() async throws {
    let client = try await Self.service().client()
    #expect(try await client.get("/things/%22a%2Fb%22").json?["detail"]?[0]?["input"] == "\"a/b\"")
    #expect(try await client.get("/things/%FF").json?["detail"]?[0]?["input"] == "\u{fffd}")
    #expect(try await client.get("/things/%zz").json?["detail"]?[0]?["input"] == "%zz")
    #expect(try await client.get("/things/7%00").status == 422)
  }
}
