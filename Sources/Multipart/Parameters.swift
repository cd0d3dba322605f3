// Header values with parameters: `form-data; name="title"`, `multipart/form-data; boundary=x`.

/// A value and its parameters, as Content-Type and Content-Disposition have them (RFC 9110, section 5.6.6; RFC 6266, section 4.1).
struct ParameterizedValue: Equatable {
  /// What is before the first semicolon, in lower case.
  let value: String
  /// By name in lower case.
  let parameters: [String: String]

  /// nil if it is not of that form, or if a parameter comes twice. There may be blanks around the equals sign, a semicolon too many, and,
  /// as in the examples of RFC 1867, a comma in the place of the first one.
  ///
  /// In quotation marks a backslash escapes a quotation mark or another backslash; before anything else it stands for itself, since
  /// there are browsers that send `filename="C:\picture.png"`. A quotation mark at which the value cannot end stands for itself, too: there
  /// are clients that escape nothing.
  ///
  /// All of it goes by unicode scalars. Swift's characters are what a reader takes for one: a quotation mark and the combining mark with
  /// which a name begins would be a character, and no quotation mark.
  init?(_ text: some StringProtocol) {
    var rest = Substring(text).unicodeScalars
    let value = String(Self.trimmed(rest.prefix { $0 != ";" && $0 != "," }))
    guard !value.isEmpty, value.utf8.allSatisfy({ Self.isToken($0) || $0 == UInt8(ascii: "/") }) else { return nil }
    rest = rest.drop { $0 != ";" && $0 != "," }
    var parameters: [String: String] = [:]
    while rest.first == ";" || rest.first == "," && parameters.isEmpty {
      rest = Self.trimmedStart(rest.dropFirst())
      if rest.isEmpty || rest.first == ";" { continue }
      let name = String(Self.trimmed(rest.prefix { $0 != "=" && $0 != ";" }))
      rest = rest.drop { $0 != "=" && $0 != ";" }
      guard !name.isEmpty, name.utf8.allSatisfy(Self.isToken), rest.first == "=" else { return nil }
      rest = Self.trimmedStart(rest.dropFirst())
      guard let found = rest.first == "\"" ? Self.quoted(&rest) : Self.plain(&rest) else { return nil }
      guard parameters.updateValue(found, forKey: name.lowercased()) == nil else { return nil }
      rest = Self.trimmedStart(rest)
    }
    guard rest.isEmpty else { return nil }
    self.value = value.lowercased()
    self.parameters = parameters
  }

  private static func quoted(_ rest: inout Substring.UnicodeScalarView) -> String? {
    var text = ""
    var place = rest.dropFirst()
    while let scalar = place.popFirst() {
      switch scalar {
      case "\"" where isEnd(place):
        rest = place
        return text
      case "\\":
        if let next = place.first, next == "\"" || next == "\\" {
          text.unicodeScalars.append(next)
          place.removeFirst()
        } else {
          text.unicodeScalars.append(scalar)
        }
      default: text.unicodeScalars.append(scalar)
      }
    }
    return nil
  }

  /// Whether a quoted value can end before this: at the end of all, or where another parameter follows.
  private static func isEnd(_ rest: Substring.UnicodeScalarView) -> Bool {
    let rest = trimmedStart(rest)
    guard rest.first == ";" else { return rest.isEmpty }
    let next = trimmedStart(rest.dropFirst())
    let afterName = next.drop { $0.isASCII && isToken(UInt8(truncatingIfNeeded: $0.value)) }
    return next.isEmpty || next.first == ";" || afterName.startIndex > next.startIndex && trimmedStart(afterName).first == "="
  }

  /// Without quotation marks: anything but blanks and quotation marks, as more than a token's characters is sent often enough.
  private static func plain(_ rest: inout Substring.UnicodeScalarView) -> String? {
    let text = String(rest.prefix { $0 != ";" && $0 != " " && $0 != "\t" })
    rest = rest.drop { $0 != ";" && $0 != " " && $0 != "\t" }
    return text.utf8.contains(UInt8(ascii: "\"")) ? nil : text
  }

  /// RFC 9110, section 5.6.2.
  static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }

  static func trimmed(_ text: Substring.UnicodeScalarView) -> Substring.UnicodeScalarView {
    var text = trimmedStart(text)
    while text.last == " " || text.last == "\t" { text.removeLast() }
    return text
  }

  private static func trimmedStart(_ text: Substring.UnicodeScalarView) -> Substring.UnicodeScalarView {
    text.drop { $0 == " " || $0 == "\t" }
  }
}

/// The boundary of a multipart body: 1 to 70 characters that can be seen, or blanks, with something other than a blank at its end.
///
/// RFC 2046, section 5.1.1, allows fewer; many clients on Android send asterisks, and others dollars.
public struct Boundary: Equatable, Sendable {
  let bytes: [UInt8]

  /// nil if this is not the Content-Type of a form with a boundary.
  public init?(contentType: String) {
    guard let type = ParameterizedValue(contentType), type.value == "multipart/form-data", let boundary = type.parameters["boundary"] else {
      return nil
    }
    let bytes = Array(boundary.utf8)
    guard (1...70).contains(bytes.count), bytes.last != UInt8(ascii: " "), bytes.allSatisfy({ (0x20...0x7e).contains($0) }) else {
      return nil
    }
    self.bytes = bytes
  }
}
