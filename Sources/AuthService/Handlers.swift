// What each route of chatty-auth does that is about an account as a whole: its beginning, its link, its face, its keys. Sessions, and
// what takes a password to change, are in the files beside this one.

import Passwords
import ServiceKit

extension AuthService {
  /// POST /auth/register
  ///
  /// With an Idempotency-Key a registration that is sent again, with all that it held, gets the first answer again. Somebody who registers
  /// is nobody yet, so the key belongs to what it was sent with: another's registration with the same key is another registration.
  static func register(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let account = try NewAccount(request.input)
    let key = try request.header("HTTP_IDEMPOTENCY_KEY").map { key throws(APIError) in try account.fingerprint(with: key) }
    if let first = try await earlierAnswer(to: account, key, context) { return first }
    // Asked before the hash: what is taken costs no more than a look.
    try await requireFree(account, context)
    let hashedPassword = try hash(account.password, context)
    let userID = try await Queries.register(
      account, hashedPassword: hashedPassword, link: SecretToken(), request: key, mailRate: context.settings.mailRate, on: context.database)
    if let userID { return .json(Registered(username: account.username, userID: userID)) }
    // Somebody was faster meanwhile: it may have been the same registration.
    if let first = try await earlierAnswer(to: account, key, context) { return first }
    try await requireFree(account, context)
    throw .badRequest("Email already registered")
  }

  private static func requireFree(_ account: NewAccount, _ context: Context) async throws(APIError) {
    let taken = try await Queries.taken(username: account.username, email: account.email, on: context.database)
    if taken?.username == true { throw .badRequest("Username already registered") }
    if taken?.email == true { throw .badRequest("Email already registered") }
  }

  /// What the same registration was answered before. The password is part of it, and compared with the account's own hash.
  private static func earlierAnswer(to account: NewAccount, _ key: [UInt8]?, _ context: Context) async throws(APIError) -> Reply? {
    guard let key, let earlier = try await Queries.registered(by: key, on: context.database) else { return nil }
    guard try await Queries.claimHash(of: account.username, for: .proof, on: context.database) == nil else {
      throw .tooManyRequests(retryAfter: 1)
    }
    let isTheSame = PasswordHasher(cost: context.settings.passwordCost).verify(account.password, against: earlier.hashedPassword)
    try await Queries.release(account.username, on: context.database)
    return isTheSame ? .json(Registered(username: earlier.username, userID: earlier.userID)) : nil
  }

  /// GET /auth/verify/{user_id}?token=
  ///
  /// nginx shows a page to whoever takes text/html; this is for programs. A HEAD does nothing, since that is how mail scanners look at
  /// links. To change an account's address takes a POST.
  static func verify(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let userID = input.pathID("user_id")
    let link = SecretToken(input.queryString("token"))
    try input.validate()
    return try await use(link, of: userID, request.isHead ? .look : .registration, context)
  }

  /// POST /auth/verify/{user_id}
  static func confirm(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let userID = input.pathID("user_id")
    let link = SecretToken(input.text("token", 1...200))
    try input.validate()
    return try await use(link, of: userID, .all, context)
  }

  private static func use(_ link: SecretToken, of userID: Int64, _ use: LinkUse, _ context: Context) async throws(APIError) -> Reply {
    let outcome: Verification?
    do throws(APIError) {
      outcome = try await Queries.verify(userID: userID, link: link, use, on: context.database)
    } catch {
      // Another account has taken the address since the link was mailed.
      throw error.violates("users_email_key") ? .badRequest("Email already registered") : error
    }
    guard let outcome, outcome.userExists else { throw .notFound("User not found") }
    guard outcome.linkIsGood else { throw .badRequest("Invalid or expired verification link") }
    return .json(Message("Account verified"))
  }

  /// POST /auth/verify
  static func requestVerification(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    try await requestMail(.verify, request, context)
    return .json(Message("If the account exists and is not verified, an email is on its way"))
  }

  /// POST /auth/password/forgot
  static func requestReset(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    try await requestMail(.reset, request, context)
    return .json(Message("If the account exists, an email is on its way"))
  }

  /// The answer tells nobody whether there is an account, nor does the time it takes: the statement is the same.
  private static func requestMail(_ purpose: MailedLink, _ request: Request, _ context: Context) async throws(APIError) {
    let input = request.input
    let email = input.email("email")
    try input.validate()
    let wait = try await Queries.requestMail(
      purpose, to: email, link: SecretToken(), MailAllowance(request, context), on: context.database)
    if wait > 0 { throw .tooManyRequests(retryAfter: wait) }
  }

  /// GET /auth/me
  static func me(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    guard let user = try await Queries.me(context.caller, on: context.database) else { throw .unauthorized }
    return .json(user)
  }

  /// GET /auth/users/{id}
  static func showUser(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let id = try request.path.id("id")
    guard let user = try await Queries.user(id, on: context.database) else { throw .notFound("User not found") }
    return .json(user)
  }

  /// GET /auth/users?username=
  static func searchUsers(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let prefix = input.queryText("username", required: 1...Username.length.upperBound)
    let page = input.page(by: String.self)
    try input.validate()
    let users = try await Queries.users(named: prefix, page, on: context.database)
    return .list(users, page, request) { $0.username.lowercased() }
  }

  /// GET /auth/.well-known/jwks.json
  static func publicKeys(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    .json(try tokens(context).publicKeys())
  }

  // MARK: What the handlers of several files need

  static func hash(_ password: String, _ context: Context) throws(APIError) -> String {
    do {
      return try PasswordHasher(cost: context.settings.passwordCost).hash(password)
    } catch {
      context.logger.error("cannot hash a password: \(error)")
      throw .internalServerFailure
    }
  }

  static func tokens(_ context: Context) throws(APIError) -> TokenSigner {
    guard let signer else {
      context.logger.error("asked for a key before it was read")
      throw .internalServerFailure
    }
    return signer
  }
}
