// Secrets that are given away and kept only as a hash: links in mails, refresh tokens.

import Crypto
import ServiceKit

/// 256 random bits, written in base64url (43 characters). The database keeps the SHA-256 alone: with so much randomness
/// a slow hash would add nothing, and the hash can be an index.
struct SecretToken {
  let text: String

  /// A new one.
  init() { text = Base64URL.encode(RandomBytes.make(32)) }

  /// One that came from outside; any text will do, since only its hash is ever compared.
  init(_ text: String) { self.text = text }

  var hash: [UInt8] { Array(SHA256.hash(data: Array(text.utf8))) }
}

/// What a session is continued with: `FAMILY.SECRET`.
///
/// The family names the session as long as it lasts; the secret is good once and then replaced (RFC 9700, section 4.14.2). Who comes
/// with a family and another than its present secret has a token that was used before, or somebody else has used it.
struct RefreshToken {
  let family: SecretToken
  let secret: SecretToken

  /// That of a new session.
  init() {
    family = SecretToken()
    secret = SecretToken()
  }

  /// One that came from outside.
  init(_ text: String) {
    let halves = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    family = SecretToken(String(halves[0]))
    secret = SecretToken(halves.count > 1 ? String(halves[1]) : "")
  }

  private init(family: SecretToken, secret: SecretToken) {
    self.family = family
    self.secret = secret
  }

  /// The one that takes its place.
  func successor() -> RefreshToken { RefreshToken(family: family, secret: SecretToken()) }

  var text: String { "\(family.text).\(secret.text)" }
}
