// What each route of chatty-auth does.

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
    let outcome = try await Queries.verify(userID: userID, link: link, on: context.database)
    guard let outcome, outcome.userExists else { throw .notFound("User not found") }
    guard outcome.linkIsGood else { throw .badRequest("Invalid or expired verification link") }
    return .json(Message("Account verified"))
  }

  /// POST /auth/login
  ///
  /// An unknown account costs as much time as a wrong password, and neither says which it was. What state an account is in is
  /// told only to those who know its password.
  static func login(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let login = input.text("username", 1...EmailAddress.maximumBytes)
    let password = input.string("password") { _ in nil }
    try input.validate()

    let account = try await Queries.credentials(of: login, on: context.database)
    let isRight = PasswordHasher(cost: context.settings.passwordCost).verify(password, against: account?.hashedPassword)
    guard let account, isRight else { throw .badRequest("Invalid credentials") }
    guard account.isVerified else { throw .badRequest("Account not verified") }
    guard !account.isBlocked else { throw .badRequest("Account blocked") }

    let refresh = SecretToken()
    let sessionID = try await Queries.beginSession(
      of: account, refresh: refresh, ip: request.remoteAddress, userAgent: request.userAgent, on: context.database)
    guard let sessionID else { throw .badRequest("Invalid credentials") }
    let token = try sign(userID: account.userID, sessionID: sessionID, context)
    return .json(LoggedIn(token: token, userID: account.userID, refreshToken: refresh.text))
  }

  /// POST /auth/logout
  static func logout(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    guard try await Queries.endSession(of: context.caller, on: context.database) else { throw .unauthorized }
    return .json(Message("Logged out"))
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

  /// GET /auth/.well-known/jwks.json
  static func publicKeys(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    .json(try tokens(context).publicKeys())
  }

  private static func hash(_ password: String, _ context: Context) throws(APIError) -> String {
    do {
      return try PasswordHasher(cost: context.settings.passwordCost).hash(password)
    } catch {
      context.logger.error("cannot hash a password: \(error)")
      throw .internalServerFailure
    }
  }

  private static func sign(userID: Int64, sessionID: Int64, _ context: Context) throws(APIError) -> String {
    let signer = try tokens(context)
    do {
      return try signer.token(userID: userID, sessionID: sessionID)
    } catch {
      context.logger.error("cannot sign a token: \(error)")
      throw .internalServerFailure
    }
  }

  private static func tokens(_ context: Context) throws(APIError) -> TokenSigner {
    guard let signer else {
      context.logger.error("asked for a key before it was read")
      throw .internalServerFailure
    }
    return signer
  }
}
