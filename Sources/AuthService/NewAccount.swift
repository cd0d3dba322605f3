// The fields of a registration and their limits.

import EventLoop
import Passwords
import ServiceKit

/// What somebody registers with, already checked.
@Worker
struct NewAccount {
  let username: String
  let email: String
  let password: String

  /// - Throws: 422 with every wrong field.
  init(_ input: Input) throws(APIError) {
    username = input.string("username", where: Self.usernameFlaw)
    email = input.string("email") { address in EmailAddress.flaw(in: address).map(FieldFlaw.email) }
    password = input.string("password", where: Self.passwordFlaw)
    try input.validate()
  }

  /// 3 to 32 of `[A-Za-z0-9_.-]`. There is no `@` in it, so a login tells it from an address.
  private static func usernameFlaw(_ username: String) -> FieldFlaw? {
    let isPlain = username.unicodeScalars.allSatisfy { scalar in
      "A"..."Z" ~= scalar || "a"..."z" ~= scalar || "0"..."9" ~= scalar || scalar == "_" || scalar == "." || scalar == "-"
    }
    let length = username.unicodeScalars.count
    if length < 3 { return .tooShort(3) }
    if length > 32 { return .tooLong(32) }
    return isPlain ? nil : .pattern("^[A-Za-z0-9_.-]+$")
  }

  /// 8 bytes to what bcrypt takes, in UTF-8. A NUL, which would end the password for libcrypt, `Input` refuses in every string.
  private static func passwordFlaw(_ password: String) -> FieldFlaw? {
    if password.utf8.count < 8 { return .tooShort(8) }
    return password.utf8.count > PasswordHasher.maximumBytes ? .tooLong(PasswordHasher.maximumBytes) : nil
  }
}
