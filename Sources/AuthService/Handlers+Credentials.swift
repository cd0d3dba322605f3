// What is done to an account by who can prove to own it: by its password, or by a link in its mail.

import EventLoop
import Passwords
import ServiceKit

extension AuthService {
  /// PATCH /auth/me
  static func changeAccount(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let change = try AccountChange(request.input)
    let proven = try await proven(by: change.currentPassword, context)
    // The address that the account has is no change.
    let email = change.email == proven.email ? nil : change.email
    if let email, try await Queries.isTaken(email, byOthersThan: proven.userID, on: context.database) {
      throw .badRequest("Email already registered")
    }
    let newHash: String? = if let password = change.password { try hash(password, context) } else { nil }
    let wait = try await using(proven, provenBy: change.currentPassword, context) { account throws(APIError) in
      try await Queries.change(
        account, of: context.caller, hashedPassword: newHash, email: email, link: SecretToken(), MailAllowance(request, context),
        on: context.database)
    }
    guard let wait else { throw await context.unauthenticated(or: .badRequest("Invalid credentials")) }
    if wait > 0 { throw .tooManyRequests(retryAfter: wait) }
    return .json(Message("Account updated"))
  }

  /// DELETE /auth/me
  static func deleteAccount(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let password = input.anyPassword("current_password")
    try input.validate()
    let proven = try await proven(by: password, context)
    let outcome = try await using(proven, provenBy: password, context) { account throws(APIError) in
      try await Queries.delete(account, of: context.caller, on: context.database)
    }
    switch outcome {
    case .deleted: return .json(Message("Account deleted"))
    case .lastAdmin: throw .forbidden("The last admin cannot delete the account")
    case .missing, nil: throw await context.unauthenticated(or: .badRequest("Invalid credentials"))
    }
  }

  /// POST /auth/password/reset
  static func resetPassword(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let token = SecretToken(input.text("token", 1...200))
    let password = input.newPassword("password")
    try input.validate()
    // Asked first, so that guessing costs no hash.
    guard let user = try await Queries.owner(ofReset: token, on: context.database),
      try await Queries.reset(token, of: user, to: try hash(password, context), on: context.database)
    else { throw .badRequest("Invalid or expired reset token") }
    return .json(Message("Password changed"))
  }

  /// The caller's account if this is its password. Wrong ones count as failed logins do: a stolen token is no way to guess faster.
  private static func proven(by password: String, _ context: Context) async throws(APIError) -> Credentials {
    guard let attempt = try await Queries.attempt(context.caller, context.settings, on: context.database) else { throw .unauthorized }
    if attempt.wait > 0 { throw .tooManyRequests(retryAfter: attempt.wait) }
    guard let account = attempt.account,
      PasswordHasher(cost: context.settings.passwordCost).verify(password, against: account.hashedPassword)
    else { throw .badRequest("Invalid credentials") }
    try await Queries.forgive(context.caller, on: context.database)
    return account
  }

  /// Does what takes a proof of the account's password and gives nil if the hash is not the one that was verified. It need not be another
  /// password then: a login may have put a hash of today's cost in its place. So the password is verified against the present one, and what
  /// is to be done tried again, once.
  static func using<Value: Sendable>(
    _ account: Credentials, provenBy password: String, _ context: Context, _ use: @Worker (Credentials) async throws(APIError) -> Value?
  ) async throws(APIError) -> Value? {
    if let value = try await use(account) { return value }
    guard let present = try await Queries.credentials(of: account.userID, on: context.database),
      present.hashedPassword != account.hashedPassword,
      PasswordHasher(cost: context.settings.passwordCost).verify(password, against: present.hashedPassword)
    else { return nil }
    return try await use(present)
  }
}
