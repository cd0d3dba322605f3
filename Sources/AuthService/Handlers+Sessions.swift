// Logging in and out, and the sessions in between.

import Passwords
import ServiceKit

extension AuthService {
  /// POST /auth/login
  ///
  /// An unknown account costs as much time as a wrong password, and neither says which it was. What state an account is in is
  /// told only to those who know its password.
  static func login(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let login = input.text("username", 1...EmailAddress.maximumBytes)
    let password = input.anyPassword("password")
    try input.validate()

    let place = ClientPlace(request)
    let hasher = PasswordHasher(cost: context.settings.passwordCost)
    let attempt = try await Queries.attempt(login, place, context.settings, on: context.database)
    let proof = try await prove(attempt, of: login, by: password, context) { account, match in
      let mayEnter = account.isVerified && !account.isBlocked
      let isOutdated = hasher.isOutdated(account.hashedPassword) || !match.isCurrentForm
      // That it cannot be made keeps nobody out.
      return mayEnter && isOutdated && !match.isCut ? try? hash(password, context) : nil
    }
    guard proof.account.isVerified, !proof.account.isBlocked else {
      try await Queries.forgive(attempt, of: login, place, on: context.database)
      throw .badRequest(proof.account.isVerified ? "Account blocked" : "Account not verified")
    }

    let refresh = RefreshToken()
    let sessionID = try await using(proof.account, provenBy: password, context) { account throws(APIError) in
      try await Queries.beginSession(
        of: account, by: attempt, with: login, refresh: refresh,
        upgrade: account.hashedPassword == proof.account.hashedPassword ? proof.newHash : nil, Device(request), place, on: context.database)
    }
    guard let sessionID else { throw .badRequest("Invalid credentials") }
    let tokens = IssuedTokens(access: try accessToken(proof.account.userID, sessionID, context), refresh: refresh.text)
    return .json(LoggedIn(tokens, userID: proof.account.userID, passwordIsTooLong: proof.match.isCut))
  }

  /// POST /auth/refresh
  ///
  /// A token is good once, and for 30 seconds more for the same answer. After that somebody who comes with it ends the session, and with it
  /// what its first use gave: one of the two is a thief, and nobody can tell which (RFC 9700, section 4.14.2).
  static func refresh(_ request: Request, _ context: Context) async throws(APIError) -> Reply {
    let input = request.input
    let presented = RefreshToken(input.text("refresh_token", 1...200))
    try input.validate()

    // Who it is for has to be known before the update, which keeps the access token for whoever comes with the same one.
    guard let session = try await Queries.session(of: presented, on: context.database) else { throw .refused("Invalid refresh token") }
    let next = presented.successor()
    let tokens = IssuedTokens(access: try accessToken(session.userID, session.sessionID, context), refresh: next.text)
    guard let sealed = try? presented.seal(tokens) else {
      context.logger.error("cannot encrypt tokens")
      throw .internalServerFailure
    }
    let outcome = try await Queries.refresh(presented, next: next, successor: sealed, Device(request), on: context.database)
    guard let outcome else { throw .refused("Invalid refresh token") }
    guard outcome.stands, let given = outcome.successor.flatMap(presented.open) else {
      context.logger.warning("a refresh token was used twice: its session is ended", metadata: ["session_id": "\(outcome.sessionID)"])
      throw .refused("Invalid refresh token")
    }
    return .json(LoggedIn(given, userID: outcome.userID))
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

  private static func accessToken(_ userID: Int64, _ sessionID: Int64, _ context: Context) throws(APIError) -> String {
    let signer = try tokens(context)
    do {
      return try signer.token(userID: userID, sessionID: sessionID)
    } catch {
      context.logger.error("cannot sign a token: \(error)")
      throw .internalServerFailure
    }
  }
}
