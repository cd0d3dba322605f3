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

  @Test("what is around the boundaries on their lines is refused, and a body without one")
  func around() {
    #expect(error("") == .endsEarly)
    #expect(error("preamble --b\r\n\(title)\r\nx\r\n") == .noBoundary)
    #expect(error("preamble\n--b\n\(title)\nx\n--b--") == .noBoundary)
    #expect(error("preamble\r\n--c\r\n\(title)\r\nx\r\n--c--") == .noBoundary)
    #expect(error("preamble\r\n--") == .noBoundary)
    #expect(error("--c\r\n\(title)\r\nx\r\n--c--") == .noBoundary)
    #expect(error("--bb\r\n\(title)\r\nx\r\n--bb--") == .brokenBoundary)
    #expect(error("--b\n\(title)\r\nx\r\n--b--") == .brokenBoundary)
    #expect(error("--b\r\n\(title)\r\nx\r\n--bx\r\n") == .brokenBoundary)
    #expect(error("--b\r\n\(title)\r\nx\r\n--b-\r\n") == .brokenBoundary)
    #expect(error("--b\r\n\(title)\r\nx\r\n--b--x") == .goesOn)
    #expect(error("--b\r\n\(title)\r\nx\r\n--b-- \tx") == .goesOn)
    #expect(error("--b\r\n\(title)\r\nx\r\n--b-- \t\r\n") == nil)
    // A form without parts is a form.
    #expect(error("--b--\r\n") == nil)
  }

  @Test(
    "lines before the first boundary and after the last are passed over, however the body is cut",
    arguments: [
      ("\r\n", ""), ("\r\n\r\n", ""), ("preamble\r\n", ""), ("a\r\n--c\r\n-\r\n--\r\r\n", ""), ("\n\r\n", ""), ("--\r\n", ""),
      ("-\r\n", ""), ("", "\r\n\r\n"), ("", "\n"), ("", "\r"), ("", " \r\nepilogue\r\n"),
      ("", "\r\n--b\r\nno header\r\n\r\nno part\r\n--b--x"),
      ("\r\nbefore\r\n", "\r\nafter"),
    ])
  func around(before: String, after: String) throws {
    let body = Array("\(before)--b\r\n\(title)\r\nx\r\n--b--\(after)".utf8)
    for first in 0...body.count {
      #expect(try events([Array(body[..<first]), Array(body[first...])]) == ["title|-|-|x."])
    }
    #expect(try events(body.map { [$0] }) == ["title|-|-|x."])
  }

  @Test(
    "whatever blanks or marks are before the first boundary, its part is not lost",
    arguments: ["\n", "\n\n", "\u{feff}", "\u{feff}\r\n", " \r\n\n", "\r"])
  func marks(_ before: String) throws {
    #expect(try events("\(before)--b\r\n\(title)\r\nx\r\n--b\r\n\(title)\r\ny\r\n--b--") == ["title|-|-|x.", "title|-|-|y."])
  }

  @Test("a boundary at once after a part's headers ends it: it has no content")
  func noContent() throws {
    let part = "--b\r\n\(title)\r\n"
    for (content, wanted) in [("", "."), ("--a\r\n", "--a."), ("--\r\n", "--."), ("-\r\n", "-."), ("\r\n", "."), ("\r\r\n", "\r.")] {
      let body = Array("\(part)\(content)\(part)\(content)--b--".utf8)
      for first in 0...body.count {
        #expect(
          try events([Array(body[..<first]), Array(body[first...])]) == ["title|-|-|\(wanted)", "title|-|-|\(wanted)"], "\(content)")
      }
    }
  }

  @Test("a long preamble or epilogue gives no event and takes no memory")
  func long() throws {
    let boundary = try #require(Boundary(contentType: "multipart/form-data; boundary=b"))
    var parser = MultipartParser(boundary: boundary)
    var events = 0
    func feed(_ text: String) throws { try parser.feed(Array(text.utf8)[...]) { _ in events += 1 } }
    for _ in 0..<1000 { try feed(String(repeating: "\r\n--", count: 1000)) }
    #expect(events == 0)
    try feed("\r\n--b\r\n\(title)\r\n\r\n--b--\r\n")
    #expect(events == 2)
    for _ in 0..<1000 { try feed(String(repeating: "\r\n--b", count: 1000)) }
    try parser.finish()
    #expect(events == 2)
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
      "multipart/form-data; charset=utf-8; boundary=----a'()+_,-./:=?", "multipart/form-data;boundary=*****",
      "multipart/form-data; boundary=$a$#%&!~^|`{}[]<>@\\", "multipart/form-data; boundary=b;", "multipart/form-data; boundary=\"b\" ; ",
      "multipart/form-data;; boundary=b", "multipart/form-data; boundary = b", "multipart/form-data, boundary=b",
      "multipart/form-data; boundary=\"a;b\"",
      "multipart/form-data; boundary===b==",
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
      (#"name="x"; filename="plain.png"; filename*=UTF-8''other.png"#, "x|other.png"),
      (#"name="x"; filename*=utf-8'en'%C3%BC.png; filename="u.png""#, "x|ü.png"),
      (#"name="x"; filename*=iso-8859-1''%FC%80.png"#, "x|ü€.png"), (#"name="x"; filename*=us-ascii''%FC; filename="a""#, "x|a"),
      (#"name="x"; filename="a"; filename*=UTF-8''%zz"#, "x|a"), (#"name="x"; filename="a"; filename*=b"#, "x|a"),
      (#"name="x"; filename*0*=UTF-8''a%20; filename*1="b%20"; filename*2*=%C3%BC; filename="a""#, "x|a b%20ü"),
      (#"name="x"; filename*0="a"; filename*1="b.png""#, "x|ab.png"), (#"name*=utf-8''%C3%BC"#, "ü|-"),
      // Encoded-words, where there is nothing better.
      (#"name=x; filename="=?utf-8?B?w7xiZXIucG5n?="; filename*=utf-8''%C3%BCber.png"#, "x|über.png"),
      (#"name=x; filename="=?utf-8?B?w7xiZXIucG5n?=""#, "x|über.png"), (#"name=x; filename="=?UTF-8?q?=C3=BC_a.png?=""#, "x|ü a.png"),
      (#"name=x; filename="=?utf-8?B?w7?= =?utf-8?B?xi.png?=""#, "x|=?utf-8?B?w7?= =?utf-8?B?xi.png?="),
      (#"name=x; filename="=?utf-8?Q?=C3?= =?utf-8?Q?=BC?= =?iso-8859-1*de?Q?=FC.png?=""#, "x|üü.png"),
      (#"name=x; filename="=?utf-8?B?w7xiZXIucG5n?= x""#, "x|=?utf-8?B?w7xiZXIucG5n?= x"),
      (#"name=x; filename="=?koi8-r?B?w7w=?=""#, "x|=?koi8-r?B?w7w=?="),
      (#"name=x; filename="=?utf-8?B?w7xi?Z?=""#, "x|=?utf-8?B?w7xi?Z?="), (#"name=x; filename="=?utf-8?Q?=FF?=""#, "x|=?utf-8?Q?=FF?="),
      // Quotation marks that nobody escaped.
      (#"name="x"; filename="a"b.png""#, #"x|a"b.png"#), (#"name="x"; filename="say "hi"""#, #"x|say "hi""#),
      (#"name="x"; filename=""a" and "b".png""#, #"x|"a" and "b".png"#), (#"name="x"; filename="a";b.png""#, #"x|a";b.png"#),
      (#"name="x"; filename="a\"b.png""#, #"x|a"b.png"#), (#"filename="a"b"; name="x""#, #"x|a"b"#), (#"name="a" x""#, #"a" x|-"#),
      (#"name="x"; filename="a"; size=5; mode=1"#, "x|a"),
      // Semicolons and blanks too many, and what is not quoted.
      (#"name="x";"#, "x|-"), (#"name="x"; filename="a" ; "#, "x|a"), (#"; name="x";; filename=a;"#, "x|a"),
      (#"name = "x"; filename= a"#, "x|a"),
      (#"name=tags[]; filename=[a]{ü}.png"#, "tags[]|[a]{ü}.png"), (#"name=; filename="a""#, "|a"),
      (#"name="x"; filename*=latin1''a"#, "x|-"),
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
    for (type, wanted) in [
      ("", "-"), (" \t", "-"), ("image/png;", "image/png"), ("image/png ; ;", "image/png"), ("text/plain; charset=", "text/plain"),
    ] {
      #expect(try Self.headers("Content-Type:\(type)\r\nContent-Disposition: form-data; name=a") == "a|-|\(wanted)|x.", "\(type)")
    }
    #expect(try Self.headers("Content-Transfer-Encoding: binary;\r\nContent-Disposition: form-data; name=a") == "a|-|-|x.")
  }

  @Test("a header may be folded")
  func folding() throws {
    #expect(
      try Self.headers("Content-Disposition: form-data;\r\n name=\"a\";\r\n\tfilename=\"b\r\n c\"\r\nContent-Type:\r\n  image/png")
        == "a|b c|image/png|x.")
  }

  @Test(
    "what is not the header of a form's part is refused",
    arguments: [
      "", "Content-Type: text/plain", "Content-Disposition: form-data", "Content-Disposition: attachment; name=\"a\"",
      "Content-Disposition: form-data; name=\"a", "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
      "Content-Disposition: form-data; name=\"a\" x", "Content-Disposition: form-data; =a", "Content-Disposition: form-data; name",
      "Content-Disposition: form-data; name=a b",
      "Content-Disposition form-data; name=\"a\"",
      ": form-data; name=\"a\"", "Content-Disposition : form-data; name=\"a\"",
      "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"a\"",
      "\r\n Content-Disposition: form-data; name=\"a\"", " Content-Disposition: form-data; name=\"a\"",
      "Content-Disposition: form-data; name=\"a\nb\"", "Content-Disposition: form-data; name=\"a\rb\"",
      "Content-Disposition: form-data; name=\"a\u{0}b\"", "Content-Disposition: form-data; name=\"a\u{7f}\"",
      "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: ;", "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: a b/c",
      "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: a/b\r\nContent-Type: a/b",
      "Content-Disposition:", "Content-Disposition: ; name=\"a\"", "Content-Disposition: form-data; name=\"a\"; filename=\"b",
      "Content-Disposition: form-data; name=\"a\"\u{301}", "Content-Disposition: form-data;\u{301} name=\"a\"",
      "Content-Disposition: form-data; name=\u{301}\"a\"", "Content-Disposition:\u{301} form-data; name=\"a\"",
    ])
  func refused(_ lines: String) {
    #expect(throws: MultipartError.self) { try Self.headers(lines) }
  }

  @Test("headers that are not UTF-8 are taken for Windows-1252, as old clients on Windows and Java's write the names of files")
  func bytes() throws {
    let body =
      Array("--b\r\nContent-Disposition: form-data; name=\"x\"; filename=\"".utf8) + [0xfc, 0x80] + Array("\"\r\n\r\nx\r\n--b--".utf8)
    #expect(try events([body]) == ["x|ü€|-|x."])
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

  @Test("of parts with one name all are given")
  func twice() throws {
    let form = try Self.form(("a", "", [1]), ("b", "", []), ("a", "", [2]))
    #expect(form.parts.map(\.headers.name) == ["a", "b", "a"])
    #expect(form.parts.map { Array($0.content) } == [[1], [], [2]])
  }

  private static func text(_ content: [UInt8], _ headers: String = "", charset: String? = nil) throws -> String {
    let given = charset.map { [("_charset_", "", Array($0.utf8))] } ?? []
    let parts = given + [("a", headers, content)]
    let form = parts.count == 2 ? try Self.form(parts[0], parts[1]) : try Self.form(parts[0])
    return try #require(form.parts.last).text()
  }

  @Test(
    "a text is in the encoding that it says, or that _charset_ says, or in UTF-8",
    arguments: [
      (nil, nil, [0xc3, 0xa9], "é"), ("UTF-8", nil, [0xc3, 0xa9], "é"), ("utf8", nil, [0xc3, 0xa9], "é"),
      ("\"Utf8\";", nil, [0xc3, 0xa9], "é"),
      ("US-ASCII", nil, [0x61], "a"), ("ascii", nil, [0xc3, 0xa9], "é"), ("ISO-8859-1", nil, [0x61, 0xe9, 0xff], "aéÿ"),
      ("iso-8859-1", nil, [0xc3, 0xa9], "Ã©"), ("latin1", nil, [0xa0], "\u{a0}"), ("windows-1252", nil, [0x80, 0x9f, 0x93], "€Ÿ“"),
      ("iso-8859-1", nil, [0x80], "€"), ("", nil, [0xc3, 0xa9], "é"), (nil, "ISO-8859-1", [0xe9], "é"),
      ("utf-8", "ISO-8859-1", [0xc3, 0xa9], "é"),
      ("iso-8859-1", "utf-8", [0xe9], "é"), (nil, "utf8", [0xc3, 0xa9], "é"), (nil, "", [0xc3, 0xa9], "é"),
    ] as [(String?, String?, [UInt8], String)])
  func charset(own: String?, ofForm: String?, bytes: [UInt8], wanted: String) throws {
    #expect(try Self.text(bytes, own.map { "\r\nContent-Type: text/plain; charset=\($0)" } ?? "", charset: ofForm) == wanted)
  }

  @Test("a text in another encoding, or not in the one that it says, is refused when it is asked for")
  func wrongCharset() throws {
    #expect(throws: MultipartError.self) { try Self.text([0xc3]) }
    #expect(throws: MultipartError.self) { try Self.text([0xe9], "\r\nContent-Type: text/plain; charset=us-ascii") }
    #expect(throws: MultipartError.self) { try Self.text([0x61], "\r\nContent-Type: text/plain; charset=utf-16") }
    #expect(throws: MultipartError.self) { try Self.text([0x61], charset: "utf-16") }
    #expect(throws: MultipartError.self) { try Self.text([0x61], charset: String(repeating: "x", count: 10_000)) }
  }

  @Test(
    "a text that was written for mail is read",
    arguments: [
      ("base64", "w7xiZXI=", "über"), ("BASE64", "w7xi\r\nZXI", "über"), ("base64", "", ""), ("quoted-printable", "=C3=BCb=\r\ner", "über"),
      ("Quoted-Printable", "a= \r\nb=3d", "ab="), ("8bit", "über", "über"), ("7bit", "w7xi", "w7xi"),
    ])
  func transferEncoding(encoding: String, content: String, wanted: String) throws {
    #expect(try Self.text(Array(content.utf8), "\r\nContent-Transfer-Encoding: \(encoding)") == wanted)
  }

  @Test(
    "one that is not written as it says is refused when it is asked for",
    arguments: [
      ("base64", "w"), ("base64", "w7xi="), ("base64", "w7xiZX=I"), ("base64", "w7xiZXI=="), ("base64", "w7!i"), ("base64", "w7xiZ==="),
      ("quoted-printable", "=C"), ("quoted-printable", "=zz"), ("quoted-printable", "="), ("x-uuencode", "a"), ("gzip", "a"),
    ])
  func wrongTransferEncoding(encoding: String, content: String) throws {
    #expect(throws: MultipartError.self) { try Self.text(Array(content.utf8), "\r\nContent-Transfer-Encoding: \(encoding)") }
  }
}
