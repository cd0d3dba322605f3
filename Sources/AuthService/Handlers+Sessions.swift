// Logging in and out, and the sessions in between.

import Passwords
import ServiceKit

extension AuthService {
  /// POST /auth/login
  ///
  /// An unknown account costs as much time as a wrong password, and neither says which it was. What state an account is in is
  /// told only to those who know its password. Failures are counted by the name that was typed, whether there is such an account or
  /// not: if an account's two names were counted together, a lock would tell which address is whose.
  static func login(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let login = input.text("username", 1...EmailAddress.maximumBytes)
    let password = input.anyPassword("password")
    try input.validate()

    let attempt = try await Queries.attempt(login, context.settings, on: context.database)
    if attempt.wait > 0 { throw .tooManyRequests(retryAfter: attempt.wait) }
    let hasher = PasswordHasher(cost: context.settings.passwordCost)
    let isRight = hasher.verify(password, against: attempt.account?.hashedPassword)
    guard let account = attempt.account, isRight else { throw .badRequest("Invalid credentials") }
    guard account.isVerified, !account.isBlocked else {
      try await Queries.forgive(login, on: context.database)
      throw .badRequest(account.isVerified ? "Account blocked" : "Account not verified")
    }

    let refresh = RefreshToken()
    let sessionID = try await using(account, provenBy: password, context) { account throws(APIError) in
      let upgrade = hasher.isOutdated(account.hashedPassword) ? upgraded(password, context) : nil
      return try await Queries.beginSession(
        of: account, loggingInAs: login, refresh: refresh, upgrade: upgrade, Device(request), on: context.database)
    }
    guard let sessionID else { throw .badRequest("Invalid credentials") }
    return try loggedIn(account.userID, sessionID, refresh, context)
  }

  /// POST /auth/refresh
  ///
  /// Of two requests with the same token, at the same moment or not, the first one gets a new one; the second ends the session, and
  /// with it what the first was given: one of them is a thief, and nobody can tell which (RFC 9700, section 4.14.2).
  static func refresh(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let presented = RefreshToken(input.text("refresh_token", 1...200))
    try input.validate()

    let next = presented.successor()
    let outcome = try await Queries.refresh(presented, next: next, Device(request), on: context.database)
    guard let outcome else { throw .refused("Invalid refresh token") }
    guard outcome.stands else {
      context.logger.warning("a refresh token was used twice: its session is ended", metadata: ["session_id": "\(outcome.sessionID)"])
      throw .refused("Invalid refresh token")
    }
    return try loggedIn(outcome.userID, outcome.sessionID, next, context)
  }

  /// POST /auth/logout
  static func logout(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    guard try await Queries.endSession(context.caller.sessionID, of: context.caller, on: context.database) else { throw .unauthorized }
    return .json(Message("Logged out"))
  }

  /// GET /auth/sessions
  static func listSessions(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let page = try request.page()
    let sessions = try await Queries.sessions(of: context.caller, page, on: context.database)
    if sessions.isEmpty { try await context.requireSession() }
    return .list(sessions, page, request, position: { $0.id })
  }

  /// DELETE /auth/sessions/{id}
  static func endSession(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let id = try request.path.id("id")
    guard try await Queries.endSession(id, of: context.caller, on: context.database) else {
      throw await context.unauthenticated(or: .notFound("Session not found"))
    }
    return .json(Message("Session ended"))
  }

  /// DELETE /auth/sessions: all but the caller's own.
  static func endOtherSessions(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    guard try await Queries.endOtherSessions(of: context.caller, on: context.database) else { throw .unauthorized }
    return .json(Message("Other sessions ended"))
  }

  /// A hash of today's cost for a password whose hash is older. That it cannot be made keeps nobody out.
  private static func upgraded(_ password: String, _ context: Context) -> String? { try? hash(password, context) }

  private static func loggedIn(
    _ userID: Int64, _ sessionID: Int64, _ refresh: RefreshToken, _ context: Context
  ) throws(APIError) -> Reply {
    let signer = try tokens(context)
    do {
      let token = try signer.token(userID: userID, sessionID: sessionID)
      return .json(LoggedIn(token: token, userID: userID, refreshToken: refresh.text))
    } catch {
      context.logger.error("cannot sign a token: \(error)")
      throw .internalServerFailure
    }
  }
}
