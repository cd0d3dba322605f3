// Reads JSON by the letter of RFC 8259. Foundation's decoder also takes what is not JSON (a comma before a closing brace, say), and a
// client that sends such a body should hear of it here and not from the next server it talks to.

/// Parses one JSON text.
package struct JSONReader {
  /// Where a text stops being JSON, or JSON that is taken here, as an offset in bytes.
  package struct Failure: Error, Equatable {
    package let offset: Int
    package var reason = Reason.notJSON
  }

  package enum Reason: Equatable, Sendable {
    case notJSON
    // The rest is JSON by RFC 8259, which leaves such limits to each implementation (section 9).
    case tooDeep
    case tooManyValues
    case numberTooLarge
  }

  /// How deep values may be nested: nothing that we are sent goes beyond two.
  static let depthLimit = 32
  /// How many values there may be, each of which takes far more memory than it has bytes: nothing that we are sent has ten.
  static let countLimit = 1000

  /// What some editors and libraries put before a text. It is no JSON, but may be passed over (RFC 8259, section 8.1).
  private static let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]

  private let bytes: [UInt8]
  private var place = 0
  private var count = 0

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// - Parameter bytes: the text, in UTF-8.
  package static func parse(_ bytes: [UInt8]) throws(Failure) -> JSONValue {
    var reader = JSONReader(bytes)
    if bytes.starts(with: byteOrderMark) { reader.place = byteOrderMark.count }
    let value = try reader.value(depth: 0)
    reader.skipBlanks()
    guard reader.place == bytes.count else { throw reader.failure }
    return value
  }

  private var failure: Failure { Failure(offset: place) }
  private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

  private mutating func skipBlanks() {
    while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { place += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    place += 1
    return true
  }

  private mutating func value(depth: Int) throws(Failure) -> JSONValue {
    skipBlanks()
    count += 1
    guard let byte = next else { throw failure }
    guard depth < Self.depthLimit else { throw Failure(offset: place, reason: isBalanced ? .tooDeep : .notJSON) }
    guard count <= Self.countLimit else { throw Failure(offset: place, reason: .tooManyValues) }
    switch byte {
    case UInt8(ascii: "{"): return try object(depth)
    case UInt8(ascii: "["): return try array(depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  /// Whether every bracket has its partner: what nests without an end is no JSON.
  private var isBalanced: Bool {
    var open: [UInt8] = []
    var isInString = false
    var isEscaped = false
    for byte in bytes {
      switch byte {
      case _ where isEscaped: isEscaped = false
      case UInt8(ascii: "\\") where isInString: isEscaped = true
      case UInt8(ascii: "\""): isInString.toggle()
      case _ where isInString: break
      // The closing bracket of each is two behind it in ASCII.
      case UInt8(ascii: "["), UInt8(ascii: "{"): open.append(byte + 2)
      case UInt8(ascii: "]"), UInt8(ascii: "}"): if open.popLast() != byte { return false }
      default: break
      }
    }
    return open.isEmpty && !isInString
  }

  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
    guard word.withUTF8Buffer({ bytes[place...].starts(with: $0) }) else { throw failure }
    place += word.utf8CodeUnitCount
    return value
  }

  /// Section 4. Of several members with one name the last counts, as in most implementations.
  private mutating func object(_ depth: Int) throws(Failure) -> JSONValue {
    var members: [String: JSONValue] = [:]
    place += 1
    skipBlanks()
    if take("}") { return .object(members) }
    repeat {
      skipBlanks()
      let name = try string()
      skipBlanks()
      guard take(":") else { throw failure }
      members[name] = try value(depth: depth + 1)
      skipBlanks()
    } while take(",")
    guard take("}") else { throw failure }
    return .object(members)
  }

  /// Section 5.
  private mutating func array(_ depth: Int) throws(Failure) -> JSONValue {
    var elements: [JSONValue] = []
    place += 1
    skipBlanks()
    if take("]") { return .array(elements) }
    repeat {
      elements.append(try value(depth: depth + 1))
      skipBlanks()
    } while take(",")
    guard take("]") else { throw failure }
    return .array(elements)
  }

  /// Section 6. Whole numbers that fit into 64 bits are kept exact; one beyond the range of a double is no number here.
  private mutating func number() throws(Failure) -> JSONValue {
    let start = place
    _ = take("-")
    if !take("0") { try digits() }
    var isWhole = true
    if take(".") {
      isWhole = false
      try digits()
    }
    if take("e") || take("E") {
      isWhole = false
      if !take("+") { _ = take("-") }
      try digits()
    }
    let text = String(decoding: bytes[start..<place], as: UTF8.self)
    if isWhole, let integer = Int64(text) { return .integer(integer) }
    guard let number = Double(text), number.isFinite else { throw Failure(offset: start, reason: .numberTooLarge) }
    return .number(number)
  }

  private mutating func digits() throws(Failure) {
    let start = place
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { place += 1 }
    guard place > start else { throw failure }
  }

  /// Section 7.
  private mutating func string() throws(Failure) -> String {
    guard take("\"") else { throw failure }
    let start = place
    // Most strings have no escape: they are taken in one piece.
    while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { place += 1 }
    var text = Array(bytes[start..<place])
    while let byte = next {
      place += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else { throw Failure(offset: start) }
        return string
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0x20...: text.append(byte)
      default: throw Failure(offset: place - 1)
      }
    }
    throw failure
  }

  private mutating func escape(into text: inout [UInt8]) throws(Failure) {
    guard let byte = next else { throw failure }
    place += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"): text.append(contentsOf: String(Character(try scalar())).utf8)
    default: throw Failure(offset: place - 1)
    }
  }

  /// The character of `\uXXXX`, or of the two of a surrogate pair. Half of a pair is no character.
  private mutating func scalar() throws(Failure) -> Unicode.Scalar {
    let start = place
    let first = try hexadecimal()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard (0xd800..<0xdc00).contains(first), take("\\"), take("u") else { throw Failure(offset: start) }
    let second = try hexadecimal()
    guard (0xdc00..<0xe000).contains(second), let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00)) else {
      throw Failure(offset: start)
    }
    return scalar
  }

  private mutating func hexadecimal() throws(Failure) -> UInt32 {
    guard place + 4 <= bytes.count else { throw failure }
    var value: UInt32 = 0
    for byte in bytes[place..<place + 4] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { throw failure }
      value = value << 4 | UInt32(digit)
    }
    place += 4
    return value
  }
}

extension FieldFlaw {
  /// What a client is told of a body that is not taken: in pydantic's words if it is not JSON, and if it is, which limit it is over.
  init(_ reason: JSONReader.Reason) {
    self =
      switch reason {
      case .notJSON: .invalidJSON
      case .tooDeep: .value("JSON may be nested at most \(JSONReader.depthLimit) levels deep here")
      case .tooManyValues: .value("JSON may have at most \(JSONReader.countLimit) values here")
      case .numberTooLarge: .value("a number is beyond the range of a double")
      }
  }
}
