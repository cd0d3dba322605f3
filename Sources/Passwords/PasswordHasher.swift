// Password hashes by libcrypt. This file owns that library; it knows nothing of accounts or requests.

import CCrypt
import Glibc

/// Makes and checks password hashes in the formats of crypt(5).
///
/// New hashes are bcrypt, `$2b$`, so that a database written by passlib and one written here are the same. Any hash that
/// the system's libcrypt knows can be checked. Both operations block the thread for as long as the hash is meant to take:
/// about 250 ms at cost 12.
public struct PasswordHasher: Sendable {
  /// The longest password that bcrypt takes, in bytes of UTF-8. A longer one gets no new hash.
  public static let maximumBytes = 72

  /// The longest that is compared, in bytes: passlib's limit. Nothing longer was ever a password.
  private static let longestComparedBytes = 4096

  /// The costs that `init` takes: below 10 a hash is guessed too fast, above 15 a login takes two seconds.
  public static let costs = 10...15

  /// The logarithm (base 2) of bcrypt's number of rounds.
  public let cost: Int

  public init(cost: Int) {
    self.cost = min(max(cost, Self.costs.lowerBound), Self.costs.upperBound)
  }

  /// How long a password is for a new hash: the bytes of its NFC form.
  public static func bytes(of password: String) -> Int { PasswordForms.composed(password).utf8.count }

  /// A new `$2b$` hash of a password's NFC form, with a random salt: keyboards differ in how they write `ü`.
  ///
  /// - Parameter password: at most `maximumBytes` of UTF-8 in NFC, with no NUL; whether it is long enough is the caller's business.
  /// - Throws: `.unusable` for any other password, `.unavailable` if libcrypt refuses to work.
  public func hash(_ password: String) throws(PasswordError) -> String {
    let password = PasswordForms.composed(password)
    guard password.utf8.count <= Self.maximumBytes, !password.utf8.contains(0) else { throw .unusable }
    guard let setting = newSetting(cost: cost), let hash = crypt(password.utf8[...], setting) else { throw .unavailable }
    return hash
  }

  /// How a password matches a hash.
  public struct Match: Equatable, Sendable {
    /// The hash is of the form that a new one would be made of. Another form is one that a keyboard wrote and a program took as it came.
    public let isCurrentForm: Bool
    /// bcrypt has looked at the first 72 bytes of a longer password, and at no more.
    public let isCut: Bool

    package init(isCurrentForm: Bool, isCut: Bool) {
      self.isCurrentForm = isCurrentForm
      self.isCut = isCut
    }
  }

  /// Whether `password` is the one that `hash` was made of: as `match`.
  public func verify(_ password: String, against hash: String?) -> Bool { match(password, against: hash) != nil }

  /// How `password` is the one that `hash` was made of; nil if it is not.
  ///
  /// The forms of Unicode that look the same are one password: it is tried in NFC, then as it was sent and in NFD, as far as these are
  /// different; for ASCII, and most of what is typed, there is one form. A password longer than 72 bytes matches a bcrypt hash by its
  /// beginning, as it did with passlib.
  ///
  /// The answer nil takes as long as a hash of this cost for each form of the password, whatever the hash is: nil (there is no such
  /// account), one that libcrypt does not know, such as `*0` or `!`, which never matches, or one that is quicker to compute; and as long for
  /// a password that no hash can have been made of. So time does not tell which accounts exist, nor whose hash is an old one. Only a hash of
  /// a higher cost takes longer. The comparison takes the same time wherever the hashes differ.
  public func match(_ password: String, against hash: String?) -> Match? {
    guard password.utf8.count <= Self.longestComparedBytes, !password.utf8.contains(0) else {
      hashNothing(cost: cost)
      return nil
    }
    let forms = PasswordForms.all(of: password)
    for (number, form) in forms.enumerated() where isHash(hash, of: form) {
      let isCut = form.utf8.count > Self.maximumBytes && hash?.hasPrefix("$2") == true
      return Match(isCurrentForm: number == 0, isCut: isCut)
    }
    return nil
  }

  /// Takes the time of a hash of this cost, as long as it gives false.
  private func isHash(_ hash: String?, of form: String) -> Bool {
    let start = processorTime()
    let isBcrypt = hash?.hasPrefix("$2") == true
    guard let hash, let computed = crypt(isBcrypt ? form.utf8.prefix(Self.maximumBytes) : form.utf8[...], hash) else {
      hashNothing(cost: cost)
      return false
    }
    if isOutdated(hash) { fillUp(after: processorTime() - start) }
    return Self.isSame(computed, hash)
  }

  /// Whether a hash is to be replaced by a new one when its password is known: it is of another method than bcrypt, of one of its
  /// older spellings, or of a lower cost.
  public func isOutdated(_ hash: String) -> Bool {
    let parts = hash.split(separator: "$", omittingEmptySubsequences: false)
    guard parts.count == 4, parts[1] == "2b", let cost = Int(parts[2]) else { return true }
    return cost < self.cost
  }

  /// Does what is left of the work of a hash of this cost, in 64 pieces, when some has been done already.
  ///
  /// What a piece takes is found out here and now: it depends on what else the processor is busy with.
  ///
  /// - Parameter done: seconds of the processor.
  private func fillUp(after done: Double) {
    let start = processorTime()
    hashNothing(cost: cost - 6)
    let piece = processorTime() - start
    for _ in 0..<max(0, 63 - Int((done / piece).rounded())) { hashNothing(cost: cost - 6) }
  }

  private func hashNothing(cost: Int) { _ = newSetting(cost: cost).flatMap { crypt("".utf8[...], $0) } }

  /// A salt with the cost in front of it, as `crypt` wants it.
  private func newSetting(cost: Int) -> String? {
    var setting = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
    guard crypt_gensalt_rn("$2b$", UInt(cost), nil, 0, &setting, CRYPT_GENSALT_OUTPUT_SIZE) != nil else { return nil }
    return Self.string(setting)
  }

  /// crypt_rn(3), which answers nil where crypt_r(3) answers with the hash `*0` or `*1`.
  ///
  /// - Parameter password: a beginning of UTF-8, which may end within a character.
  private func crypt(_ password: Substring.UTF8View, _ setting: String) -> String? {
    let size = MemoryLayout<crypt_data>.size
    let scratch = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<crypt_data>.alignment)
    scratch.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    defer {
      explicit_bzero(scratch, size)  // libcrypt leaves the password in it
      scratch.deallocate()
    }
    let terminated = password.map { CChar(bitPattern: $0) } + [0]
    return crypt_rn(terminated, setting, scratch, Int32(size)).map { String(cString: $0) }
  }

  private static func isSame(_ a: String, _ b: String) -> Bool {
    let a = Array(a.utf8)
    let b = Array(b.utf8)
    guard a.count == b.count else { return false }
    var difference: UInt8 = 0
    for index in a.indices { difference |= a[index] ^ b[index] }
    return difference == 0
  }

  private static func string(_ terminated: [CChar]) -> String {
    String(decoding: terminated.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// Seconds that this thread has had of the processor: unlike the time that passes, they do not depend on who else was busy.
private func processorTime() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

public enum PasswordError: Error {
  /// Longer than bcrypt takes, or with a NUL in it.
  case unusable
  /// libcrypt has no randomness or no bcrypt.
  case unavailable
}
