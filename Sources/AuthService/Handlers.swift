// What each route of chatty-auth does that is about an account as a whole: its beginning, its link, its face, its keys. Sessions, and
// what takes a password to change, are in the files beside this one.

import Passwords
import ServiceKit

extension AuthService {
  /// POST /auth/register
  static func register(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let account = try NewAccount(request.input)
    let hashedPassword = try hash(account.password, context)
    let userID = try await Queries.register(
      username: account.username, email: account.email, hashedPassword: hashedPassword, link: SecretToken(), on: context.database)
    if let userID { return .json(Registered(username: account.username, userID: userID)) }

    let taken = try await Queries.taken(username: account.username, email: account.email, on: context.database)
    throw taken?.username == true ? .badRequest("Username already registered") : .badRequest("Email already registered")
  }

  /// GET /auth/verify/{user_id}?token=
  static func verify(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let userID = input.pathID("user_id")
    let link = SecretToken(input.queryString("token"))
    try input.validate()
    let outcome: Verification?
    do throws(APIError) {
      outcome = try await Queries.verify(userID: userID, link: link, on: context.database)
    } catch {
      // Another account has taken the new address since the link was mailed.
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

  /// The answer tells nobody whether there is an account, nor does the time it takes: counting the request is a commit in any case,
  /// and a mail is two more rows in it.
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
