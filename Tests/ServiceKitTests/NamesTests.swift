import ServiceKit
import Testing

@Suite("names of accounts")
struct NamesTests {
  @Test(
    "ordinary addresses are taken",
    arguments: ["a@b.co", "first.last+tag@sub.example.org", "x_y-z'o@1.example", "A@EXAMPLE.ORG", "a@b.xn--p1ai", "a@b.1a"])
  func addresses(address: String) {
    #expect(EmailAddress.flaw(in: address) == nil)
  }

  @Test(
    "what is no address, or could end a header or a command, is refused",
    arguments: [
      "", "nobody", "@example.org", "nobody@", "a@b@example.org", "a b@example.org", "a@example", "a@.org", "a@example..org",
      ".a@example.org", "a.@example.org", "a..b@example.org", "a@-b.org", "a@b-.org",
      "a@example.org\r\nBcc: b@example.org", "a@example.org\n", "\ta@example.org",
      "a<b>@example.org", "\"a\"@example.org", "a@[127.0.0.1]", "ä@example.org", "a@exämple.org", "a\0@example.org", "a,b@example.org",
      "a@example.1", "a@127.0.0.1", "a@b.0x7F", "a@b.0x",
    ])
  func flawedAddresses(address: String) {
    #expect(EmailAddress.flaw(in: address) != nil)
  }

  @Test("an address has at most 254 bytes, and 64 of them before the @")
  func longAddresses() {
    let domain = String(repeating: "\(String(repeating: "d", count: 61)).", count: 3) + "ab"
    #expect(EmailAddress.flaw(in: String(repeating: "a", count: 64) + "@" + domain) == nil)
    #expect(EmailAddress.flaw(in: String(repeating: "a", count: 65) + "@b.org") != nil)
    #expect(EmailAddress.flaw(in: String(repeating: "a", count: 64) + "@d." + domain) != nil)
  }

  @Test("blanks around an address are no part of it; line ends make it a wrong one")
  func blanks() {
    #expect(EmailAddress.trimmed(" \t\u{a0}\u{3000}a@example.org \u{2003}") == "a@example.org")
    #expect(EmailAddress.trimmed("  ") == "")
    for address in ["a@example.org\n", "\r\na@example.org", "a@example.org\u{2028}"] {
      #expect(EmailAddress.flaw(in: EmailAddress.trimmed(address)) != nil)
    }
  }

  @Test("usernames are 3 to 32 of letters, digits, dots, dashes and underscores, with a letter or digit first")
  func usernames() {
    for name in ["abc", "A.b-c_9", String(repeating: "x", count: 32), "0--", "a.."] { #expect(Username.flaw(in: name) == nil) }
    for name in [
      "", "ab", String(repeating: "x", count: 33), "a b", "abc\n", "naïve", "a@b", "e\u{301}abc", "...", "---", "-abc", ".abc", "_abc",
    ] {
      #expect(Username.flaw(in: name) != nil)
    }
  }

  @Test(
    "a reserved name is refused however it is written, and an operator may give it",
    arguments: ["admin", "ADMIN", "a.d.m.i.n", "admin_", "Admins", "root", "moderator", "support", "post-master", "api", "m-e", "no-reply"])
  func reserved(name: String) {
    #expect(Username.flaw(in: name) != nil)
    #expect(Username.flawOfShape(name) == nil)
  }

  @Test("a name that only holds a reserved one is free", arguments: ["administrative", "groot", "mesa", "supporters", "infos2"])
  func free(name: String) { #expect(Username.flaw(in: name) == nil) }
}
