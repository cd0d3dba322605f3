import EventLoop
import ServiceKit
import TestSupport
import Testing

@Suite("a form in the place of JSON")
struct FormTests {
  struct Understood: Encodable {
    let title: String
    let filename: String?
    let type: String?
    let length: Int?
  }

  @Worker
  static let routes: [Route] = [
    .post(
      "/form",
      { request, _ throws(APIError) in
        let input = request.formInput
        let title = input.text("title", 1...20)
        let file = input.file("file")
        try input.validate()
        return .json(Understood(title: title, filename: file?.filename, type: file?.contentType, length: file?.content.count))
      }),
    .post(
      "/json",
      { request, _ throws(APIError) in
        let input = request.input
        let title = input.text("title", 1...20)
        try input.validate()
        return .json(title)
      }),
  ]

  private static func post(_ body: String, to target: String = "/form", type: String = "multipart/form-data; boundary=b") async throws
    -> ClientResponse
  {
    try await TestService.start(await routes).client().post(target, body, type: type)
  }

  private static func part(_ parameters: String, _ content: String) -> String {
    "--b\r\nContent-Disposition: form-data; \(parameters)\r\n\r\n\(content)\r\n"
  }

  private static let title = part("name=title", " A title ")

  @Test("its texts are fields like those of JSON, and its files are files")
  func fields() async throws {
    let response = try await Self.post(Self.title + Self.part("name=file; filename=\"C:\\\\dir/a%0Db.png \"", "12345") + "--b--")
    #expect(response.status == 200)
    #expect(response.json == ["title": "A title", "filename": "ab.png", "type": nil, "length": 5])
    let typed = try await Self.post(
      Self.part("name=title\r\nContent-Type:", "x") + Self.part("name=file; filename=a\r\nContent-Type: IMAGE/png;", "") + "--b--")
    #expect(typed.json == ["title": "x", "filename": "a", "type": "image/png", "length": 0])
    let json = try await Self.post("{\"title\": \"x\", \"file\": \"y\"}", type: "application/json")
    #expect(json.json == ["title": "x", "filename": nil, "type": nil, "length": nil])
  }

  @Test("a name of which nothing can be kept is none, and an empty file without a name is no file")
  func names() async throws {
    for name in ["/", "dir/", "\u{1}", " "] {
      let response = try await Self.post(Self.title + Self.part("name=file; filename=\"\(name == "\u{1}" ? "%0D" : name)\"", "x") + "--b--")
      #expect(response.json == ["title": "A title", "filename": name == "dir/" ? "dir" : nil, "type": nil, "length": 1], "\(name)")
    }
    let empty = try await Self.post(Self.title + Self.part("name=file; filename=\"\"", "") + "--b--")
    #expect(empty.json == ["title": "A title", "filename": nil, "type": nil, "length": nil])
    let named = try await Self.post(Self.title + Self.part("name=file; filename=a", "") + "--b--")
    #expect(named.json == ["title": "A title", "filename": "a", "type": nil, "length": 0])
  }

  @Test(
    "a file's name is cleaned of what is not to be shown",
    arguments: [
      ("a\u{202e}gnp.exe", "agnp.exe"), ("\u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}.png", "a.png"),
      ("\u{feff}a\u{200b}\u{ad}\u{2060}b.png", "ab.png"),
      ("a\u{200d}b\u{200c}.png", "ab.png"), ("\u{85}a\u{9b}.png", "a.png"), ("a\u{2028}b\u{2029}.png", "ab.png"),
      ("a\u{e0041}\u{34f}\u{3164}\u{180e}.png", "a.png"),
      ("👩\u{200d}👩\u{200d}👧.png", "👩\u{200d}👩\u{200d}👧.png"), ("نامه\u{200c}ای.png", "نامه\u{200c}ای.png"),
      ("❤\u{fe0f}.png", "❤\u{fe0f}.png"),
      ("ü\u{200d}\u{200d}é\u{200d}", "ü\u{200d}é"), ("e\u{301}.png", "e\u{301}.png"), ("..", nil), (".", nil), ("...", nil), (". .", nil),
      (".\u{202e}.", nil), ("dir/..", nil),
      ("../../etc/passwd", "passwd"), ("..\\..\\a.png", "a.png"), ("..a", "..a"), (".png", ".png"), ("\u{202e}", nil),
      (String(repeating: "é", count: 300), String(repeating: "é", count: 255)),
    ] as [(String, String?)])
  func cleaned(sent: String, shown: String?) async throws {
    let response = try await Self.post(Self.title + Self.part("name=file; filename=\"\(sent)\"", "x") + "--b--")
    #expect(response.json?["filename"] == shown.map { .string($0) } ?? .null)
    #expect(response.status == 200)
  }

