// What chatty-auth answers: accounts, sessions and keys. The same executable serves two pools; nginx sends what computes a password
// hash, and so blocks its worker for as long, to one of their own.

import ServiceKit

enum AuthService: ServiceDefinition {
  static let name = "auth"

  static let routes: [Route] = [
    .post("/auth/register", register),
    .get("/auth/verify/{user_id}", verify),
    .post("/auth/verify/{user_id}", confirm),
    .post("/auth/verify", requestVerification),
    .post("/auth/login", login),
    .post("/auth/refresh", refresh),
    .post("/auth/logout", logout, caller: .user),
    .get("/auth/sessions", listSessions, caller: .user),
    .delete("/auth/sessions", endOtherSessions, caller: .user),
    .delete("/auth/sessions/{id}", endSession, caller: .user),
    .get("/auth/me", me, caller: .user),
    .patch("/auth/me", changeAccount, caller: .user),
    .delete("/auth/me", deleteAccount, caller: .user),
    .post("/auth/password/forgot", requestReset),
    .post("/auth/password/reset", resetPassword),
    .get("/auth/users", searchUsers),
    .get("/auth/users/{id}", showUser),
    .get("/auth/.well-known/jwks.json", publicKeys),
  ]

  /// Of the services only this one reads the private key.
  static func prepare(_ settings: Settings) throws(SettingError) {
    do {
      signer = try TokenSigner(keys: settings.keys, issuer: settings.publicURL)
    } catch {
      throw SettingError("CHATTY_KEYS", "\(error)")
    }
  }

  private(set) static var signer: TokenSigner?
}
