import Crypto
import FoundationEssentials
import ServiceKit
import Testing

/// Every forgery here is made with the right private key where one is needed, so that it is refused for its own fault and not for a
/// bad signature.
@Suite("access tokens")
struct TokenCheckTests {
  let key = SigningKey()
  let issuer = "https://chatty.example"
  let now: Int64 = 1_800_000_000

  var check: TokenCheck {
    get throws { try TokenCheck(keys: JSONWebKeySet(keys: [SigningKey().publicKey, key.publicKey]), issuer: issuer) }
  }

  func token(_ change: (inout AccessToken) -> Void = { _ in }) throws -> String {
    var token = AccessToken(issuer: issuer, userID: 7, sessionID: 9, now: now)
    change(&token)
    return try key.sign(token)
  }

  /// A token with any header and claims, signed by the key.
  func forge(header: String? = nil, claims: String? = nil) throws -> String {
    let header = header ?? #"{"alg":"ES256","kid":"\#(key.publicKey.kid)","typ":"at+jwt"}"#
    let claims = claims ?? Self.claims
    let signed = "\(Base64URL.encode(header.utf8)).\(Base64URL.encode(claims.utf8))"
    let signature = try P256.Signing.PrivateKey(pemRepresentation: key.pem).signature(for: Data(signed.utf8))
    return "\(signed).\(Base64URL.encode(signature.rawRepresentation))"
  }

  static let claims =
    #"{"iss":"https://chatty.example","aud":"chatty","sub":"7","sid":"9","jti":"x","iat":1800000000,"exp":1800000900}"#

  @Test("a token says who and which session, and lives 15 minutes")
  func accepted() throws {
    let accepted = try #require(try check.accept(token(), now: now))
    #expect(accepted.userID == 7 && accepted.sessionID == 9 && accepted.issuer == issuer)
    #expect(accepted.expiresAt == now + 900)
    #expect(try check.accept(token(), now: now + 899) != nil)
  }

  @Test("two tokens of one second differ")
  func unique() throws { #expect(try token() != token()) }

  @Test("a token that another program has signed with the key is accepted")
  func foreign() throws { #expect(try check.accept(forge(), now: now) != nil) }

  @Test("a token is refused from the second on at which it expires")
  func expired() throws { #expect(try check.accept(token(), now: now + 900) == nil) }

  @Test("the signer's clock may be 30 seconds ahead and no more")
  func leeway() throws {
    #expect(try check.accept(token { $0.issuedAt = now + 30 }, now: now) != nil)
    #expect(try check.accept(token { $0.issuedAt = now + 31 }, now: now) == nil)
  }

  @Test("another issuer's token and one for another audience are refused")
  func otherParties() throws {
    #expect(try check.accept(token { $0.issuer = "https://evil.example" }, now: now) == nil)
    #expect(try check.accept(token { $0.audience = "another" }, now: now) == nil)
  }

  @Test("a token of a key that is not in the set is refused")
  func otherKey() throws {
    let token = try SigningKey().sign(AccessToken(issuer: issuer, userID: 7, sessionID: 9, now: now))
    #expect(try check.accept(token, now: now) == nil)
  }

  @Test(
    "every other header is refused",
    arguments: [
      #"{"alg":"none","kid":"KID","typ":"at+jwt"}"#, #"{"alg":"None","kid":"KID","typ":"at+jwt"}"#,
      #"{"alg":"HS256","kid":"KID","typ":"at+jwt"}"#, #"{"alg":"ES384","kid":"KID","typ":"at+jwt"}"#,
      #"{"alg":"ES256","kid":"KID","typ":"JWT"}"#, #"{"alg":"ES256","kid":"KID"}"#, #"{"alg":"ES256","typ":"at+jwt"}"#,
      #"{"alg":"ES256","kid":"KIX","typ":"at+jwt"}"#, #"{"alg":"ES256","kid":"../private.pem","typ":"at+jwt"}"#,
      #"{"alg":"ES256","crit":["exp"],"kid":"KID","typ":"at+jwt"}"#,
      #"{"alg":"ES256","jku":"https://evil.example","kid":"KID","typ":"at+jwt"}"#,
      #"{"alg":"ES256","jwk":{"kty":"EC"},"kid":"KID","typ":"at+jwt"}"#,
      #"{"alg":"ES256","alg":"none","kid":"KID","typ":"at+jwt"}"#, "", "{}",
    ])
  func header(header: String) throws {
    let token = try forge(header: header.replacing("KID", with: key.publicKey.kid))
    #expect(try check.accept(token, now: now) == nil)
  }

  @Test(
    "claims that are missing, of another type or in another spelling are refused",
    arguments: [
      (#""sub":"7""#, #""sub":7"#), (#""sub":"7""#, #""sub":"07""#), (#""sub":"7""#, #""sub":"+7""#), (#""sub":"7""#, #""sub":"0""#),
      (#""sub":"7""#, #""sub":"-7""#), (#""sub":"7""#, #""sub":"99999999999999999999""#), (#""sub":"7","#, ""), (#""sid":"9","#, ""),
      (#""sid":"9""#, #""sid":null"#), (#""aud":"chatty""#, #""aud":["chatty"]"#), (#""jti":"x","#, ""), (#""iat":1800000000,"#, ""),
      (#","exp":1800000900"#, ""), (#""exp":1800000900"#, #""exp":"1800000900""#), (#""exp":1800000900"#, #""exp":1800000900.5"#),
      (#""exp":1800000900"#, #""exp":1e30"#), ("{", "["), ("}", ""),
    ])
  func claims(part: String, replacement: String) throws {
    #expect(try check.accept(forge(claims: Self.claims.replacing(part, with: replacement)), now: now) == nil)
  }

  @Test("a token that is cut, doubled, lengthened or taken apart is refused")
  func mangled() throws {
    let token = try token()
    let other = try self.token()
    let parts = token.split(separator: ".").map(String.init)
    let otherParts = other.split(separator: ".").map(String.init)
    let mangled = [
      "", ".", "..", "...", String(token.dropLast()), String(token.dropFirst()), token + token, "\(token).\(token)", "\(token).",
      ".\(token)",
      " \(token)", "\(token) ", "\(token)=", "\(token)A", "\(parts[0]).\(parts[1])", "\(parts[0]).\(parts[1]).",
      "\(parts[0])..\(parts[2])", "\(parts[0]).\(parts[1]).\(otherParts[2])", "\(parts[0]).\(otherParts[1]).\(parts[2])",
      String(repeating: "a", count: 100_000),
    ]
    for text in mangled { #expect(try check.accept(text, now: now) == nil, "\(text.prefix(500))") }
  }

  @Test("no byte of a token can be another one")
  func everyByte() throws {
    let token = try token()
    let check = try check
    for index in token.indices {
      var changed = token
      changed.replaceSubrange(index...index, with: token[index] == "A" ? "B" : "A")
      #expect(check.accept(changed, now: now) == nil)
    }
  }
}
