// Checking access tokens: every service's part. Only public keys are read here.

import Crypto
import EventLoop
import FoundationEssentials
import Glibc

/// The checks of a token that need nothing but the keys: the header, the signature, the claims and the time.
public struct TokenCheck: Sendable {
  /// A longer token is refused unread. Ours have about 450 bytes.
  static let maximumBytes = 2048

  /// How far ahead of ours the clock of the machine that signed may be, in seconds. It concerns `iat` alone: for `exp`
  /// there is no leeway, an expired token is refused at that second.
  public static let leeway: Int64 = 30

  private let issuer: String
  /// The known keys by the encoded header of their tokens.
  private let keys: [String: P256.Signing.PublicKey]

  /// - Parameters:
  ///   - keys: the public keys.
  ///   - issuer: the `iss` that a token must have.
  /// - Throws: `.invalidKey` or `.noKeys`.
  public init(keys set: JSONWebKeySet, issuer: String) throws(KeyError) {
    guard !set.keys.isEmpty else { throw .noKeys }
    var keys: [String: P256.Signing.PublicKey] = [:]
    for key in set.keys { keys[TokenHeader.encoded(keyID: key.kid)] = try key.publicKey() }
    self.keys = keys
    self.issuer = issuer
  }

  /// What the token says if it is to be believed at `now` (seconds since 1970), else nil. RFC 7519 section 7.2, with the
  /// algorithm and the type fixed (RFC 8725 sections 3.1 and 3.11).
  public func accept(_ token: String, now: Int64) -> AccessToken? {
    guard token.utf8.count <= Self.maximumBytes else { return nil }
    let parts = token.utf8.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 3, let key = keys[String(Substring(parts[0]))],
      let claims = Base64URL.decode(parts[1]), let bytes = Base64URL.decode(parts[2]),
      let signature = try? P256.Signing.ECDSASignature(rawRepresentation: bytes),
      key.isValidSignature(signature, for: Array(token.utf8[..<parts[1].endIndex])),
      let accepted = AccessToken(json: claims)
    else { return nil }
    guard accepted.issuer == issuer, accepted.audience == AccessToken.audience,
      accepted.expiresAt > now, accepted.issuedAt <= now + Self.leeway
    else { return nil }
    return accepted
  }
}

/// Tells who calls from a bearer token, and remembers each token it has accepted until that expires: checking a signature
/// takes 80 µs, looking a token up takes one.
///
/// It looks at most once a second whether `jwks.json` has changed. So a rotated key is known a second after it was
/// published (`chatty keys rotate` publishes before it signs), and tokens of a withdrawn key are refused a second after.
@Worker
public final class TokenVerifier {
  /// Tokens remembered; all are forgotten when it is reached, which costs each of them one more check.
  static let capacity = 4096

  private let issuer: String
  private var file: WatchedFile
  private var check: TokenCheck
  private var lastLook: Int64
  private var accepted: [String: (caller: Caller, expiresAt: Int64)] = [:]

  /// - Parameters:
  ///   - keys: the folder with `jwks.json`.
  ///   - issuer: the `iss` that a token must have.
  public init(keys: String, issuer: String) throws(KeyError) {
    self.issuer = issuer
    file = WatchedFile(path: "\(keys)/\(JSONWebKeySet.fileName)")
    check = try TokenCheck(keys: try JSONWebKeySet(json: try file.read()), issuer: issuer)
    lastLook = Int64(time(nil))
  }

  /// The caller that an `Authorization` header names (RFC 6750 section 2.1), or nil if it is absent, of another scheme, or
  /// its token is not to be believed.
  public func caller(authorization header: String?) -> Caller? {
    let scheme = "bearer "
    guard let header, header.utf8.count > scheme.utf8.count else { return nil }
    for (a, b) in zip(header.utf8, scheme.utf8) where a | 0x20 != b { return nil }
    return caller(bearer: String(header.utf8.dropFirst(scheme.utf8.count).drop { $0 == UInt8(ascii: " ") }) ?? "")
  }

  /// The caller that `token` names, or nil if it is not to be believed now.
  public func caller(bearer token: String) -> Caller? {
    // Texts of other bytes are equal by their meaning: the Kelvin sign is a K. A token that is remembered must be no other's.
    guard token.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
    let now = Int64(time(nil))
    if now != lastLook { lookForNewKeys(now) }
    if let known = accepted[token] {
      if known.expiresAt > now { return known.caller }
      accepted[token] = nil
      return nil
    }
    guard let claims = check.accept(token, now: now) else { return nil }
    let caller = Caller(userID: claims.userID, sessionID: claims.sessionID)
    if accepted.count >= Self.capacity { accepted.removeAll(keepingCapacity: true) }
    accepted[token] = (caller, claims.expiresAt)
    return caller
  }

  /// A file that is missing or wrong leaves the keys as they are: nobody is logged out by a slip of the operator's.
  private func lookForNewKeys(_ now: Int64) {
    lastLook = now
    guard let changed = try? file.readIfChanged(), let set = try? JSONWebKeySet(json: changed),
      let newCheck = try? TokenCheck(keys: set, issuer: issuer)
    else { return }
    check = newCheck
    accepted.removeAll(keepingCapacity: true)
  }
}
