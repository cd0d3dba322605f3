// What is done to an account by who can prove to own it: by its password, or by a link in its mail.

import EventLoop
import Passwords
import ServiceKit

extension AuthService {
  /// PATCH /auth/me
  static func changeAccount(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let change = try AccountChange(request.input)
    let proof = try await proven(by: change.currentPassword, context) { _, _ throws(APIError) in
      if let password = change.password { try hash(password, context) } else { nil }
    }
    let proven = proof.account
    // The address that the account has is no change.
    let email = change.email == proven.email ? nil : change.email
    if let email, try await Queries.isTaken(email, byOthersThan: proven.userID, on: context.database) {
      throw .badRequest("Email already registered")
    }
    let wait = try await using(proven, provenBy: change.currentPassword, context) { account throws(APIError) in
      try await Queries.change(
        account, of: context.caller, hashedPassword: proof.newHash, email: email, link: SecretToken(), MailAllowance(request, context),
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
    let proof = try await proven(by: password, context) { _, _ in nil }
    let outcome = try await using(proof.account, provenBy: password, context) { account throws(APIError) in
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
    guard let owner = try await Queries.owner(ofReset: token, on: context.database) else { throw invalidReset }
    switch try await Queries.claimHash(of: owner.username, for: .reset, on: context.database) {
    case nil: break
    // Another link of the account, or this one, is being used, which makes the others worthless.
    case .reset: throw invalidReset
    case .proof: throw .tooManyRequests(retryAfter: 1)
    }
    let made = Result { () throws(APIError) in try hash(password, context) }
    try await Queries.release(owner.username, on: context.database)
    let isReset: Bool
    do throws(APIError) {
      isReset = try await Queries.reset(token, of: owner.userID, to: try made.get(), ClientPlace(request), on: context.database)
    } catch {
      // Another account has confirmed the address since the link was mailed.
      throw error.violates("users_email_key") ? invalidReset : error
    }
    guard isReset else { throw invalidReset }
    return .json(Message("Password changed"))
  }

  private static var invalidReset: APIError { .badRequest("Invalid or expired reset token") }

  /// The password of an account, proven.
  struct Proof {
    let account: Credentials
    let match: PasswordHasher.Match
    /// What the same turn has made besides.
    let newHash: String?
  }

  /// The caller's account if this is its password. Wrong ones are counted: a stolen token is no way to guess faster.
  private static func proven(
    by password: String, _ context: Context, hashing: (Credentials, PasswordHasher.Match) throws(APIError) -> String?
  ) async throws(APIError) -> Proof {
    guard let attempt = try await Queries.attempt(context.caller, context.settings, on: context.database) else { throw .unauthorized }
    let name = attempt.account?.username ?? ""
    let proof = try await prove(attempt, of: name, by: password, context, hashing: hashing)
    try await Queries.forgive(context.caller, on: context.database)
    return proof
  }

  /// Looks at the password of an attempt, which has the turn of its name, and ends the turn.
  ///
  /// - Parameter hashing: makes, of what was proven, another hash in the same turn.
  /// - Throws: 429 if the attempt has to wait, 400 if the password is wrong.
  static func prove(
    _ attempt: Attempt, of name: String, by password: String, _ context: Context,
    hashing: (Credentials, PasswordHasher.Match) throws(APIError) -> String?
  ) async throws(APIError) -> Proof {
    if attempt.wait > 0 { throw .tooManyRequests(retryAfter: attempt.wait) }
    let match = PasswordHasher(cost: context.settings.passwordCost).match(password, against: attempt.account?.hashedPassword)
    let made = Result { () throws(APIError) -> Proof in
      guard let match, let account = attempt.account else {
        throw attempt.slow > 0 ? .tooManyRequests(retryAfter: attempt.slow) : .badRequest("Invalid credentials")
      }
      return Proof(account: account, match: match, newHash: try hashing(account, match))
    }
    try await Queries.release(name, on: context.database)
    return try made.get()
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
