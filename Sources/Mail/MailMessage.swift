// Writing a mail: RFC 5322 headers, RFC 2047 for what is not ASCII in them, RFC 2045 for the body. It knows no transport.

import Glibc

/// A mail of plain text to one recipient.
public struct MailMessage: Equatable, Sendable {
  public var from: Mailbox
  public var to: Mailbox
  public var subject: String
  /// Without the angle brackets. The same mail sent again must have the same one: that is how a reader tells.
  public var messageID: String
  /// Seconds since 1970.
  public var date: Int64
  /// Lines end in `\n`.
  public var text: String

  public init(from: Mailbox, to: Mailbox, subject: String, messageID: String, date: Int64, text: String) {
    self.from = from
    self.to = to
    self.subject = subject
    self.messageID = messageID
    self.date = date
    self.text = text
  }

  /// The mail as it goes over the wire: ASCII, lines ended by CR LF, none longer than 998 bytes (RFC 5322 section 2.1.1).
  public func encoded() -> [UInt8] {
    let body = MailBody(text)
    var header = HeaderWriter()
    header.field("Date", words: [Self.formatted(date)])
    header.field("From", mailbox: from)
    header.field("To", mailbox: to)
    header.field("Message-ID", words: ["<\(messageID)>"])
    header.field("Subject", text: subject)
    header.field("MIME-Version", words: ["1.0"])
    header.field("Content-Type", words: ["text/plain;", "charset=utf-8"])
    header.field("Content-Transfer-Encoding", words: [body.transferEncoding])
    // RFC 3834: no "out of office" in return.
    header.field("Auto-Submitted", words: ["auto-generated"])
    return header.bytes + Array("\r\n".utf8) + body.bytes
  }

  /// RFC 5322 section 3.3, in UTC.
  static func formatted(_ seconds: Int64) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    let day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][Int(parts.tm_wday)]
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][Int(parts.tm_mon)]
    func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let clock = "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
    return "\(day), \(padded(parts.tm_mday)) \(month) \(parts.tm_year + 1900) \(clock) +0000"
  }
}

/// Header fields, folded between words so that lines have at most 78 bytes where the words allow it.
struct HeaderWriter {
  private(set) var bytes: [UInt8] = []

  mutating func field(_ name: String, words: [String]) {
    bytes.append(contentsOf: "\(name):".utf8)
    var column = name.utf8.count + 1
    for (index, word) in words.enumerated() {
      // The first word stays beside its name: a line of blanks alone would be an obsolete form.
      if index > 0, column + 1 + word.utf8.count > 78 {
        bytes.append(contentsOf: "\r\n".utf8)
        column = 0
      }
      bytes.append(UInt8(ascii: " "))
      bytes.append(contentsOf: word.utf8)
      column += 1 + word.utf8.count
    }
    bytes.append(contentsOf: "\r\n".utf8)
  }

  mutating func field(_ name: String, mailbox: Mailbox) {
    let address = "<\(mailbox.address)>"
    if mailbox.name.isEmpty {
      field(name, words: [address])
    } else if Self.isPlain(mailbox.name) {
      field(name, words: [Self.quoted(mailbox.name), address])
    } else {
      field(name, words: Self.encodedWords(mailbox.name) + [address])
    }
  }

  mutating func field(_ name: String, text: String) {
    field(name, words: Self.isPlain(text) ? Self.words(text) : Self.encodedWords(text))
  }

  /// Printable ASCII and blanks, with nothing in it that a reader would take for an encoded word, and short enough for a line.
  private static func isPlain(_ text: String) -> Bool {
    text.utf8.allSatisfy { (0x20...0x7e).contains($0) } && !containsEncodedWord(text) && words(text).allSatisfy { $0.utf8.count < 900 }
  }

  private static func containsEncodedWord(_ text: String) -> Bool {
    zip(text.utf8, text.utf8.dropFirst()).contains { $0 == UInt8(ascii: "=") && $1 == UInt8(ascii: "?") }
  }

  private static func words(_ text: String) -> [String] {
    text.split(separator: " ").map(String.init)
  }

  /// RFC 5322 section 3.2.4.
  private static func quoted(_ text: String) -> String {
    "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
  }

  /// RFC 2047: a line with an encoded word has at most 76 bytes, the field's name included, which leaves 39 bytes of text a
  /// word, cut between characters. Line ends and other control characters become blanks: nothing in a text can begin another
  /// header.
  private static func encodedWords(_ text: String) -> [String] {
    var words: [String] = []
    var chunk: [UInt8] = []
    for scalar in text.unicodeScalars {
      let bytes = Array(String(scalar.properties.generalCategory == .control ? " " : scalar).utf8)
      if chunk.count + bytes.count > 39 {
        words.append(encodedWord(chunk))
        chunk = []
      }
      chunk.append(contentsOf: bytes)
    }
    words.append(encodedWord(chunk))
    return words
  }

  private static func encodedWord(_ bytes: [UInt8]) -> String { "=?UTF-8?B?\(base64(bytes))?=" }

  private static func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
      for digit in 0..<4 {
        text.append(digit <= group.count ? alphabet[Int(bits >> UInt32(18 - 6 * digit) & 63)] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}

/// A body and the encoding it needs: none if it is short lines of ASCII, so that links in it are whole in the raw mail too, else
/// quoted-printable.
struct MailBody {
  let transferEncoding: String
  let bytes: [UInt8]

  init(_ text: String) {
    // Line ends are LF from here on, whatever they were.
    let normal = text.unicodeScalars.reduce(into: [UInt8]()) { bytes, scalar in
      if scalar != "\r" { bytes.append(contentsOf: String(scalar).utf8) }
    }
    var lines = normal.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    let isPlain = lines.allSatisfy { line in line.count <= 998 && line.allSatisfy { (0x20...0x7e).contains($0) || $0 == 0x09 } }
    transferEncoding = isPlain ? "7bit" : "quoted-printable"
    bytes = lines.reduce(into: []) { bytes, line in
      bytes.append(contentsOf: isPlain ? Array(line) : Self.quotedPrintable(line))
      bytes.append(contentsOf: "\r\n".utf8)
    }
  }

  /// One line by RFC 2045 section 6.7: at most 76 bytes, the `=` of a soft line break included.
  private static func quotedPrintable(_ line: ArraySlice<UInt8>) -> [UInt8] {
    let hex = Array("0123456789ABCDEF".utf8)
    var encoded: [UInt8] = []
    var column = 0
    for (offset, byte) in line.enumerated() {
      let isBlank = byte == 0x20 || byte == 0x09
      let isLast = offset == line.count - 1
      let isLiteral = isBlank ? !isLast : (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "=")
      let token = isLiteral ? [byte] : [UInt8(ascii: "="), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      if column + token.count > 75 {
        encoded.append(contentsOf: "=\r\n".utf8)
        column = 0
      }
      encoded.append(contentsOf: token)
      column += token.count
    }
    return encoded
  }
}
