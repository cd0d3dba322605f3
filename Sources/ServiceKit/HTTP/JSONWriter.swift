// Writes Encodable values as JSON (RFC 8259). Foundation's encoder leaves out members that are nil, where our clients expect
// null, and writes members in no order; this one writes every member, in the order in which the type declares them, straight
// into the response's bytes, in a third of the time.

/// Encodes one value. Members that are nil are written as `null`. Numbers must be finite.
package struct JSONWriter {
  package static func encode(_ value: some Encodable) throws -> [UInt8] {
    let output = Output()
    try output.write(value)
    return output.bytes
  }

  /// The bytes so far, and the objects and arrays that are open.
  fileprivate final class Output: Encoder {
    var bytes: [UInt8] = []
    /// What the value being written has opened.
    private var frame = Frame()

    private struct Frame {
      var closing: UInt8?
      var isEmpty = true
    }

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init() { bytes.reserveCapacity(1024) }

    func write<Value: Encodable>(_ value: Value) throws {
      let outer = frame
      frame = Frame()
      defer { frame = outer }
      try value.encode(to: self)
      if let closing = frame.closing { bytes.append(closing) }
    }

    /// A type may ask for its container again and again (one that adds members to another's does): it is opened once.
    private func open(_ opening: Unicode.Scalar, _ closing: Unicode.Scalar) {
      guard frame.closing == nil else { return }
      frame.closing = UInt8(ascii: closing)
      bytes.append(UInt8(ascii: opening))
    }

    func separate() {
      if !frame.isEmpty { bytes.append(UInt8(ascii: ",")) }
      frame.isEmpty = false
    }

    func key(_ key: some CodingKey) {
      separate()
      string(key.stringValue)
      bytes.append(UInt8(ascii: ":"))
    }

    func null() { bytes.append(contentsOf: "null".utf8) }
    func bool(_ value: Bool) { bytes.append(contentsOf: (value ? "true" : "false").utf8) }
    func number(_ value: some CustomStringConvertible) { bytes.append(contentsOf: value.description.utf8) }

    /// Section 7: the quotation mark, the reverse solidus and control characters are escaped, all else goes as it is.
    func string(_ text: String) {
      var text = text
      bytes.append(UInt8(ascii: "\""))
      text.withUTF8 { utf8 in
        var clean = 0
        while true {
          let special = firstSpecial(utf8, from: clean)
          bytes.append(contentsOf: UnsafeBufferPointer(rebasing: utf8[clean..<special]))
          if special == utf8.count { break }
          escape(utf8[special])
          clean = special + 1
        }
      }
      bytes.append(UInt8(ascii: "\""))
    }

    /// Where the next byte is that is not to go as it is; the end if there is none.
    private func firstSpecial(_ utf8: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
      var index = start
      let bytes = UnsafeRawBufferPointer(utf8)
      // Eight at a time: most of a text needs no escape.
      while index + 8 <= bytes.count, !holdsSpecial(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) { index += 8 }
      while index < bytes.count, bytes[index] >= 0x20, bytes[index] != UInt8(ascii: "\""), bytes[index] != UInt8(ascii: "\\") { index += 1 }
      return index
    }

    /// Whether one of the eight bytes is a control character, a quotation mark or a reverse solidus. Subtracting sets the highest bit
    /// of a byte that is smaller and did not have it set; a byte that is equal to another is zero after the exclusive or.
    private func holdsSpecial(_ word: UInt64) -> Bool {
      let ones: UInt64 = 0x0101_0101_0101_0101
      let quotation = word ^ (ones &* 0x22)
      let solidus = word ^ (ones &* 0x5c)
      let below = (word &- ones &* 0x20) & ~word | (quotation &- ones) & ~quotation | (solidus &- ones) & ~solidus
      return below & (ones &* 0x80) != 0
    }

    private func escape(_ byte: UInt8) {
      switch byte {
      case UInt8(ascii: "\""): bytes.append(contentsOf: "\\\"".utf8)
      case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
      case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
      case UInt8(ascii: "\r"): bytes.append(contentsOf: "\\r".utf8)
      case UInt8(ascii: "\t"): bytes.append(contentsOf: "\\t".utf8)
      default:
        bytes.append(contentsOf: byte < 0x10 ? "\\u000".utf8 : "\\u001".utf8)
        bytes.append(contentsOf: String(byte & 15, radix: 16).utf8)
      }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
      open("{", "}")
      return KeyedEncodingContainer(Members<Key>(output: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
      open("[", "]")
      return Elements(output: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { Scalar(output: self) }
  }
}

/// Nothing of ours nests containers by hand or encodes a superclass.
private func unsupported(_ what: StaticString) -> Never {
  preconditionFailure("JSONWriter does not know \(what)")
}

private struct Members<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let output: JSONWriter.Output
  var codingPath: [any CodingKey] { [] }

  func encodeNil(forKey key: Key) {
    output.key(key)
    output.null()
  }
  func encode(_ value: Bool, forKey key: Key) {
    output.key(key)
    output.bool(value)
  }
  func encode(_ value: String, forKey key: Key) {
    output.key(key)
    output.string(value)
  }
  func encode(_ value: Int64, forKey key: Key) {
    output.key(key)
    output.number(value)
  }
  func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
    output.key(key)
    try output.write(value)
  }
  func encodeIfPresent(_ value: String?, forKey key: Key) {
    if let value { encode(value, forKey: key) } else { encodeNil(forKey: key) }
  }
  func encodeIfPresent(_ value: Int64?, forKey key: Key) {
    if let value { encode(value, forKey: key) } else { encodeNil(forKey: key) }
  }
  func encodeIfPresent<Value: Encodable>(_ value: Value?, forKey key: Key) throws { try encodeOrNil(value, key) }
  // Of these the protocol has versions of its own, which leave out what is nil.
  func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: Int8?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: Int16?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: Int32?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: UInt?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws { try encodeOrNil(value, key) }
  func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws { try encodeOrNil(value, key) }

  private func encodeOrNil(_ value: (some Encodable)?, _ key: Key) throws {
    if let value { try encode(value, forKey: key) } else { encodeNil(forKey: key) }
  }

  func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
    unsupported("nested containers")
  }
  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { unsupported("nested containers") }
  func superEncoder() -> any Encoder { unsupported("superclasses") }
  func superEncoder(forKey key: Key) -> any Encoder { unsupported("superclasses") }
}

private struct Elements: UnkeyedEncodingContainer {
  let output: JSONWriter.Output
  var codingPath: [any CodingKey] { [] }
  private(set) var count = 0

  init(output: JSONWriter.Output) { self.output = output }

  mutating func encodeNil() {
    output.separate()
    output.null()
    count += 1
  }
  mutating func encode<Value: Encodable>(_ value: Value) throws {
    output.separate()
    try output.write(value)
    count += 1
  }

  func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
    unsupported("nested containers")
  }
  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { unsupported("nested containers") }
  func superEncoder() -> any Encoder { unsupported("superclasses") }
}

private struct Scalar: SingleValueEncodingContainer {
  let output: JSONWriter.Output
  var codingPath: [any CodingKey] { [] }

  func encodeNil() { output.null() }
  func encode(_ value: Bool) { output.bool(value) }
  func encode(_ value: String) { output.string(value) }
  func encode(_ value: Double) { output.number(value) }
  func encode(_ value: Float) { output.number(value) }
  func encode(_ value: Int) { output.number(value) }
  func encode(_ value: Int8) { output.number(value) }
  func encode(_ value: Int16) { output.number(value) }
  func encode(_ value: Int32) { output.number(value) }
  func encode(_ value: Int64) { output.number(value) }
  func encode(_ value: UInt) { output.number(value) }
  func encode(_ value: UInt8) { output.number(value) }
  func encode(_ value: UInt16) { output.number(value) }
  func encode(_ value: UInt32) { output.number(value) }
  func encode(_ value: UInt64) { output.number(value) }
  func encode<Value: Encodable>(_ value: Value) throws { try value.encode(to: output) }
}
