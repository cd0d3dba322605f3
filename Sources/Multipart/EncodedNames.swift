// File names that are written in ASCII, by the two ways in use.

/// The extended form of a parameter, `filename*` (RFC 8187; RFC 6266, section 4.3). Forms should not have it (RFC 7578, section 4.2), and
/// some have.
enum ExtendedParameter {
  /// nil if the parameter does not come in that form.
  static func value(of name: String, in parameters: [String: String]) -> String? {
    parameters["\(name)*"].flatMap { decode([(Substring($0), true)]) } ?? continued(name, in: parameters)
  }

  /// One that is cut into pieces, `filename*0*`, `filename*1`, … (RFC 2231, section 3), as programs do that were made for mail.
  private static func continued(_ name: String, in parameters: [String: String]) -> String? {
    var pieces: [(text: Substring, isEscaped: Bool)] = []
    while true {
      if let text = parameters["\(name)*\(pieces.count)*"] {
        pieces.append((text[...], true))
      } else if let text = parameters["\(name)*\(pieces.count)"] {
        pieces.append((text[...], false))
      } else {
        return pieces.isEmpty ? nil : decode(pieces)
      }
    }
  }

  /// `charset'language'percent-encoded`, where the first piece is escaped; otherwise the text itself.
  private static func decode(_ pieces: [(text: Substring, isEscaped: Bool)]) -> String? {
    var pieces = pieces
    var charset = Charset.utf8
    if pieces[0].isEscaped {
      let parts = pieces[0].text.utf8.split(separator: UInt8(ascii: "'"), maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return nil }
      switch Substring(parts[0]).lowercased() {
      case "utf-8": charset = .utf8
      case "iso-8859-1": charset = .windows1252
      case "us-ascii": charset = .ascii
      default: return nil
      }
      pieces[0].text = Substring(parts[2])
    }
    var bytes: [UInt8] = []
    for piece in pieces {
      let text = Array(piece.text.utf8)
      guard piece.isEscaped else {
        bytes += text
        continue
      }
      guard let decoded = TransferEncoding.escaped(text[...], by: UInt8(ascii: "%")) else { return nil }
      bytes += decoded
    }
    return charset.decode(bytes)
  }
}

/// Encoded-words, `=?utf-8?B?…?=` (RFC 2047, section 2). They have no place between quotation marks (section 5), and where a client of
/// .NET, Java or Unity puts one there without a `filename*`, nothing else says what the file is called.
enum EncodedWords {
  /// nil if the text is anything but encoded-words with blanks between them, or one of them is in an encoding that we do not know.
  static func decode(_ text: String) -> String? {
    guard text.utf8.starts(with: "=?".utf8) else { return nil }
    var decoded = ""
    // A character may be cut in two by the end of a word, though it should not: the bytes of words in one encoding are put together.
    var bytes: [UInt8] = []
    var charset = Charset.utf8
    for word in text.utf8.split(whereSeparator: { $0 == 32 || $0 == 9 }) {
      let parts = word.split(separator: UInt8(ascii: "?"), omittingEmptySubsequences: false)
      guard parts.count == 5, parts[0].elementsEqual("=".utf8), parts[4].elementsEqual("=".utf8),
        // RFC 2231, section 5: a language may follow.
        let label = parts[1].split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false).first,
        let wordCharset = Charset(label: String(Substring(label))),
        let content = content(Array(parts[3]), encoding: String(Substring(parts[2])))
      else { return nil }
      if wordCharset != charset {
        guard let text = charset.decode(bytes) else { return nil }
        decoded += text
        bytes = []
        charset = wordCharset
      }
      bytes += content
    }
    return charset.decode(bytes).map { decoded + $0 }
  }

  private static func content(_ text: [UInt8], encoding: String) -> [UInt8]? {
    switch encoding {
    case "B", "b": TransferEncoding.base64(text)
    case "Q", "q":
      TransferEncoding.escaped(
        text.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: " ") : $0 }[...], by: UInt8(ascii: "="))
    default: nil
    }
  }
}
