// Signing access tokens: chatty-auth's part. The private key is in a file that no other service can read.

import Crypto
import EventLoop
import FoundationEssentials
import Glibc

/// A private key of ES256 and its id.
public struct SigningKey: Sendable {
  public static let fileName = "private.pem"

  private let key: P256.Signing.PrivateKey
  /// The header of every token it signs, encoded.
  private let header: String

  /// A new random key.
  public init() { self.init(P256.Signing.PrivateKey()) }

  /// - Parameter pem: PKCS#8 or SEC 1, as `pem` gives it.
  public init(pem: String) throws(KeyError) {
    guard let key = try? P256.Signing.PrivateKey(pemRepresentation: pem) else { throw .malformed(Self.fileName) }
    self.init(key)
  }

  private init(_ key: P256.Signing.PrivateKey) {
    self.key = key
    header = TokenHeader.encoded(keyID: JSONWebKey(key.publicKey).kid)
  }

  public var pem: String { key.pemRepresentation }
  public var publicKey: JSONWebKey { JSONWebKey(key.publicKey) }

  /// The token in the compact form of RFC 7515 section 7.1.
  public func sign(_ token: AccessToken) throws -> String {
    let signed = "\(header).\(Base64URL.encode(token.encoded()))"
    return "\(signed).\(Base64URL.encode(try key.signature(for: Array(signed.utf8)).rawRepresentation))"
  }
}

/// Signs the tokens of a running service with whatever key is in the file now, and tells what there is to publish now, so that a
/// rotation needs no restart.
@Worker
public final class TokenSigner {
  private let issuer: String
  private var privateFile: WatchedFile
  private var publicFile: WatchedFile
  private var key: SigningKey
  private var published: JSONWebKeySet

  /// - Parameters:
  ///   - keys: the folder with `private.pem` and `jwks.json`.
  ///   - issuer: the tokens' `iss`.
  public init(keys: String, issuer: String) throws(KeyError) {
    self.issuer = issuer
    privateFile = WatchedFile(path: "\(keys)/\(SigningKey.fileName)")
    publicFile = WatchedFile(path: "\(keys)/\(JSONWebKeySet.fileName)")
    key = try SigningKey(pem: String(decoding: try privateFile.read(), as: UTF8.self))
    published = try JSONWebKeySet(json: try publicFile.read())
  }

  /// A token for a session that has just been made or refreshed.
  ///
  /// A new private key that cannot be read leaves the old one in use: logins go on, and the next rotation mends it.
  public func token(userID: Int64, sessionID: Int64) throws -> String {
    if let changed = try? privateFile.readIfChanged(), let newKey = try? SigningKey(pem: String(decoding: changed, as: UTF8.self)) {
      key = newKey
    }
    return try key.sign(AccessToken(issuer: issuer, userID: userID, sessionID: sessionID, now: Int64(time(nil))))
  }

  /// The keys that others are to check our tokens with.
  public func publicKeys() -> JSONWebKeySet {
    if let changed = try? publicFile.readIfChanged(), let newSet = try? JSONWebKeySet(json: changed) { published = newSet }
    return published
  }
}
