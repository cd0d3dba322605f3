import Crypto
import FoundationEssentials
import ServiceKit
import Testing

@Suite("JSON web keys")
struct JSONWebKeyTests {
  /// RFC 7515, appendix A.3, whose thumbprint was computed with another program.
  static let sample = """
    {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
      "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
      "kid": "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"}]}
    """

  @Test("the id of a key is its RFC 7638 thumbprint")
  func thumbprint() throws {
    let key = try #require(try JSONWebKeySet(json: Data(Self.sample.utf8)).keys.first)
    #expect(try JSONWebKey(key.publicKey()) == key)
  }

  @Test("a set is read back as it was written, and shows no private part")
  func roundTrip() throws {
    let set = JSONWebKeySet(keys: [SigningKey().publicKey, SigningKey().publicKey])
    #expect(try JSONWebKeySet(json: set.encoded()) == set)
    #expect(!String(decoding: set.encoded(), as: UTF8.self).contains("\"d\""))
  }

  @Test(
    "a key of another kind, off the curve, or under another's id is refused",
    arguments: [
      ("\"EC\"", "\"RSA\""), ("P-256", "P-384"), ("ES256", "HS256"), ("\"sig\"", "\"enc\""), ("f83O", "g83O"), ("oKIy", "oKIz"),
      ("x_FE", "x_F"),
    ])
  func wrongKey(part: String, replacement: String) throws {
    let set = try JSONWebKeySet(json: Data(Self.sample.replacing(part, with: replacement).utf8))
    #expect(throws: KeyError.self) { try TokenCheck(keys: set, issuer: "x") }
  }

  @Test(
    "a set without keys, or that is none, is refused", arguments: ["", "[]", "{}", "{\"keys\": 1}", "{\"keys\": [{}]}", "{\"keys\": []}"])
  func wrongSet(json: String) {
    #expect(throws: KeyError.self) { try TokenCheck(keys: JSONWebKeySet(json: Data(json.utf8)), issuer: "x") }
  }

  @Test("a private key is read back from its PEM, and nothing else is taken for one")
  func pem() throws {
    let key = SigningKey()
    #expect(try SigningKey(pem: key.pem).publicKey == key.publicKey)
    #expect(throws: KeyError.malformed("private.pem")) { try SigningKey(pem: key.pem.replacing("PRIVATE", with: "PUBLIC")) }
    #expect(throws: KeyError.malformed("private.pem")) { try SigningKey(pem: "") }
  }
}
