// What counts as an e-mail address. Whether it exists is found out by sending a mail to it.

import Postgres

/// The rules for an address somebody registers with: a practical part of RFC 5321 section 4.1.2, as other validators have it.
public enum EmailAddress {
  /// The longest address that fits a path of SMTP (RFC 5321 erratum 1690), in bytes.
  public static let maximumBytes = 254

  /// What is wrong with an address, in a sentence for people; nil if nothing is.
  ///
  /// Accepted is `local@domain` in ASCII: a dot-atom of at most 64 bytes, and a host name with at least one dot. Quoted local
  /// parts, address literals and internationalised addresses (RFC 6531, which many servers refuse) are not. A line end or another
  /// control character is nowhere part of one, so nothing that is accepted here can end a header or a command.
  public static func flaw(in address: String) -> String? {
    guard address.utf8.count <= maximumBytes else { return "The email address is too long." }
    let parts = address.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
    guard parts.count > 1 else { return "An email address must have an @-sign." }
    guard parts.count == 2 else { return "An email address must have exactly one @-sign." }
    guard !parts[0].isEmpty else { return "There must be something before the @-sign." }
    guard !parts[1].isEmpty else { return "There must be something after the @-sign." }
    guard isDotAtom(parts[0]) else { return "The email address is not valid before the @-sign." }
    let labels = parts[1].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard labels.allSatisfy(isLabel) else { return "The part after the @-sign is not a host name." }
    guard labels.count > 1 else { return "The part after the @-sign is not valid. It should have a period." }
    guard let last = labels.last, !isNumber(last) else { return "The part after the @-sign is not valid. It should end in a name." }
    return nil
  }

  /// An address without the blanks around it, as people paste it. A line end is no blank: it makes the address a wrong one.
  public static func trimmed(_ address: String) -> String {
    let scalars = address.unicodeScalars
    guard let first = scalars.firstIndex(where: { !isBlank($0) }), let last = scalars.lastIndex(where: { !isBlank($0) }) else { return "" }
    return String(scalars[first...last])
  }

  /// What two addresses are compared by: the case of ASCII does not count (sql/0025_names.sql).
  public static func key(_ address: Query) -> Query { "lower(\(address) COLLATE \"C\")" }

  private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "\t" || scalar.properties.generalCategory == .spaceSeparator
  }

  /// A label that no top-level domain is and that would make the whole an IPv4 address of some spelling (URL standard, "ends in a number").
  private static func isNumber(_ label: Substring.UTF8View) -> Bool {
    if label.allSatisfy(isDigit) { return true }
    guard label.starts(with: "0x".utf8) || label.starts(with: "0X".utf8) else { return false }
    return label.dropFirst(2).allSatisfy { isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0 | 0x20) }
  }

  private static func isDotAtom(_ text: Substring.UTF8View) -> Bool {
    let atoms = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return text.count <= 64
      && atoms.allSatisfy { atom in !atom.isEmpty && atom.allSatisfy { isAlphanumeric($0) || "!#$%&'*+-/=?^_`{|}~".utf8.contains($0) } }
  }

  /// RFC 1123 section 2.1.
  private static func isLabel(_ label: Substring.UTF8View) -> Bool {
    (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
      && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }
}

extension FieldFlaw {
  /// An address that is none, in pydantic's words; `sentence` says why.
  public static func email(_ sentence: String) -> FieldFlaw {
    FieldFlaw(type: "value_error", message: "value is not a valid email address: \(sentence)")
  }
}
