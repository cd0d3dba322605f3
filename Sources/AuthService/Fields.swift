// The fields of a registration and of a change to an account, and their limits.

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
    email = input.email("email")
    password = input.newPassword("password")
    try input.validate()
  }
}

/// What somebody wants changed of their account, already checked.
@Worker
struct AccountChange {
  let currentPassword: String
  let email: String?
  let password: String?

  /// - Throws: 422 with every wrong field.
  init(_ input: Input) throws(APIError) {
    currentPassword = input.anyPassword("current_password")
    email = input.optionalString("email") { address in EmailAddress.flaw(in: address).map(FieldFlaw.email) }
    password = input.optionalString("password", where: passwordFlaw)
    try input.validate()
  }
}

extension Input {
  func email(_ name: String) -> String {
    string(name) { address in EmailAddress.flaw(in: address).map(FieldFlaw.email) }
  }

  /// A password that is compared: one that breaks today's rules may be a right one from before them.
  func anyPassword(_ name: String) -> String { string(name) { _ in nil } }

  func newPassword(_ name: String) -> String { string(name, where: passwordFlaw) }
}

/// 8 bytes to what bcrypt takes, in UTF-8. A NUL, which would end the password for libcrypt, `Input` refuses in every string.
private func passwordFlaw(_ password: String) -> FieldFlaw? {
  if password.utf8.count < 8 { return .tooShort(8) }
  return password.utf8.count > PasswordHasher.maximumBytes ? .tooLong(PasswordHasher.maximumBytes) : nil
}
