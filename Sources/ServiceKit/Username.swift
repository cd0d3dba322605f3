// What counts as a username.

/// The rules for the name of an account. There is no `@` in one, so that a login tells it from an e-mail address.
public enum Username {
  public static let length = 3...32

  /// What is wrong with a name that somebody wants; nil if nothing is.
  public static func flaw(in name: String) -> FieldFlaw? {
    let scalars = name.unicodeScalars
    if scalars.count < length.lowerBound { return .tooShort(length.lowerBound) }
    if scalars.count > length.upperBound { return .tooLong(length.upperBound) }
    let isPlain = scalars.allSatisfy { scalar in
      "A"..."Z" ~= scalar || "a"..."z" ~= scalar || "0"..."9" ~= scalar || scalar == "_" || scalar == "." || scalar == "-"
    }
    return isPlain ? nil : .pattern("^[A-Za-z0-9_.-]+$")
  }
}
