import ServiceKit
import Testing

@Suite("base64url")
struct Base64URLTests {
  @Test(
    "encodes the vectors of RFC 4648 without padding and with the URL's alphabet",
    arguments: [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy")])
  func vectors(plain: String, encoded: String) {
    #expect(Base64URL.encode(plain.utf8) == encoded)
    #expect(Base64URL.decode(encoded.utf8) == Array(plain.utf8))
  }

  @Test("uses - and _ where base64 has + and /")
  func alphabet() {
    #expect(Base64URL.encode([0xfb, 0xff, 0xbf]) == "-_-_")
    #expect(Base64URL.decode("-_-_".utf8) == [0xfb, 0xff, 0xbf])
  }

  @Test("decodes what it encoded, whatever the bytes and the length")
  func roundTrip() {
    for length in 0..<100 {
      let bytes = RandomBytes.make(length)
      #expect(Base64URL.decode(Base64URL.encode(bytes).utf8) == bytes)
    }
  }

  @Test(
    "refuses padding, other alphabets, white space, impossible lengths and stray last bits",
    arguments: ["Zg==", "+/+/", "Zm9v\n", " Zm9v", "Z", "Zm9vY", "Zh", "Zm9", "Zm8é", "Zm.9"])
  func strict(text: String) {
    #expect(Base64URL.decode(text.utf8) == nil)
  }
}
