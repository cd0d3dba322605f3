// Bytes that are written as ASCII: whole parts (RFC 2045, section 6), and names in encoded-words (RFC 2047) and in percent-encoding
// (RFC 8187).

/// How the content of a part is written. Forms should not have any of it (RFC 7578, section 4.7), and clients that were made for mail do.
public enum TransferEncoding: String, Sendable {
  case sevenBit = "7bit"
  case eightBit = "8bit"
  case binary
  case base64
  case quotedPrintable = "quoted-printable"

  /// nil if the bytes are not of this encoding. Where nothing is encoded nothing is copied.
  func decode(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    switch self {
    case .sevenBit, .eightBit, .binary: bytes
    case .base64: Self.base64(bytes).map { $0[...] }
    case .quotedPrintable: Self.quotedPrintable(bytes).map { $0[...] }
    }
  }

  /// RFC 2045, section 6.8. Blanks and line breaks may be anywhere; the padding at the end may be left out.
  static func base64(_ text: some Collection<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3 + 3)
    var bits: UInt32 = 0
    var digits = 0
    var padding = 0
    for byte in text where !isBlank(byte) {
      if byte == UInt8(ascii: "=") {
        padding += 1
        continue
      }
      guard padding == 0, let digit = base64Digit(byte) else { return nil }
      bits = bits << 6 | digit
      digits += 1
      guard digits.isMultiple(of: 4) else { continue }
      bytes.append(UInt8(truncatingIfNeeded: bits >> 16))
      bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
      bytes.append(UInt8(truncatingIfNeeded: bits))
    }
    switch digits % 4 {
    case 0 where padding == 0: break
    case 2 where padding == 0 || padding == 2: bytes.append(UInt8(truncatingIfNeeded: bits >> 4))
    case 3 where padding <= 1:
      bytes.append(UInt8(truncatingIfNeeded: bits >> 10))
      bytes.append(UInt8(truncatingIfNeeded: bits >> 2))
    default: return nil
    }
    return bytes
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 || byte == 10 }

  private static func base64Digit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a") + 26)
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0") + 52)
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }

  /// RFC 2045, section 6.7: `=XX` is a byte, and a line break after `=` is none.
  private static func quotedPrintable(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    escaped(text, by: UInt8(ascii: "=")) { rest in
      let blanks = rest.prefix { $0 == 32 || $0 == 9 }.count
      guard rest.dropFirst(blanks).starts(with: [13, 10]) else { return false }
      rest = rest.dropFirst(blanks + 2)
      return true
    }
  }

  /// Text in which an escape and two hexadecimal digits are a byte.
  ///
  /// - Parameter skip: called for an escape that no digits follow; takes from what follows what is to be left out, or gives false.
  /// - Returns: nil for an escape that is none.
  static func escaped(
    _ text: ArraySlice<UInt8>, by escape: UInt8, skip: (inout ArraySlice<UInt8>) -> Bool = { _ in false }
  ) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var rest = text
    while let byte = rest.popFirst() {
      if byte != escape {
        bytes.append(byte)
      } else if let high = rest.first.flatMap(hexadecimalDigit), let low = rest.dropFirst().first.flatMap(hexadecimalDigit) {
        bytes.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else if !skip(&rest) {
        return nil
      }
    }
    return bytes
  }

  private static func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) }
  }
}
