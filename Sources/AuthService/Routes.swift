// What chatty-auth answers: accounts, sessions and keys. The same executable serves two pools; nginx sends login and
// registration, which block for as long as a password hash takes, to one of their own.

import ServiceKit

enum AuthService: ServiceDefinition {
  static let name = "auth"

  static let routes: [Route] = [
    .post("/auth/register", register),
    .get("/auth/verify/{user_id}", verify),
    .post("/auth/login", login),
    .post("/auth/logout", logout, caller: .user),
    .get("/auth/me", me, caller: .user),
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
