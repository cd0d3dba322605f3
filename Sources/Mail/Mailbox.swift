// A mail address with or without a name, as a header writes it.

/// A mailbox of RFC 5322 section 3.4: `name <address>`.
public struct Mailbox: Equatable, Sendable {
  /// What a reader sees; may be empty.
  public let name: String
  /// `local@domain`, printable ASCII without blanks or angle brackets.
  public let address: String

  /// - Throws: `.invalidAddress` for anything that could end the address in a header or an SMTP command.
  public init(name: String = "", address: String) throws(MailError) {
    let parts = address.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
    let isPlain = address.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: ">") }
    guard isPlain, address.utf8.count <= 254, parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else { throw .invalidAddress }
    self.name = name
    self.address = address
  }

  /// Reads `Name <address>`, `"Name" <address>` or `address`, as a setting gives it.
  public init(parsing text: String) throws(MailError) {
    let text = trimmed(text[...])
    guard text.hasSuffix(">"), let open = text.lastIndex(of: "<") else {
      try self.init(address: String(text))
      return
    }
    var name = trimmed(text[..<open])
    if name.count >= 2, name.hasPrefix("\""), name.hasSuffix("\"") { name = name.dropFirst().dropLast() }
    try self.init(name: String(name), address: String(text[text.index(after: open)...].dropLast()))
  }

  /// The part after the `@`.
  public var domain: String { String(address[address.index(after: address.lastIndex(of: "@") ?? address.startIndex)...]) }
}

private func trimmed(_ text: Substring) -> Substring {
  var text = text
  while text.first?.isWhitespace == true { text.removeFirst() }
  while text.last?.isWhitespace == true { text.removeLast() }
  return text
}
