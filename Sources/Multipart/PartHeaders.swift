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
  /// The Content-Transfer-Encoding, in lower case; nil if none is given.
  public let transferEncoding: String?

  /// - Parameter bytes: the header lines, without the last line break.
  init(parsing bytes: some Collection<UInt8>) throws(MultipartError) {
    var disposition: ParameterizedValue?
    var type: ParameterizedValue?
    var encoding: String?
    // Clients that write a form in another encoding write the names of files in it, too (Apache HttpClient, libwww-perl).
    guard let text = Charset.utf8.decode(bytes) ?? Charset.windows1252.decode(bytes) else {
      throw .brokenHeaders("the headers of a part are no text")
    }
    for line in try Self.unfolded(try Self.lines(of: text)) {
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
      case "content-type" where !value.isEmpty:
        guard type == nil, let parsed = ParameterizedValue(value) else { throw .brokenHeaders("a part's Content-Type is none") }
        type = parsed
      case "content-transfer-encoding" where !value.isEmpty:
        encoding = String(ParameterizedValue.trimmed(value.unicodeScalars.prefix { $0 != ";" })).lowercased()
      default: break
      }
    }
    guard let parameters = disposition?.parameters,
      let name = parameters["name"].map(Self.decoded) ?? ExtendedParameter.value(of: "name", in: parameters)
    else { throw .brokenHeaders("a part has no name") }
    self.name = name
    filename = Self.filename(in: parameters)
    contentType = type?.value
    charset = type?.parameters["charset"].flatMap { $0.isEmpty ? nil : $0.lowercased() }
    transferEncoding = encoding
  }

  /// The extended form wins (RFC 6266, section 4.3): who sends both puts into the plain one what is left of the name in ASCII.
  private static func filename(in parameters: [String: String]) -> String? {
    if let extended = ExtendedParameter.value(of: "filename", in: parameters) { return extended }
    guard let plain = parameters["filename"] else { return nil }
    return EncodedWords.decode(plain) ?? decoded(plain)
  }

  /// A line that begins with a blank goes on with the line before it (RFC 5322, section 2.2.3; RFC 2046, section 5.1).
  private static func unfolded(_ lines: [Substring.UnicodeScalarView]) throws(MultipartError) -> [Substring.UnicodeScalarView] {
    var unfolded: [Substring.UnicodeScalarView] = []
    for line in lines {
      guard line.first == " " || line.first == "\t" else {
        unfolded.append(line)
        continue
      }
      guard let beginning = unfolded.popLast() else { throw .brokenHeaders("a part has a line that is no header") }
      unfolded.append(beginning + line)
    }
    return unfolded
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
}
