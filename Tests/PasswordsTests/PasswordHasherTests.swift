import Glibc
import Passwords
import Testing

@Suite("password hashes")
struct PasswordHasherTests {
  let hasher = PasswordHasher(cost: 10)

  @Test("a new hash is $2b$ of the cost that is set, and salted")
  func format() throws {
    let hash = try hasher.hash("correct horse")
    #expect(hash.hasPrefix("$2b$10$") && hash.utf8.count == 60)
    #expect(try hasher.hash("correct horse") != hash)
  }

  @Test("a password matches its own hash alone")
  func verify() throws {
    let hash = try hasher.hash("correct hörse")
    #expect(hasher.verify("correct hörse", against: hash))
    for wrong in ["", "correct horse", "correct hörse ", "Correct hörse", "correct ho\u{306}rse"] {
      #expect(!hasher.verify(wrong, against: hash))
    }
  }

  @Test(
    "hashes that another program has made match, in every format of crypt(5)",
    arguments: [
      "$2b$04$z1VfGfQiR0I8sbYqzH6JPeWVKdEnMfomdVMcSn/Hi0Mxmfm.q08BC",
      "$2a$04$6bMv/ABiF5t/UC5lCk1qfOLwpchrIx/KOzpG6WGkfBNki6CsrJ3Hq",
      "$6$rounds=1000$qFxPG0dzuTofBJEf$eLZmMFK0OVE8UtfwG1VAwdzaR1SVVUePMYqVCutRJESrd1/cZK0eGyzM4X/oKL1eGPlyePSudLGYrf/JscQ3j0",
      "$5$rounds=1000$K8O/geFSMVn1xtKe$c2w.3plFk9JqdELvrklOGcSwHZMLuGtYX5bbxhbtt5B",
      "$1$G2/xkWoY$SNskgQQ/IgbIonKIrSGKR1",
    ])
  func foreign(hash: String) {
    #expect(hasher.verify("correct horse battery", against: hash))
    #expect(!hasher.verify("correct horse batterz", against: hash))
  }

  @Test("all 72 bytes count for a new hash, and 73 are refused; a longer password matches by its beginning, as with passlib")
  func limit() throws {
    let longest = String(repeating: "€", count: 24)
    let hash = try hasher.hash(longest)
    #expect(hasher.match(longest, against: hash) == .init(isCurrentForm: true, isCut: false))
    #expect(!hasher.verify(String(longest.dropLast()), against: hash))
    #expect(throws: PasswordError.unusable) { try hasher.hash(longest + "x") }
    #expect(hasher.match(longest + "x", against: hash) == .init(isCurrentForm: true, isCut: true))
    // libcrypt itself takes no more than 512 bytes.
    #expect(hasher.match(longest + String(repeating: "x", count: 1000), against: hash)?.isCut == true)
    #expect(!hasher.verify("x" + longest, against: hash))
    #expect(!hasher.verify(longest + String(repeating: "x", count: 5000), against: hash))
  }

  @Test("a hash of another method counts the whole of a long password")
  func longWithoutBcrypt() {
    let long = String(repeating: "correct horse ", count: 10)
    // passlib's sha256_crypt of it.
    let hash = "$5$rounds=1000$saltsaltsaltsalt$fhNjN..xsYoxgvW8mqNLt7D2Sy3Lf4T7B2kvS8F7Ik9"
    #expect(hasher.match(long, against: hash) == .init(isCurrentForm: true, isCut: false))
    #expect(!hasher.verify(long + "x", against: hash))
  }

  @Test("the forms of Unicode that look the same are one password, and a hash of NFC is the current form")
  func forms() throws {
    let composed = "gr\u{fc}n\u{e9}\u{d55c}123"
    let decomposed = "gru\u{308}ne\u{301}\u{1112}\u{1161}\u{11ab}123"
    let hash = try hasher.hash(decomposed)
    for form in [composed, decomposed] { #expect(hasher.match(form, against: hash) == .init(isCurrentForm: true, isCut: false)) }
    #expect(PasswordHasher.bytes(of: decomposed) == composed.utf8.count)
    // passlib's, of the decomposed form.
    let old = "$2b$04$gB.8.jHvyD5Nei21QVSnbOshhYG1udrQmGj.9V7jMvnnxkrl1kxHa"
    for form in [composed, decomposed] { #expect(hasher.match(form, against: old) == .init(isCurrentForm: false, isCut: false)) }
    #expect(!hasher.verify("grune123", against: old))
  }

  @Test("a NUL ends no password")
  func nul() throws {
    #expect(throws: PasswordError.unusable) { try hasher.hash("sevenand\0more") }
    #expect(!hasher.verify("sevenand\0more", against: try hasher.hash("sevenand")))
  }

  @Test(
    "what is no hash matches nothing, itself included", arguments: ["", "*0", "*1", "!", "x", "$2b$", "$2b$12$", "$9$abc", "correct horse"])
  func noHash(hash: String) {
    #expect(!hasher.verify("correct horse", against: hash))
    #expect(!hasher.verify(hash, against: hash))
    #expect(!hasher.verify("", against: hash))
  }

  @Test("an unknown account, and one with a quick hash, cost the time of a wrong password")
  func time() throws {
    let hash = try hasher.hash("correct horse")
    // In time of the processor: whatever else the machine does meanwhile does not count.
    func now() -> Double {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    func fastest(_ work: () -> Void) -> Double {
      let times = (0..<5).map { _ in
        let start = now()
        work()
        return now() - start
      }
      return times.min() ?? 0
    }
    let known = fastest { _ = hasher.verify("wrong", against: hash) }
    let quick = [
      "$2b$04$z1VfGfQiR0I8sbYqzH6JPeWVKdEnMfomdVMcSn/Hi0Mxmfm.q08BC", "$1$G2/xkWoY$SNskgQQ/IgbIonKIrSGKR1",
      "$5$rounds=1000$K8O/geFSMVn1xtKe$c2w.3plFk9JqdELvrklOGcSwHZMLuGtYX5bbxhbtt5B",
    ]
    for other in [nil, "*0"] + quick {
      let unknown = fastest { _ = hasher.verify("wrong", against: other) }
      #expect(unknown > known * 0.7 && unknown < known * 1.4, "\(known) and \(unknown) for \(other ?? "none")")
    }
    // A password of two forms takes two hashes, for everybody.
    let two = fastest { _ = hasher.verify("wr\u{f6}ng", against: hash) }
    for other in [nil, "*0"] + quick {
      let unknown = fastest { _ = hasher.verify("wr\u{f6}ng", against: other) }
      #expect(unknown > two * 0.7 && unknown < two * 1.4, "\(two) and \(unknown) for \(other ?? "none")")
    }
  }

  @Test("a hash is outdated unless it is of today's spelling and at least today's cost")
  func outdated() throws {
    let hasher = PasswordHasher(cost: 11)
    #expect(!hasher.isOutdated("$2b$11$z1VfGfQiR0I8sbYqzH6JPeWVKdEnMfomdVMcSn/Hi0Mxmfm.q08BC"))
    #expect(!hasher.isOutdated("$2b$12$z1VfGfQiR0I8sbYqzH6JPeWVKdEnMfomdVMcSn/Hi0Mxmfm.q08BC"))
    for old in [
      "$2b$10$z1VfGfQiR0I8sbYqzH6JPeWVKdEnMfomdVMcSn/Hi0Mxmfm.q08BC", "$2a$12$abc", "$6$rounds=656000$salt$hash", "", "x", "$2b$",
    ] {
      #expect(hasher.isOutdated(old), "\(old)")
    }
  }
}
