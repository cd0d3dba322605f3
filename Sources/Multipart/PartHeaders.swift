// The headers of one part of a form.

/// What a part says of itself (RFC 7578, section 4).
public struct PartHeaders: Equatable, Sendable {
  public let name: String
  /// The name that the file has where it comes from; nil for a part that is no file. Whatever it is, it is no path of this machine.
  public let filename: String?
  /// The media type without parameters, in lower case; nil if none is given.
  public let contentType: String?
  /// The `charset` of the media type, in lower case.
  public let charset: String?

  init(name: String, filename: String?, contentType: String?, charset: String?) {
    self.name = name
    self.filename = filename
    self.contentType = contentType
    self.charset = charset
  }

  /// - Parameter bytes: the header lines, without the last line break.
  init(parsing bytes: some Collection<UInt8>) throws(MultipartError) {
    var disposition: ParameterizedValue?
    var type: ParameterizedValue?
    guard let text = String(validating: bytes, as: UTF8.self) else { throw .brokenHeaders("the headers of a part are not UTF-8") }
    for line in try Self.lines(of: text) {
      let name = String(line.prefix { $0 != ":" })
      let afterName = line.drop { $0 != ":" }
      guard !afterName.isEmpty, !name.isEmpty, name.utf8.allSatisfy(ParameterizedValue.isToken) else {
        throw .brokenHeaders("a part has a line that is no header")
      }
      let value = String(ParameterizedValue.trimmed(afterName.dropFirst()))
      switch name.lowercased() {
      case "content-disposition":
        guard disposition == nil, let parsed = ParameterizedValue(value), parsed.value == "form-data" else {
          throw .brokenHeaders("a part's Content-Disposition is not that of a form")
        }
        disposition = parsed
      case "content-type":
        guard type == nil, let parsed = ParameterizedValue(value) else { throw .brokenHeaders("a part's Content-Type is none") }
        type = parsed
      case "content-transfer-encoding":
        // Section 4.7: nobody sends it, and only where it says nothing can it be left out of account.
        guard ["7bit", "8bit", "binary"].contains(value.lowercased()) else {
          throw .unsupported("a part is encoded as \(value), and parts of a form are not encoded")
        }
      default: break
      }
    }
    guard let disposition, let name = disposition.parameters["name"] else { throw .brokenHeaders("a part has no name") }
    self.init(
      name: Self.decoded(name),
      filename: disposition.parameters["filename"].map(Self.decoded) ?? disposition.parameters["filename*"].flatMap(Self.extended),
      contentType: type?.value, charset: type?.parameters["charset"]?.lowercased())
  }

  /// Lines end with CR LF; neither is anywhere else, and neither are other control characters but the tab.
  private static func lines(of text: String) throws(MultipartError) -> [Substring.UnicodeScalarView] {
    var lines: [Substring.UnicodeScalarView] = []
    var rest = text.unicodeScalars[...]
    while !rest.isEmpty {
      let line = rest.prefix { $0 != "\r" }
      guard line.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f || $0 == "\t" }) else {
        throw .brokenHeaders("the headers of a part have a control character")
      }
      rest = rest.dropFirst(line.count)
      if !rest.isEmpty {
        guard rest.dropFirst().first == "\n" else { throw .brokenHeaders("the headers of a part have a control character") }
        rest = rest.dropFirst(2)
      }
      lines.append(line)
    }
    return lines
  }

  /// What browsers write in the place of a quotation mark and of line breaks (the HTML standard, section 4.10.22.8).
  private static func decoded(_ text: String) -> String {
    guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
    var scalars = text.unicodeScalars
    for (escape, scalar) in [("%22", "\""), ("%0D", "\r"), ("%0A", "\n")] {
      scalars.replace(escape.unicodeScalars, with: scalar.unicodeScalars)
    }
    return String(scalars)
  }

  /// `UTF-8'language'percent-encoded` (RFC 8187, section 3.2). Forms should not have it (RFC 7578, section 4.2), and some have.
  private static func extended(_ text: String) -> String? {
    let parts = text.utf8.split(separator: UInt8(ascii: "'"), maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, Substring(parts[0]).lowercased() == "utf-8" else { return nil }
    var bytes: [UInt8] = []
    var rest = Array(parts[2])[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      guard digits.count == 2, digits.allSatisfy(\.isHexDigit), let value = UInt8(digits, radix: 16) else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
