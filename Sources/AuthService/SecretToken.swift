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
