// The public keys of access tokens, as the world reads them (RFC 7517). It knows nothing of tokens.

import Crypto
import FoundationEssentials

/// The public half of an ES256 key pair (RFC 7518 section 6.2).
public struct JSONWebKey: Codable, Equatable, Sendable {
  public let alg: String
  public let crv: String
  public let kid: String
  public let kty: String
  public let use: String
  public let x: String
  public let y: String

  public init(_ key: P256.Signing.PublicKey) {
    let point = key.rawRepresentation
    alg = "ES256"
    crv = "P-256"
    kty = "EC"
    use = "sig"
    x = Base64URL.encode(point.prefix(32))
    y = Base64URL.encode(point.suffix(32))
    kid = Self.thumbprint(x: x, y: y)
  }

  /// The key for verifying.
  ///
  /// - Throws: `.invalidKey` for another kind of key, for coordinates of another length or off the curve, and for a key id that
  ///   is not the key's thumbprint.
  public func publicKey() throws(KeyError) -> P256.Signing.PublicKey {
    guard kty == "EC", crv == "P-256", alg == "ES256", use == "sig", kid == Self.thumbprint(x: x, y: y),
      let x = Base64URL.decode(x.utf8), let y = Base64URL.decode(y.utf8), x.count == 32, y.count == 32,
      let key = try? P256.Signing.PublicKey(rawRepresentation: x + y)
    else { throw .invalidKey(kid) }
    return key
  }

  /// RFC 7638: SHA-256 of the required members in lexical order without white space.
  private static func thumbprint(x: String, y: String) -> String {
    Base64URL.encode(SHA256.hash(data: Array(#"{"crv":"P-256","kty":"EC","x":"\#(x)","y":"\#(y)"}"#.utf8)))
  }
}

/// `jwks.json`: the keys that tokens may be signed with, the present one first.
public struct JSONWebKeySet: Codable, Equatable, Sendable {
  public static let fileName = "jwks.json"

  public var keys: [JSONWebKey]

  public init(keys: [JSONWebKey]) { self.keys = keys }

  public init(json: Data) throws(KeyError) {
    guard let set = try? JSONDecoder().decode(JSONWebKeySet.self, from: json) else { throw .malformed(Self.fileName) }
    self = set
  }

  public init(path: String) throws(KeyError) {
    var file = WatchedFile(path: path)
    try self.init(json: file.read())
  }

  public func encoded() -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    // Encoding strings cannot fail.
    return (try? encoder.encode(self)) ?? Data()
  }
}

/// Why the keys cannot be used. Each says which file or key it is about, and none shows a private one.
public enum KeyError: Error, Equatable, CustomStringConvertible {
  /// The file cannot be read; the second is the system's reason.
  case unreadable(String, String)
  /// The file does not hold what its name says.
  case malformed(String)
  /// A key of the set, by its id, is not an ES256 key or has another's id.
  case invalidKey(String)
  /// The set has no key at all.
  case noKeys

  public var description: String {
    switch self {
    case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
    case .malformed(let file): "\(file) is not what `chatty keys rotate` writes"
    case .invalidKey(let id): "key \(id) is not an ES256 key with its RFC 7638 thumbprint as id"
    case .noKeys: "\(JSONWebKeySet.fileName) has no key"
    }
  }
}
