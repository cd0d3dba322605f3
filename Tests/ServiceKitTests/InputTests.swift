import EventLoop
import ServiceKit
import TestSupport
import Testing

@Suite("fields of a request")
struct InputTests {
  enum Color: String, CaseIterable {
    case red
    case green
    case blue
  }

  /// What the route understood.
  struct Understood: Encodable {
    let item: Int64
    let page: Int64
    let other: Int64?
    let title: String
    let note: String?
    let code: String
    let color: String?
  }

  /// A route with a field of every kind.
  @Worker
  static func everything(_ request: Request, _ context: Context) throws(APIError) -> Reply {
    let input = request.input
    let item = input.pathID("item_id")
    let page = input.queryInteger("page", 1...9, default: 5)
    let other = input.queryID("other")
    let title = input.text("title", 1...5)
    let note = input.optionalText("note", 2...4)
    let code = input.string("code") { $0.hasPrefix("c") ? nil : .pattern("^c") }
    let color = input.choice("color", Color.self)
    try input.validate()
    return .json(Understood(item: item, page: page, other: other, title: title, note: note, code: code, color: color?.rawValue))
  }

  @Worker
  static let routes: [Route] = [
    .post("/items/{item_id}", { request, context throws(APIError) in try everything(request, context) }),
    .get(
      "/query",
      { request, _ throws(APIError) in
        let input = request.input
        let text = input.queryString("text")
        let short = input.queryText("short", 1...3)
        try input.validate()
        return .json([text, short])
      }),
  ]

  static func service(bodyLimit: Int = 1 << 20) async throws -> TestService { try await .start(await routes, bodyLimit: bodyLimit) }

  static let good = #""title": "t", "code": "c", "color": "red""#

  /// Posts a body that is right but for what is given, which comes last and so counts.
  static func post(_ fields: String, to target: String = "/items/1") async throws -> ClientResponse {
    try await service().client().post(target, "{\(good)\(fields.isEmpty ? "" : ", ")\(fields)}")
  }