  @Test("a text comes in the encoding that it says, and its lines are divided by line feeds")
  func texts() async throws {
    let latin = "name=title\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit"
    var request = ClientRequest(
      "POST", "/form", body: Array("--b\r\nContent-Disposition: form-data; \(latin)\r\n\r\n".utf8) + [0xfc] + Array("\r\n--b--".utf8))
    request.parameters = [("CONTENT_TYPE", "multipart/form-data; boundary=b")]
    #expect(try await TestService.start(await Self.routes).client().request(request).json?["title"] == "ü")
    // 20 characters, each line break of which is one.
    let lines = String(repeating: "x\r\n", count: 9) + "xx"
    #expect(
      try await Self.post(Self.part("name=title", lines) + "--b--").json?["title"] == .string(String(repeating: "x\n", count: 9) + "xx"))
    #expect(try await Self.post(Self.part("name=title", "\r\n a\rb\r\r\nc\n\rd \r") + "--b--").json?["title"] == "a\nb\n\nc\n\nd")
  }

  @Test("a field that nobody asks for is ignored, whatever it is and however often it comes")
  func unknown() async throws {
    let unknown =
      Self.part("name=\"tags[]\"", "a") + Self.part("name=\"tags[]\"", "b") + Self.part("name=\"tags[]\"; filename=\"c\"", "c")
      + Self.part("name=other\r\nContent-Type: text/plain; charset=utf-16", "x")
      + Self.part("name=more\r\nContent-Transfer-Encoding: base64", "!")
    let bytes =
      Array(unknown.utf8) + Array("--b\r\nContent-Disposition: form-data; name=bytes\r\n\r\n".utf8) + [0xff, 0xfe, 0] + Array("\r\n".utf8)
    var request = ClientRequest("POST", "/form", body: bytes + Array((Self.title + "--b--").utf8))
    request.parameters = [("CONTENT_TYPE", "multipart/form-data; boundary=b")]
    let response = try await TestService.start(await Self.routes).client().request(request)
    #expect(response.json == ["title": "A title", "filename": nil, "type": nil, "length": nil])
    // Where one that is asked for is missing, what can be read is repeated.
    let missing = try await Self.post(unknown + Self.part("name=x", "y") + "--b--")
    #expect(missing.json?["detail"]?[0]?["input"] == ["x": "y"])
  }

  @Test("a text that says that there is no file is none, and any other in the place of a file is an error")
  func noFile() async throws {
    #expect(
      try await Self.post(Self.title + Self.part("name=file", "") + "--b--").json == [
        "title": "A title", "filename": nil, "type": nil, "length": nil,
      ])
    #expect(try await Self.post(Self.title + Self.part("name=file", "null") + "--b--").status == 422)
  }

  @Test("what is wrong with its fields is told as for JSON, what is wrong with the form as a whole once")
  func errors() async throws {
    func locations(_ response: ClientResponse) -> [[String]] {
      guard response.status == 422, case .object(let body)? = response.json, case .array(let details)? = body["detail"] else { return [] }
      return details.compactMap { detail in
        guard case .object(let detail) = detail, case .array(let location)? = detail["loc"] else { return nil }
        return location.compactMap { if case .string(let name) = $0 { name } else { nil } }
      }
    }
    #expect(locations(try await Self.post(Self.part("name=file", "a text") + "--b--")) == [["body", "title"], ["body", "file"]])
    #expect(locations(try await Self.post(Self.part("name=title; filename=a", "a file") + "--b--")) == [["body", "title"]])
    #expect(locations(try await Self.post(Self.title + Self.title + "--b--")) == [["body"]])
    let file = Self.part("name=file; filename=a", "a file")
    #expect(locations(try await Self.post(Self.title + file + file + "--b--")) == [["body"]])
    #expect(locations(try await Self.post(Self.title + file + Self.part("name=file", "") + "--b--")) == [["body"]])
    let empty = Self.part("name=file; filename=\"\"", "")
    #expect(locations(try await Self.post(Self.title + empty + file + empty + "--b--")) == [])
    let encoded = "\r\nContent-Transfer-Encoding: base64"
    #expect(locations(try await Self.post(Self.part("name=title\(encoded)", "!") + "--b--")) == [["body", "title"]])
    #expect(locations(try await Self.post(Self.title + Self.part("name=file; filename=a\(encoded)", "!") + "--b--")) == [["body", "file"]])
    #expect(
      locations(try await Self.post(Self.part("name=title\r\nContent-Type: text/plain; charset=utf-16", "x") + "--b--")) == [
        ["body", "title"]
      ])
    #expect(locations(try await Self.post("--b\r\nhalf")) == [["body"]])
    #expect(locations(try await Self.post("")) == [["body"]])
  }

  @Test("where only JSON is taken a form is 415, and so is a form without a boundary")
  func types() async throws {
    #expect(try await Self.post(Self.title + "--b--", to: "/json").status == 415)
    #expect(try await Self.post(Self.title + "--b--", type: "multipart/form-data").status == 415)
    #expect(try await Self.post(Self.title + "--b--", type: "multipart/mixed; boundary=b").status == 415)
  }
}
