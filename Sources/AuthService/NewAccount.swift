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
    username = input.string("username", where: Username.flaw)
    email = input.string("email") { address in EmailAddress.flaw(in: address).map(FieldFlaw.email) }
    password = input.string("password", where: Self.passwordFlaw)
    try input.validate()
  }

  /// 8 bytes to what bcrypt takes, in UTF-8. A NUL, which would end the password for libcrypt, `Input` refuses in every string.
  private static func passwordFlaw(_ password: String) -> FieldFlaw? {
    if password.utf8.count < 8 { return .tooShort(8) }
    return password.utf8.count > PasswordHasher.maximumBytes ? .tooLong(PasswordHasher.maximumBytes) : nil
  }
}
