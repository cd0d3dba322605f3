// JSON in and out.

import ServiceKit
import Testing

@Suite("JSON that is read")
struct JSONReaderTests {
  private func parse(_ text: String) -> JSONValue? { try? JSONReader.parse(Array(text.utf8)) }

  @Test("every kind of value is read, with blanks around it")
  func values() {
    #expect(parse(" null ") == .null)
    #expect(parse("true") == .bool(true))
    #expect(parse("\tfalse\r\n") == .bool(false))
    #expect(parse("-0") == .integer(0))
    #expect(parse("9223372036854775807") == .integer(.max))
    #expect(parse("-9223372036854775808") == .integer(.min))
    #expect(parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
    #expect(parse("1.5e-3") == .number(0.0015))
    #expect(parse("[1, [], {}]") == .array([.integer(1), .array([]), .object([:])]))
    #expect(parse(#"{"a": {"b": null}, "a": 2}"#) == .object(["a": .integer(2)]))
  }

  @Test("strings come with every escape undone")
  func strings() {
    #expect(parse(#""""#) == .string(""))
    #expect(parse(#""a\"\\\/\b\f\n\r\tz""#) == .string("a\"\\/\u{8}\u{c}\n\r\tz"))
    #expect(parse(#""\u00e4\u20AC\ud83d\ude00\u0000""#) == .string("ä€😀\u{0}"))
    #expect(parse("\"ä€😀\u{7f}\"") == .string("ä€😀\u{7f}"))
  }

  @Test(
    "what RFC 8259 does not have is refused",
    arguments: [
      "", " ", "{", "}", "[1,]", "[,]", "[1 2]", #"{"a":1,}"#, #"{"a" 1}"#, #"{a:1}"#, #"{"a":}"#, #"{1:2}"#, "nul", "True", "NaN",
      "Infinity", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x10", "1e999", "'a'", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"",
      "\"\n\"", "\"\u{1f}\"", #""\ud800""#, #""\ud800\u0041""#, #""\udc00""#, "1 2", "// a\n1", "\u{feff}\u{feff}1", "1\u{feff}",
    ])
  func refusals(_ text: String) {
    #expect(parse(text) == nil)
  }

  @Test("bytes that are not UTF-8 are refused", arguments: [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]] as [[UInt8]])
  func notUTF8(_ bytes: [UInt8]) {
    #expect(throws: JSONReader.Failure.self) { try JSONReader.parse([0x22] + bytes + [0x22]) }
  }

  @Test("nesting without an end is refused and not followed")
  func depth() {
    #expect(parse(String(repeating: "[", count: 100_000)) == nil)
    #expect(parse(String(repeating: "[", count: 20) + String(repeating: "]", count: 20)) != nil)
  }

  @Test("more values than anybody sends are refused at the first too many")
  func count() {
    let elements = { "[" + Array(repeating: "1", count: $0).joined(separator: ",") + "]" }
    #expect(parse(elements(999)) != nil)
    #expect { try JSONReader.parse(Array(elements(100_000).utf8)) } throws: { ($0 as? JSONReader.Failure)?.offset == 1 + 999 * 2 }
  }

  @Test(
    "of what is right by RFC 8259 and beyond our bounds it is told which one",
    arguments: [
      (String(repeating: "[", count: 33) + String(repeating: "]", count: 33), .tooDeep),
      (String(repeating: #"{"]":["#, count: 40) + #""\"[""# + String(repeating: "]}", count: 40), .tooDeep),
      (String(repeating: "[", count: 33) + String(repeating: "]", count: 32), .notJSON),
      (String(repeating: "[", count: 33) + String(repeating: "}", count: 33), .notJSON),
      (String(repeating: "[", count: 100_000), .notJSON),
      ("[" + Array(repeating: "1", count: 1000).joined(separator: ",") + "]", .tooManyValues),
      ("1e999", .numberTooLarge), ("-1e999", .numberTooLarge), ("[1,]", .notJSON),
    ] as [(String, JSONReader.Reason)])
  func bounds(_ text: String, reason: JSONReader.Reason) {
    #expect { try JSONReader.parse(Array(text.utf8)) } throws: { ($0 as? JSONReader.Failure)?.reason == reason }
  }

  @Test("a byte order mark at the beginning is passed over")
  func byteOrderMark() {
    #expect(parse("\u{feff}1") == .integer(1))
    #expect(parse("\u{feff} {}") == .object([:]))
    #expect(parse("\"\u{feff}\"") == .string("\u{feff}"))
  }

  @Test("a failure tells where")
  func offset() {
    #expect { try JSONReader.parse(Array(#"{"a": 1, }"#.utf8)) } throws: { ($0 as? JSONReader.Failure)?.offset == 9 }
  }
}

@Suite("JSON that is written")
struct JSONWriterTests {
  private struct Inner: Encodable {
    let name: String
    let score: Double
  }

  private struct Outer: Encodable {
    let z: Int64
    let a: String?
    let list: [Inner]
    let absent: Inner?
    let flag: Bool
    let optional: Int64?
    let count: Int
  }

  private func written(_ value: some Encodable) throws -> String {
    String(decoding: try JSONWriter.encode(value), as: UTF8.self)
  }

  @Test("members come in the order of their declaration, and nil as null")
  func order() throws {
    let value = Outer(z: -1, a: nil, list: [Inner(name: "x", score: 0.5)], absent: nil, flag: true, optional: 7, count: 2)
    #expect(
      try written(value) == #"{"z":-1,"a":null,"list":[{"name":"x","score":0.5}],"absent":null,"flag":true,"optional":7,"count":2}"#)
  }

  @Test("nil of every type is null")
  func nils() throws {
    struct Nils: Encodable {
      let bool: Bool? = nil
      let int: Int? = nil
      let int32: Int32? = nil
      let uint64: UInt64? = nil
      let double: Double? = nil
      let float: Float? = nil
      let list: [String]? = nil
    }
    #expect(
      try written(Nils()) == #"{"bool":null,"int":null,"int32":null,"uint64":null,"double":null,"float":null,"list":null}"#)
  }

  @Test("lists, empty ones and plain values are written")
  func plain() throws {
    #expect(try written([Int]()) == "[]")
    #expect(try written([1, nil, 3]) == "[1,null,3]")
    #expect(try written(["detail": "x"]) == #"{"detail":"x"}"#)
    #expect(try written(Int64.min) == "-9223372036854775808")
  }

  @Test("a character that needs an escape gets it wherever it stands, beside any others")
  func escapesEverywhere() throws {
    let escapes: [(Character, String)] = [("\"", #"\""#), ("\\", #"\\"#), ("\n", #"\n"#), ("\u{1}", #"\u0001"#), ("\u{1f}", #"\u001f"#)]
    for (character, escape) in escapes {
      for neighbour in ["x", " ", "!", "#", "]", "\u{7f}", "é", "\u{10ffff}"] {
        for before in 0...17 {
          let (left, right) = (String(repeating: neighbour, count: before), String(repeating: neighbour, count: 17 - before))
          #expect(try written(left + String(character) + right) == "\"" + left + escape + right + "\"")
        }
      }
    }
  }

  @Test("what is written is read back the same, whatever the characters")
  func roundTrip() throws {
    let scalars = (0...0x2ff).compactMap(Unicode.Scalar.init) + ["\u{2028}", "\u{fffd}", "😀", "\u{10ffff}"]
    let text = String(String.UnicodeScalarView(scalars))
    #expect(try JSONReader.parse(try JSONWriter.encode(text)) == .string(text))
  }
}
