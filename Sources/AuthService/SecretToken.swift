// Secrets that are given away and kept only as a hash: links in mails, refresh tokens.

import Crypto
import FoundationEssentials
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
///
/// Honest people come twice too: from two tabs at once, or because the answer was lost. So the secret before is good for some seconds more,
/// for the same tokens. They are kept for that, encrypted with a key that is made of the secret that they replaced, of which the database
/// has a hash: who reads the database, and has no token of the session, cannot open them.
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

  /// The tokens that take this one's place, for nobody who does not have it (AES-256-GCM, RFC 5116).
  func seal(_ tokens: IssuedTokens) throws -> [UInt8] {
    Array(try AES.GCM.seal(Array("\(tokens.refresh) \(tokens.access)".utf8), using: key).combined ?? Data())
  }

  /// nil if this is not the token that they were sealed with.
  func open(_ sealed: [UInt8]) -> IssuedTokens? {
    guard let box = try? AES.GCM.SealedBox(combined: sealed), let text = try? AES.GCM.open(box, using: key) else { return nil }
    let parts = String(decoding: text, as: UTF8.self).split(separator: " ")
    return parts.count == 2 ? IssuedTokens(access: String(parts[1]), refresh: String(parts[0])) : nil
  }

  /// Each is used for one message: the secret is good once.
  private var key: SymmetricKey {
    HKDF<SHA256>.deriveKey(
      inputKeyMaterial: SymmetricKey(data: Array(secret.text.utf8)), salt: Array(family.text.utf8), info: Array("successor".utf8),
      outputByteCount: 32)
  }
}

/// What a client goes on with.
struct IssuedTokens: Sendable {
  let access: String
  let refresh: String
}
