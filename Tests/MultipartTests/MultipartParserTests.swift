import Multipart
import Testing

/// The events of a body that is fed in these pieces, contents put together.
private func events(_ pieces: [[UInt8]], boundary: String = "b", limits: MultipartParser.Limits = .init()) throws -> [String] {
  let boundary = try #require(Boundary(contentType: "multipart/form-data; boundary=\"\(boundary)\""))
  var parser = MultipartParser(boundary: boundary, limits: limits)
  var events: [String] = []
  for piece in pieces {
    try parser.feed(piece[...]) { event throws(MultipartError) in
      switch event {
      case .part(let headers): events.append("\(headers.name)|\(headers.filename ?? "-")|\(headers.contentType ?? "-")|")
      case .content(let bytes): events[events.count - 1] += String(decoding: bytes, as: UTF8.self)
      case .end: events[events.count - 1] += "."
      }
    }
  }
  try parser.finish()
  return events
}

private func events(_ body: String, boundary: String = "b") throws -> [String] { try events([Array(body.utf8)], boundary: boundary) }

private func error(_ body: String, limits: MultipartParser.Limits = .init()) -> MultipartError? {
  do {
    _ = try events([Array(body.utf8)], limits: limits)
    return nil
  } catch {
    return error as? MultipartError
  }
}

private let title = "Content-Disposition: form-data; name=\"title\"\r\n"

/// A form that has in it what looks like a boundary and is none.
private let hard = """
  --b\r\n\(title)\r\nA title\r\n--b \t\r\ncontent-disposition:form-data;name=image;filename="a.png"\r\nContent-Type: image/png\r\n\r\n\
  \r\n--\r\n-\r\r\n--\r\r\r\n\r\n--a--b--c\r\n--b\r\n\(title.replacing("title", with: "empty"))\r\n\r\n--b--\r\n
  """

@Suite("cutting a form into its parts")
struct MultipartParserTests {
  private static let parts = ["title|-|-|A title.", "image|a.png|image/png|\r\n--\r\n-\r\r\n--\r\r\r\n\r\n--a--b--c.", "empty|-|-|."]

  @Test("parts, their headers and their contents come as they were sent")
  func whole() throws {
    #expect(try events(hard) == Self.parts)
  }

  @Test("however a body is cut into pieces, it gives the same")
  func pieces() throws {
    let body = Array(hard.utf8)
    for first in 0...body.count {
      #expect(try events([Array(body[..<first]), Array(body[first...])]) == Self.parts)
    }
    for size in 1...9 {
      let pieces = stride(from: 0, to: body.count, by: size).map { Array(body[$0..<min($0 + size, body.count)]) }
      #expect(try events(pieces) == Self.parts)
    }
  }

  @Test("a body that ends early is refused, wherever it ends")
  func endsEarly() throws {
    let body = Array(hard.utf8)
    // The last line break may be left out.
    for length in 0..<(body.count - 2) {
      #expect(throws: MultipartError.endsEarly) { try events([Array(body[..<length])]) }
    }
    #expect(try events([Array(body[..<(body.count - 2)])]) == Self.parts)
  }

  @Test("what is around the boundaries is refused")
  func around() {
    #expect(error("") == .endsEarly)
    #expect(error("preamble\r\n--b\r\n\(title)\r\nx\r\n--b--") == .noBoundary)
    #expect(error("\r\n--b\r\n\(title)\r\nx\r\n--b--") == .noBoundary)
    #expect(error("--c\r\n\(title)\r\nx\r\n--c--") == .noBoundary)
    #expect(error("--bb\r\n\(title)\r\nx\r\n--bb--") == .brokenBoundary)
    #expect(error("--b\n\(title)\r\nx\r\n--b--") == .brokenBoundary)
    #expect(error("--b\r\n\(title)\r\nx\r\n--bx\r\n") == .brokenBoundary)
    #expect(error("--b\r\n\(title)\r\nx\r\n--b-\r\n") == .brokenBoundary)
    #expect(error("--b\r\n\(title)\r\nx\r\n--b--x") == .goesOn)
    #expect(error("--b\r\n\(title)\r\nx\r\n--b--\r\n\r\n") == .goesOn)
    #expect(error("--b\r\n\(title)\r\nx\r\n--b-- \t\r\n") == nil)
    // A form without parts is a form.
    #expect(error("--b--\r\n") == nil)
  }

