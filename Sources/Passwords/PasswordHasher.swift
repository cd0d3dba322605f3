// Password hashes by libcrypt. This file owns that library; it knows nothing of accounts or requests.

import CCrypt
import Glibc

/// Makes and checks password hashes in the formats of crypt(5).
///
/// New hashes are bcrypt, `$2b$`, so that a database written by passlib and one written here are the same. Any hash that
/// the system's libcrypt knows can be checked. Both operations block the thread for as long as the hash is meant to take:
/// about 250 ms at cost 12.
public struct PasswordHasher: Sendable {
  /// The longest password that bcrypt takes, in bytes of UTF-8. What is longer is refused, never cut.
  public static let maximumBytes = 72

  /// The costs that `init` takes: below 10 a hash is guessed too fast, above 15 a login takes two seconds.
  public static let costs = 10...15

  /// The logarithm (base 2) of bcrypt's number of rounds.
  public let cost: Int

  public init(cost: Int) {
    self.cost = min(max(cost, Self.costs.lowerBound), Self.costs.upperBound)
  }

  /// A new `$2b$` hash with a random salt.
  ///
  /// - Parameter password: at most `maximumBytes` of UTF-8 with no NUL; whether it is long enough is the caller's business.
  /// - Throws: `.unusable` for any other password, `.unavailable` if libcrypt refuses to work.
  public func hash(_ password: String) throws(PasswordError) -> String {
    guard password.utf8.count <= Self.maximumBytes, !password.utf8.contains(0) else { throw .unusable }
    guard let setting = newSetting(cost: cost), let hash = crypt(password, setting) else { throw .unavailable }
    return hash
  }

  /// Whether `password` is the one that `hash` was made of.
  ///
  /// The answer takes as long as a hash of this cost, whatever it is: for a nil `hash` (there is no such account), for a password
  /// that no hash can have been made of, for a hash that libcrypt does not know, such as `*0` or `!`, which never matches, and for
  /// one that is quicker to compute. So time does not tell which accounts exist, nor whose hash is an old one. Only a hash of a
  /// higher cost takes longer. The comparison takes the same time wherever the hashes differ.
  public func verify(_ password: String, against hash: String?) -> Bool {
    let start = processorTime()
    guard let hash, Self.isPossible(password, for: hash), let computed = crypt(password, hash) else {
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

  private func hashNothing(cost: Int) { _ = newSetting(cost: cost).flatMap { crypt("", $0) } }

  /// C would stop at a NUL and bcrypt at its limit, and so take a beginning of the password for the whole.
  private static func isPossible(_ password: String, for hash: String) -> Bool {
    !password.utf8.contains(0) && !(hash.hasPrefix("$2") && password.utf8.count > maximumBytes)
  }

  /// A salt with the cost in front of it, as `crypt` wants it.
  private func newSetting(cost: Int) -> String? {
    var setting = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
    guard crypt_gensalt_rn("$2b$", UInt(cost), nil, 0, &setting, CRYPT_GENSALT_OUTPUT_SIZE) != nil else { return nil }
    return Self.string(setting)
  }

  /// crypt_rn(3), which answers nil where crypt_r(3) answers with the hash `*0` or `*1`.
  private func crypt(_ password: String, _ setting: String) -> String? {
    let size = MemoryLayout<crypt_data>.size
    let scratch = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<crypt_data>.alignment)
    scratch.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    defer {
      explicit_bzero(scratch, size)  // libcrypt leaves the password in it
      scratch.deallocate()
    }
    return crypt_rn(password, setting, scratch, Int32(size)).map { String(cString: $0) }
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
