// What an access token says: a JWT (RFC 7519) with the claims of RFC 9068. How it is signed and checked is beside this file.

import FoundationEssentials

/// The claims of an access token. It says who calls and in which session; whether that session still stands is a question
/// for the database, and not answered here.
public struct AccessToken: Equatable, Sendable {
  /// How long a token is good for, in seconds: the `expires_in` of a login's answer.
  public static let lifetime: Int64 = 900

  /// `aud`: whom tokens are for. All the services of a Chatty are one resource.
  public static let audience = "chatty"

  /// `iss`: the public address of the Chatty that made it.
  public var issuer: String
  /// `aud`
  public var audience = AccessToken.audience
  /// `sub`, a decimal number in a string, as RFC 7519 section 4.1.2 wants it.
  public var userID: Int64
  /// `sid`, likewise.
  public var sessionID: Int64
  /// `jti`: 128 random bits that make two tokens of one second different.
  public var id: String
  /// `iat` and `exp`, in seconds since 1970.
  public var issuedAt: Int64
  public var expiresAt: Int64

  /// A new token, good for `lifetime` seconds from `now` (seconds since 1970).
  public init(issuer: String, userID: Int64, sessionID: Int64, now: Int64) {
    self.issuer = issuer
    self.userID = userID
    self.sessionID = sessionID
    id = Base64URL.encode(RandomBytes.make(16))
    issuedAt = now
    expiresAt = now + Self.lifetime
  }

  /// The claims as the JSON that is signed.
  func encoded() -> [UInt8] {
    let claims = Claims(
      aud: audience, exp: expiresAt, iat: issuedAt, iss: issuer, jti: id, sid: String(sessionID), sub: String(userID))
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    // Encoding integers and strings cannot fail.
    return Array((try? encoder.encode(claims)) ?? Data())
  }

  /// nil unless `json` is an object with every claim, of the right type. Claims that are not ours are ignored.
  init?(json: [UInt8]) {
    guard let claims = try? JSONDecoder().decode(Claims.self, from: Data(json)),
      let userID = Self.number(claims.sub), let sessionID = Self.number(claims.sid)
    else { return nil }
    issuer = claims.iss
    audience = claims.aud
    self.userID = userID
    self.sessionID = sessionID
    id = claims.jti
    issuedAt = claims.iat
    expiresAt = claims.exp
  }

  /// A positive number in its one spelling: no sign, no leading zero.
  private static func number(_ text: String) -> Int64? {
    guard let number = Int64(text), number > 0, String(number) == text else { return nil }
    return number
  }

  private struct Claims: Codable {
    let aud: String
    let exp: Int64
    let iat: Int64
    let iss: String
    let jti: String
    let sid: String
    let sub: String
  }
}

/// Bytes that nobody can guess, from the system's generator.
public enum RandomBytes {
  public static func make(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
  }
}
