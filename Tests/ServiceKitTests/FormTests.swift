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
