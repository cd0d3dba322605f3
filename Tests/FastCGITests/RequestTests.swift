import EventLoop
import FastCGI
import TestSupport
import Testing

/// What arrives at a handler, and what its response becomes.
@Suite("a request and its response")
struct RequestTests {
  /// Answers with what it was asked.
  static func mirror() async throws -> TestServer {
    try await TestServer.start { request in
      Response(
        headers: [
          ("Method", request.method), ("Target", request.target), ("Length", String(request.body.count)),
          ("Agent", request.parameter("HTTP_USER_AGENT") ?? "none"), ("Too-Large", String(request.bodyIsTooLarge)),
        ], body: request.body)
    }
  }

  @Test("a handler gets the method, the target as it was sent, the parameters and the body")
  func everything() async throws {
    let client = try await Self.mirror().client()
    var request = ClientRequest("PATCH", "/a%20b?x=%2F&y", body: Array("body".utf8))
    request.parameters = [("HTTP_USER_AGENT", "tests/1"), ("REMOTE_ADDR", "127.0.0.1")]
    let response = try await client.request(request)
    #expect(response.status == 200)
    #expect(response["Method"] == "PATCH" && response["Target"] == "/a%20b?x=%2F&y" && response["Agent"] == "tests/1")
    #expect(response.text == "body")
    #expect(response.errorOutput.isEmpty)
  }

  @Test("a parameter that was not sent, or sent empty, is absent; one whose name begins with another's is not taken for it")
  func absentParameters() async throws {
    let client = try await Self.mirror().client()
    #expect(try await client.get("/")["Agent"] == "none")
    #expect(try await client.get("/", [("HTTP_USER_AGENT", "")])["Agent"] == "none")
    #expect(try await client.get("/", [("HTTP_USER_AGENTS", "no"), ("XHTTP_USER_AGENT", "no")])["Agent"] == "none")
    #expect(try await client.get("/", [("HTTP_USER_AGENTS", "no"), ("HTTP_USER_AGENT", "a=b=c")])["Agent"] == "a=b=c")
  }

  @Test("a value arrives at any length, also where FastCGI writes the length another way", arguments: [127, 128, 300, 20_000])
  func longValues(length: Int) async throws {
    let client = try await Self.mirror().client()
    let value = String(repeating: "v", count: length)
    #expect(try await client.get("/", [("HTTP_USER_AGENT", value)])["Agent"] == value)
  }

  @Test(
    "a body of any length comes back whole", arguments: [0, 1, 8_183, 8_184, 8_192, 16_384, 65_535, 65_536, 65_537, 300_000, 5_000_000])
  func bodies(length: Int) async throws {
    let client = try await Self.mirror().client()
    var request = ClientRequest("POST", "/", body: Self.noise(length))
    request.recordLength = 65_535
    for _ in 0..<2 {
      let response = try await client.request(request)
      #expect(response["Length"] == String(length))
      #expect(response.body == request.body)
      #expect(response["Content-Length"] == String(length))
    }
  }

  @Test("records of any length and padding are read, across the borders of every buffer", arguments: [1, 7, 8_185, 65_535], [0, 1, 255])
  func recordsAndPadding(recordLength: Int, padding: UInt8) async throws {
    let client = try await Self.mirror().client()
    var request = ClientRequest("POST", "/padded", body: Self.noise(recordLength < 100 ? 5_000 : 200_000))
    request.recordLength = recordLength
    request.padding = padding
    for _ in 0..<2 {
      let response = try await client.request(request)
      #expect(response.body == request.body)
      #expect(response["Target"] == "/padded")
    }
  }

  @Test("the request's id is that of the response", arguments: [1, 2, 255, 256, 65_535] as [UInt16])
  func identifiers(id: UInt16) async throws {
    let client = try await Self.mirror().client()
    var request = ClientRequest.get("/")
    request.id = id
    #expect(try await client.request(request).status == 200)
  }

  @Test(
    "a request whose body is not as long as it says is none: no handler gets it, and its connection is dropped",
    arguments: [("5", "four"), ("3", "four"), ("four", "four"), ("4", ""), ("-1", "")])
  func wrongLength(announced: String, body: String) async throws {
    let server = try await Self.mirror()
    let client = try await server.client()
    let parameters = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/"), ("CONTENT_LENGTH", announced)]
    try await client.send(
      Records.begin() + Records.stream(.parameters, Records.pairs(parameters)) + Records.stream(.standardInput, Array(body.utf8)))
    #expect(try await client.receiveToEnd().isEmpty)
    #expect(try await server.client().get("/after")["Target"] == "/after")
  }

  @Test(
    "a body longer than the limit is told to the handler, which gets none of it, and the connection goes on",
    arguments: [1, 70_000, 3_000_000])
  func tooLarge(excess: Int) async throws {
    var limits = Responder.Limits()
    limits.bodyLength = 100_000
    let server = try await TestServer.start(limits: limits) { request in
      Response(headers: [("Length", String(request.body.count)), ("Too-Large", String(request.bodyIsTooLarge))])
    }
    let client = try await server.client()
    for (length, isTooLarge) in [(100_000, false), (100_000 + excess, true), (100_000, false), (0, false)] {
      let response = try await client.request(ClientRequest("POST", "/", body: Self.noise(length)))
      #expect(response["Too-Large"] == String(isTooLarge))
      #expect(response["Length"] == String(isTooLarge ? 0 : length))
    }
  }

  @Test("to HEAD the length of the body is told, and the body is not sent")
  func head() async throws {
    let server = try await TestServer.start { request in
      Response(body: Array("twelve bytes".utf8), omitsBody: request.method == "HEAD")
    }
    let client = try await server.client()
    let response = try await client.request(ClientRequest("HEAD", "/"))
    #expect(response["Content-Length"] == "12" && response.body.isEmpty)
    #expect(try await client.get("/").text == "twelve bytes")
  }

  @Test("a header whose value holds a line break or a NUL is left out: it cannot add a header", arguments: ["\r\n", "\n", "\r", "\0"])
  func headerInjection(separator: String) async throws {
    let server = try await TestServer.start { request in
      let text = String(decoding: request.body, as: UTF8.self)
      return Response(headers: [("Before", "1"), ("Location", text), ("After", "2")])
    }
    let client = try await server.client()
    let response = try await client.request(ClientRequest("POST", "/", body: Array("/x\(separator)Set-Cookie: a=b".utf8)))
    #expect(response.headers.map(\.name) == ["Before", "After", "Content-Length"])
  }

  @Test("a status and headers are sent as the handler gives them")
  func statusAndHeaders() async throws {
    let server = try await TestServer.start { _ in Response(status: 503, headers: [("Retry-After", "1"), ("Empty", "")]) }
    let response = try await server.client().get("/")
    #expect(response.status == 503)
    #expect(response.headers.map(\.name) == ["Retry-After", "Empty", "Content-Length"])
    #expect(response["Retry-After"] == "1" && response["Empty"] == "")
  }

  @Test("a response larger than any buffer arrives whole", arguments: [8_184, 65_536, 300_000, 20_000_000])
  func largeResponses(length: Int) async throws {
    let body = Self.noise(length)
    let server = try await TestServer.start { _ in Response(body: body) }
    let client = try await server.client()
    for _ in 0..<2 { #expect(try await client.get("/").body == body) }
  }

  /// Bytes without a pattern that a buffer's length could hide in, the same every time.
  static func noise(_ length: Int) -> [UInt8] {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    return (0..<length).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }
}
