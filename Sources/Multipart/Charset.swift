// The encodings in which the texts of a form come: nearly always UTF-8.

/// What the bytes of a text mean.
enum Charset {
  case utf8
  /// Taken for UTF-8, of which it is a part.
  case ascii
  /// What ISO-8859-1 is on the web (the Encoding standard, section 4.2): Java's clients send nothing that tells the two apart, and
  /// browsers mean Windows-1252 by either name.
  case windows1252

  /// - Parameter label: as `charset` or `_charset_` has it.
  init?(label: String) {
    switch label.lowercased() {
    case "utf-8", "utf8", "unicode-1-1-utf-8": self = .utf8
    case "us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us": self = .ascii
    case "iso-8859-1", "iso8859-1", "iso_8859-1", "iso88591", "latin1", "latin-1", "l1", "windows-1252", "cp1252", "x-cp1252":
      self = .windows1252
    default: return nil
    }
  }

  /// nil if the bytes are none of this encoding.
  func decode(_ bytes: some Collection<UInt8>) -> String? {
    switch self {
    case .utf8, .ascii: return String(validating: bytes, as: UTF8.self)
    case .windows1252:
      var text: [UInt8] = []
      text.reserveCapacity(bytes.count)
      for byte in bytes {
        if byte < 0x80 {
          text.append(byte)
        } else {
          text.append(contentsOf: String(Character(Self.scalar(of: byte))).utf8)
        }
      }
      return String(decoding: text, as: UTF8.self)
    }
  }

  private static func scalar(of byte: UInt8) -> Unicode.Scalar {
    (0x80...0x9f).contains(byte) ? windows[Int(byte) - 0x80] : Unicode.Scalar(byte)
  }

  /// 0x80 to 0x9f, where ISO-8859-1 has controls.
  private static let windows: [Unicode.Scalar] = [
    "\u{20ac}", "\u{81}", "\u{201a}", "\u{192}", "\u{201e}", "\u{2026}", "\u{2020}", "\u{2021}",
    "\u{2c6}", "\u{2030}", "\u{160}", "\u{2039}", "\u{152}", "\u{8d}", "\u{17d}", "\u{8f}",
    "\u{90}", "\u{2018}", "\u{2019}", "\u{201c}", "\u{201d}", "\u{2022}", "\u{2013}", "\u{2014}",
    "\u{2dc}", "\u{2122}", "\u{161}", "\u{203a}", "\u{153}", "\u{9d}", "\u{17e}", "\u{178}",
  ]
}
