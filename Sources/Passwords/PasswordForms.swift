// The forms of Unicode in which one password can be written. This file owns the standard library's normalization, which is not public.

@_spi(_Unicode) import Swift

enum PasswordForms {
  /// The forms to compare a hash with, without repetition: NFC, of which new hashes are made; as it was sent; NFD.
  static func all(of password: String) -> [String] {
    if isPlain(password) { return [password] }
    var forms = [composed(password)]
    // As bytes: to Swift canonically equivalent strings are equal.
    for form in [password, text(password._nfd)] where !forms.contains(where: { $0.utf8.elementsEqual(form.utf8) }) { forms.append(form) }
    return forms
  }

  /// NFC (Unicode Standard Annex 15).
  static func composed(_ password: String) -> String { isPlain(password) ? password : text(password._nfc) }

  private static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  private static func isPlain(_ password: String) -> Bool { password.utf8.allSatisfy { $0 < 0x80 } }
}