  @Test("right fields are understood, and absent optional ones are nil")
  func right() async throws {
    let short = try await Self.post("")
    #expect(short.json == ["item": 1, "page": 5, "other": nil, "title": "t", "note": nil, "code": "c", "color": "red"])
    let full = try await Self.post(#""note": " note ", "color": "blue", "code": "c d ""#, to: "/items/2?page=9&other=3")
    #expect(full.json == ["item": 2, "page": 9, "other": 3, "title": "t", "note": "note", "code": "c d ", "color": "blue"])
    #expect(try await Self.post(#""note": null"#).json?["note"] == .null)
  }

  @Test("fields that nobody asked for are ignored")
  func unknown() async throws {
    #expect(try await Self.post(#""id": 99, "user_id": [1], "x": {"title": ""}"#).status == 200)
  }

  @Test(
    "a wrong field is told in pydantic's words",
    arguments: [
      (#""title": null"#, "title", "string_type", "Input should be a valid string", nil),
      (#""title": 5"#, "title", "string_type", "Input should be a valid string", 5),
      (#""title": 5.5"#, "title", "string_type", "Input should be a valid string", 5.5),
      (#""title": true"#, "title", "string_type", "Input should be a valid string", true),
      (#""title": ["a", {}]"#, "title", "string_type", "Input should be a valid string", ["a", [:]]),
      (#""title": """#, "title", "string_too_short", "String should have at least 1 character", ""),
      (#""title": " \t\n ""#, "title", "string_too_short", "String should have at least 1 character", " \t\n "),
      (#""title": "123456""#, "title", "string_too_long", "String should have at most 5 characters", "123456"),
      (#""title": "a\u0000b""#, "title", "value_error", "Value error, String may not contain the NUL character", "a\0b"),
      (#""note": "1""#, "note", "string_too_short", "String should have at least 2 characters", "1"),
      (#""note": "12345""#, "note", "string_too_long", "String should have at most 4 characters", "12345"),
      (#""note": false"#, "note", "string_type", "Input should be a valid string", false),
      (#""code": "x""#, "code", "string_pattern_mismatch", "String should match pattern '^c'", "x"),
      (#""code": " c""#, "code", "string_pattern_mismatch", "String should match pattern '^c'", " c"),
      (#""code": "c\u0000""#, "code", "value_error", "Value error, String may not contain the NUL character", "c\0"),
      (#""code": null"#, "code", "string_type", "Input should be a valid string", nil),
      (#""color": "pink""#, "color", "literal_error", "Input should be 'red', 'green' or 'blue'", "pink"),
      (#""color": "Red""#, "color", "literal_error", "Input should be 'red', 'green' or 'blue'", "Red"),
      (#""color": 1"#, "color", "string_type", "Input should be a valid string", 1),
    ] as [(String, String, String, String, JSONBody)])
  func wrong(fields: String, name: String, type: String, message: String, input: JSONBody) async throws {
    let response = try await Self.post(fields)
    #expect(response.status == 422)
    #expect(
      response.json == ["detail": [["type": .string(type), "loc": ["body", .string(name)], "msg": .string(message), "input": input]]])
  }

  @Test("a missing field is told with the body that lacks it")
  func missing() async throws {
    let response = try await Self.service().client().post("/items/1", #"{"title": "t", "color": "red"}"#)
    #expect(
      response.json == [
        "detail": [
          ["type": "missing", "loc": ["body", "code"], "msg": "Field required", "input": ["title": "t", "color": "red"]]
        ]
      ])
  }

  @Test("every wrong field is told at once, those of path, query and body together")
  func several() async throws {
    let response = try await Self.service().client().post("/items/x?page=10&other=0", #"{"title": "", "note": 7, "code": "x"}"#)
    #expect(response.status == 422)
    guard case .array(let errors)? = response.json?["detail"] else { throw TestError("no list: \(response.text)") }
    #expect(
      errors.map { $0["loc"] } == [
        ["path", "item_id"], ["query", "page"], ["query", "other"], ["body", "title"], ["body", "note"], ["body", "code"],
        ["body", "color"],
      ])
    #expect(
      errors.map { $0["type"] } == [
        "int_parsing", "less_than_equal", "greater_than", "string_too_short", "string_type", "string_pattern_mismatch", "missing",
      ])
  }

  @Test(
    "a body that is no object is one error for the whole of it",
    arguments: [
      ("", "missing", ["body"], "Field required", nil),
      ("[]", "model_attributes_type", ["body"], "Input should be a valid dictionary or object to extract fields from", []),
      ("null", "model_attributes_type", ["body"], "Input should be a valid dictionary or object to extract fields from", nil),
      (#""{}""#, "model_attributes_type", ["body"], "Input should be a valid dictionary or object to extract fields from", "{}"),
      ("{", "json_invalid", ["body", 1], "JSON decode error", [:]),
      (#"{"title": "a",}"#, "json_invalid", ["body", 14], "JSON decode error", [:]),
      ("title=a&code=b", "json_invalid", ["body", 0], "JSON decode error", [:]),
      (#"{"title": "\ud800"}"#, "json_invalid", ["body", 13], "JSON decode error", [:]),
    ] as [(String, String, JSONBody, String, JSONBody)])
  func wrongBody(body: String, type: String, location: JSONBody, message: String, input: JSONBody) async throws {
    let response = try await Self.service().client().post("/items/1", body)
    #expect(response.status == 422)
    #expect(response.json == ["detail": [["type": .string(type), "loc": location, "msg": .string(message), "input": input]]])
  }

  @Test("a body that nests without end takes no time", arguments: ["[", "{\"a\":"])
  func nesting(opening: String) async throws {
    let response = try await Self.service().client().post("/items/1", String(repeating: opening, count: 100_000))
    #expect(response.json?["detail"]?[0]?["type"] == "json_invalid")
  }

  @Test("a body that is not UTF-8 is no JSON")
  func notUTF8() async throws {
    var request = ClientRequest("POST", "/items/1", body: Array(#"{"title": ""#.utf8) + [0xff, 0xfe] + Array("\"}".utf8))
    request.parameters = [("CONTENT_TYPE", "application/json")]
    let response = try await Self.service().client().request(request)
    #expect(response.json?["detail"]?[0]?["type"] == "json_invalid")
  }

  @Test(
    "a body of another type is 415, whatever else is wrong",
    arguments: [
      "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "json",
      "application/xml+jso",
    ])
  func otherType(type: String) async throws {
    let response = try await Self.service().client().post("/items/x", "{}", type: type)
    #expect(response.status == 415)
    #expect(response.json == ["detail": "Unsupported media type"])
  }

  @Test(
    "a body is JSON by its type, or for want of one",
    arguments: [
      nil, "application/json", "application/json; charset=utf-8", "Application/JSON ;charset=UTF-8", "application/vnd.chatty+json",
    ])
  func jsonType(type: String?) async throws {
    #expect(try await Self.service().client().post("/items/1", "{\(Self.good)}", type: type).status == 200)
  }

  @Test("a body that is too large is 413, and the connection goes on")
  func tooLarge() async throws {
    let client = try await Self.service(bodyLimit: 1_000).client()
    let response = try await client.post("/items/x", "{\(Self.good), \"x\": \"\(String(repeating: "x", count: 200_000))\"}")
    #expect(response.status == 413)
    #expect(response.json == ["detail": "Request body too large"])
    #expect(try await client.post("/items/1", "{\(Self.good)}").status == 200)
  }

  @Test("characters are counted as Unicode scalar values, whatever a reader would call one")
  func counting() async throws {
    #expect(try await Self.post(#""title": "äöü€🎈""#).json?["title"] == "äöü€🎈")
    #expect(try await Self.post(#""title": "👩‍👩‍👧""#).json?["title"] == "👩‍👩‍👧")
    #expect(try await Self.post(#""title": "👩‍👩‍👧!""#).json?["detail"]?[0]?["type"] == "string_too_long")
    #expect(try await Self.post(#""title": "e\u0301e\u0301e\u0301""#).json?["detail"]?[0]?["type"] == "string_too_long")
  }

  @Test("white space of any kind around a text is taken off, and that within is kept")
  func trimming() async throws {
    #expect(try await Self.post(#""title": "\u00a0\u2003\u3000 a \t b\r\n\u2028""#).json?["title"] == "a \t b")
    // What is combined with a blank is none.
    #expect(try await Self.post(#""title": " \u0301a ""#).json?["title"] == "\u{301}a")
  }

  @Test("CR LF and CR are line feeds before a text is counted, and a string stays as it was sent")
  func lineFeeds() async throws {
    #expect(try await Self.post(#""title": "\r\na\r\nb\rc\r""#).json?["title"] == "a\nb\nc")
    #expect(try await Self.post(#""title": "a\r\r\n\n\rb""#).json?["detail"]?[0]?["type"] == "string_too_long")
    #expect(try await Self.post(#""note": "a\r\nb\r\n""#).json?["note"] == "a\nb")
    #expect(try await Self.post(#""code": "c\r\n""#).json?["code"] == "c\r\n")
  }

  // MARK: What an error repeats

  @Test("of a long text an error repeats 200 bytes and tells how many there were", arguments: [200, 201, 100_000])
  func longText(length: Int) async throws {
    let detail = try await Self.post("\"title\": \"\(String(repeating: "x", count: length))\"").json?["detail"]?[0]
    #expect(detail?["input"] == .string(String(repeating: "x", count: 200)))
    #expect(detail?["input_length"] == (length > 200 ? .integer(Int64(length)) : JSONBody?.none))
  }

  @Test("it is cut between characters")
  func longCharacters() async throws {
    for (text, kept) in [("é", 100), ("€", 66), ("🎈", 50)] {
      for prefix in 0...4 {
        let start = String(repeating: "x", count: prefix)
        let detail = try await Self.post("\"title\": \"\(start)\(String(repeating: text, count: 300))\"").json?["detail"]?[0]
        guard case .string(let input)? = detail?["input"] else { throw TestError("no text") }
        #expect(input.hasPrefix(start) && input.unicodeScalars.dropFirst(prefix).allSatisfy { String($0) == text })
        #expect((197...200).contains(input.utf8.count) && abs(input.unicodeScalars.count - prefix - kept) <= 2)
        #expect(detail?["input_length"] == .integer(Int64(prefix + 300 * text.utf8.count)))
      }
    }
  }

  @Test("of objects and arrays, and of the body that lacks a field, it repeats the beginning of their JSON")
  func longValues() async throws {
    let long = String(repeating: "x", count: 1000)
    let array = try await Self.post("\"title\": [\"\(long)\"]").json?["detail"]?[0]
    #expect(array?["input"] == .string("[\"" + long.prefix(198)))
    #expect(array?["input_length"] == 1004)
    let missing = try await Self.service().client().post("/items/1", "{\"x\": \"\(long)\"}").json?["detail"]
    #expect(missing?.count == 3)
    for place in 0..<3 {
      #expect(missing?[place]?["input"] == .string("{\"x\":\"" + long.prefix(194)))
      #expect(missing?[place]?["input_length"] == 1008)
    }
    let whole = try await Self.service().client().post("/items/1", "[\(String(repeating: "1,", count: 500))1]").json?["detail"]?[0]
    #expect(whole?["input_length"] == 1003)
  }

  @Test("of paths and queries, too")
  func longPaths() async throws {
    let long = String(repeating: "9", count: 1000)
    let response = try await Self.post("", to: "/items/\(long)?page=\(long)&other=\(long)")
    #expect(response.json?["detail"]?.count == 3)
    for place in 0..<3 {
      #expect(response.json?["detail"]?[place]?["input"] == .string(String(long.prefix(200))))
      #expect(response.json?["detail"]?[place]?["input_length"] == 1000)
    }
    #expect(response.text.utf8.count < 1500)
  }

  // MARK: Queries

  static func query(_ query: String) async throws -> ClientResponse { try await service().client().get("/query?\(query)") }

  @Test(
    "a query's values are decoded; the first of several counts; names too may be encoded",
    arguments: [
      ("text=a", "a"), ("text=", ""), ("text", ""), ("text=a+b%20c%2Bd", "a b c+d"), ("text=a=b&x", "a=b"), ("text=1&text=2", "1"),
      ("te%78t=x", "x"), ("x=1&&text=2", "2"), ("text=%C3%A4%26%3D%3F", "ä&=?"), ("text=%F0%9F%8E%88", "🎈"), ("text=%FF", "\u{fffd}"),
      ("text=100%", "100%"), ("text=%4", "%4"), ("text=%zz", "%zz"), ("text=?/", "?/"),
    ])
  func queryValues(query: String, value: String) async throws {
    #expect(try await Self.query(query).json == [.string(value), nil])
  }

  @Test("a text of the query that must be there, and one with a length, are checked")
  func queryFlaws() async throws {
    #expect(
      try await Self.query("short=1234").json == [
        "detail": [
          ["type": "missing", "loc": ["query", "text"], "msg": "Field required", "input": nil],
          ["type": "string_too_long", "loc": ["query", "short"], "msg": "String should have at most 3 characters", "input": "1234"],
        ]
      ])
    #expect(try await Self.query("text=a&short=").json?["detail"]?[0]?["type"] == "string_too_short")
    #expect(try await Self.query("text=a&short=%00").json?["detail"]?[0]?["type"] == "value_error")
    #expect(try await Self.query("text=a&short=123").json == ["a", "123"])
  }

  @Test(
    "a number of the query is checked for its range, and an id for being one",
    arguments: [
      ("page=0", "page", "greater_than_equal", "Input should be greater than or equal to 1"),
      ("page=10", "page", "less_than_equal", "Input should be less than or equal to 9"),
      ("page=", "page", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
      ("page=1e1", "page", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
      ("page=99999999999999999999", "page", "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size"),
      ("other=0", "other", "greater_than", "Input should be greater than 0"),
      ("other=99999999999999999999", "other", "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size"),
    ])
  func queryNumbers(query: String, name: String, type: String, message: String) async throws {
    let error = try await Self.post("", to: "/items/1?\(query)").json?["detail"]
    #expect(error?.count == 1)
    #expect(error?[0]?["loc"] == ["query", .string(name)])
    #expect(error?[0]?["type"] == .string(type))
    #expect(error?[0]?["msg"] == .string(message))
  }
}