  @Test("a boundary of 70 characters is taken, and one that is a part of another is told apart")
  func boundaries() throws {
    let long = String(repeating: "b", count: 70)
    #expect(
      try events("--\(long)\r\n\(title)\r\n\r\n--\(long.dropLast())\r\n--\(long)--", boundary: long) == [
        "title|-|-|\r\n--\(long.dropLast())."
      ])
    #expect(Boundary(contentType: "multipart/form-data; boundary=\(long)b") == nil)
    for type in [
      "multipart/form-data; boundary=x", "Multipart/Form-Data;BOUNDARY=\"a b\"",
      "multipart/form-data; charset=utf-8; boundary=----a'()+_,-./:=?",
    ] {
      #expect(Boundary(contentType: type) != nil, "\(type)")
    }
    for type in [
      "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"", "multipart/form-data; boundary=\"a \"",
      "multipart/form-data; boundary=a; boundary=b", "multipart/form-data; boundary=\"a", "multipart/form-data; boundary=é",
      "multipart/form-data; boundary=a b", "multipart/mixed; boundary=a", "application/json; boundary=a", "; boundary=a", "",
    ] {
      #expect(Boundary(contentType: type) == nil, "\(type)")
    }
  }

  @Test("a form of 10,000 parts is refused at the first that is too many, and headers without an end at their limit")
  func limits() {
    let part = "--b\r\n\(title)\r\nx\r\n"
    #expect(error(String(repeating: part, count: 10_000) + "--b--") == .tooManyParts)
    #expect(error(String(repeating: part, count: 64) + "--b--") == nil)
    #expect(error("--b\r\n" + String(repeating: "a", count: 100_000)) == .headersTooLong)
    #expect(error("--b\r\n" + String(repeating: "A: b\r\n", count: 10_000) + title + "\r\nx\r\n--b--") == .headersTooLong)
  }
}

@Suite("the headers of a part")
struct PartHeadersTests {
  private static func headers(_ lines: String) throws -> String {
    try #require(try events("--b\r\n\(lines)\r\n\r\nx\r\n--b--").first)
  }

