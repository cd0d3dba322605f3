// The fields of a registration and of a change to an account, and their limits.

import Crypto
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

  /// SHA-256 of an Idempotency-Key and what is registered with it, but for the password, of which nothing quick is kept.
  ///
  /// - Throws: 400 for a key that is not 1 to 255 visible ASCII characters.
  func fingerprint(with key: String) throws(APIError) -> [UInt8] {
    guard key.utf8.count <= 255, key.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw .badRequest("Idempotency-Key must be 1 to 255 visible ASCII characters")
    }
    // No blank is in any of the three.
    return Array(SHA256.hash(data: Array("\(key) \(username) \(email)".utf8)))
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
    email = input.optionalString("email", where: addressFlaw).map(EmailAddress.trimmed)
    password = input.optionalString("password", where: passwordFlaw)
    try input.validate()
  }
}

extension Input {
  /// An address, without the blanks around it.
  func email(_ name: String) -> String { EmailAddress.trimmed(string(name, where: addressFlaw)) }

  /// A password that is compared: one that breaks today's rules may be a right one from before them.
  func anyPassword(_ name: String) -> String { string(name) { _ in nil } }

  func newPassword(_ name: String) -> String { string(name, where: passwordFlaw) }
}

private func addressFlaw(_ address: String) -> FieldFlaw? {
  EmailAddress.flaw(in: EmailAddress.trimmed(address)).map(FieldFlaw.email)
}

/// 8 bytes to what bcrypt takes, in UTF-8 and as NFC has it. A NUL, which would end the password for libcrypt, `Input` refuses in every
/// string.
private func passwordFlaw(_ password: String) -> FieldFlaw? {
  let bytes = PasswordHasher.bytes(of: password)
  if bytes < 8 { return .tooShort(8) }
  return bytes > PasswordHasher.maximumBytes ? .tooLong(PasswordHasher.maximumBytes) : nil
}