  @Test(
    "names are quoted in every way that is in use",
    arguments: [
      (#"name="title""#, "title|-"), (#"name=title"#, "title|-"), (#"name="a\"b\\c""#, #"a"b\c|-"#), (#"name="a%22b""#, #"a"b|-"#),
      (#"name="x"; filename="C:\dir\picture.png""#, #"x|C:\dir\picture.png"#), (#"name="x";filename="a;b=c.png""#, "x|a;b=c.png"),
      (#"name="x"; filename="Über 日本.png""#, "x|Über 日本.png"), (#"name="x"; filename="""#, "x|"),
      (#"filename="y"; name="x""#, "x|y"), (#"name="x"; filename*=UTF-8''%e2%82%ac%20rates.png"#, "x|€ rates.png"),
      (#"name="x"; filename="plain.png"; filename*=UTF-8''other.png"#, "x|plain.png"), (#"name="x"; filename*=latin1''a"#, "x|-"),
      // A combining mark is of one character with the sign before it, for a reader.
      ("name=\"x\"; filename=\"\u{e31}\u{e19}.png\"", "x|\u{e31}\u{e19}.png"),
      ("name=\"\u{301}\"; filename=\"\u{301}\"", "\u{301}|\u{301}"),
      ("name=\"a%22\u{301}b%0D\u{301}\"", "a\"\u{301}b\r\u{301}|-"), ("name=\"a\\\"\u{301}\"", "a\"\u{301}|-"),
      ("name=x; filename*=\"UTF-8''\u{301}%2e\"", "x|\u{301}."), ("name=\"x\u{200d}\"", "x\u{200d}|-"),
      (#"name="x"; filename*=UTF-8''%+f"#, "x|-"), (#"name="""#, "|-"), (#"name="x"; Other="1""#, "x|-"),
    ])
  func quoting(_ parameters: String, _ wanted: String) throws {
    #expect(try Self.headers("Content-Disposition: form-data; \(parameters)") == "\(wanted)|-|x.")
  }

  @Test("other headers are passed over, and a type is taken without its parameters")
  func others() throws {
    #expect(
      try Self.headers("X-More: \"unclosed\r\nCONTENT-TYPE:\tText/Plain ; charset=\"UTF-8\"\r\ncontent-disposition:  form-data; name=a\t")
        == "a|-|text/plain|x.")
    #expect(try Self.headers("Content-Transfer-Encoding: BINARY\r\nContent-Disposition: form-data; name=a") == "a|-|-|x.")
  }

  @Test(
    "what is not the header of a form's part is refused",
    arguments: [
      "", "Content-Type: text/plain", "Content-Disposition: form-data", "Content-Disposition: attachment; name=\"a\"",
      "Content-Disposition: form-data; name=\"a", "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
      "Content-Disposition: form-data; name=\"a\" x", "Content-Disposition: form-data; =a", "Content-Disposition: form-data; name",
      "Content-Disposition: form-data; name=\"a\";", "Content-Disposition: form-data; name=a b",
      "Content-Disposition form-data; name=\"a\"",
      ": form-data; name=\"a\"", "Content-Disposition : form-data; name=\"a\"",
      "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"a\"",
      "Content-Disposition: form-data;\r\n name=\"a\"", " Content-Disposition: form-data; name=\"a\"",
      "Content-Disposition: form-data; name=\"a\nb\"", "Content-Disposition: form-data; name=\"a\rb\"",
      "Content-Disposition: form-data; name=\"a\u{0}b\"", "Content-Disposition: form-data; name=\"a\u{7f}\"",
      "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: ;", "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: a b/c",
      "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: a/b\r\nContent-Type: a/b",
      "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64",
      "Content-Disposition: form-data; name=\"a\"\u{301}", "Content-Disposition: form-data;\u{301} name=\"a\"",
      "Content-Disposition: form-data; name=\u{301}\"a\"", "Content-Disposition:\u{301} form-data; name=\"a\"",
    ])
  func refused(_ lines: String) {
    #expect(throws: MultipartError.self) { try Self.headers(lines) }
  }

  @Test("bytes that are not UTF-8 are no header")
  func bytes() {
    let body = Array("--b\r\nContent-Disposition: form-data; name=\"".utf8) + [0xff] + Array("\"\r\n\r\nx\r\n--b--".utf8)
    #expect(throws: MultipartError.self) { try events([body]) }
  }
}

@Suite("a whole form")
struct MultipartFormTests {
  private static func form(_ parts: (name: String, rest: String, content: [UInt8])...) throws(MultipartError) -> MultipartForm {
    var body: [UInt8] = []
    for part in parts {
      body +=
        Array("--b\r\nContent-Disposition: form-data; name=\"\(part.name)\"\(part.rest)\r\n\r\n".utf8) + part.content + Array("\r\n".utf8)
    }
    guard let boundary = Boundary(contentType: "multipart/form-data; boundary=b") else { throw .noBoundary }
    return try MultipartForm(body + Array("--b--".utf8), boundary: boundary)
  }

  @Test("every byte of a file is kept, and no part of one is lost to what looks like a boundary")
  func content() throws {
    let file = (0...255).map { UInt8($0) } + Array("\r\n--\r\n--a\r\n-".utf8) + Array(repeating: 13, count: 50)
    let form = try Self.form(("title", "", Array("A title".utf8)), ("image", "; filename=x", file), ("empty", "", []))
    #expect(form.parts.map(\.headers.name) == ["title", "image", "empty"])
    #expect(Array(form.parts[1].content) == file)
    #expect(try form.parts[0].text() == "A title")
    #expect(form.parts[2].content.isEmpty)
  }

  @Test("a name that comes twice is refused")
  func twice() {
    #expect(throws: MultipartError.brokenHeaders("two parts have the name a")) {
      try Self.form(("a", "", []), ("b", "", []), ("a", "", []))
    }
  }

  @Test("a text is UTF-8 and says nothing else")
  func charset() throws {
    #expect(throws: MultipartError.self) { try Self.form(("a", "", [0xc3])).parts[0].text() }
    #expect(throws: MultipartError.self) {
      try Self.form(("a", "\r\nContent-Type: text/plain; charset=iso-8859-1", [0x61])).parts[0].text()
    }
    #expect(try Self.form(("a", "\r\nContent-Type: text/plain; charset=UTF-8", Array("é".utf8))).parts[0].text() == "é")
    #expect(throws: MultipartError.self) { try Self.form(("_charset_", "", Array("iso-8859-1".utf8))) }
    #expect(try Self.form(("_charset_", "", Array("UTF-8".utf8)), ("a", "", [])).parts.count == 2)
  }
}
