/// The 64-bit hash XXH64 with seed 0 (xxHash specification, section "XXH64 algorithm description"): it goes through memory about as
/// fast as memory can be read, and finds what disks and hands do to files. It does not protect against forgery.
///
/// It takes words of 32 bits, as everything in an index is made of them.
package struct XXHash64 {
  private static let primes: (UInt64, UInt64, UInt64, UInt64, UInt64) = (
    0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63, 0x27D4_EB2F_1656_67C5
  )
  /// Words that are taken together.
  static let stripe = 8

  private var lanes: (UInt64, UInt64, UInt64, UInt64) = (
    primes.0 &+ primes.1, primes.1, 0, 0 &- primes.0
  )
  private var count: UInt64 = 0
  private var rest: [UInt32] = []

  package init() {}

  /// Takes more. Every call but the last has to have a multiple of `stripe` words.
  package mutating func update(_ words: Span<UInt32>) {
    precondition(rest.isEmpty, "nothing comes after a piece that is not whole")
    count += UInt64(words.count) * 4
    var (a, b, c, d) = lanes
    var index = 0
    while index + Self.stripe <= words.count {
      a = Self.round(a, Self.pair(words, index))
      b = Self.round(b, Self.pair(words, index + 2))
      c = Self.round(c, Self.pair(words, index + 4))
      d = Self.round(d, Self.pair(words, index + 6))
      index += Self.stripe
    }
    lanes = (a, b, c, d)
    while index < words.count {
      rest.append(words[index])
      index += 1
    }
  }

  package var digest: UInt64 {
    var hash: UInt64
    if count >= 32 {
      hash = Self.rotate(lanes.0, 1) &+ Self.rotate(lanes.1, 7) &+ Self.rotate(lanes.2, 12) &+ Self.rotate(lanes.3, 18)
      for lane in [lanes.0, lanes.1, lanes.2, lanes.3] { hash = (hash ^ Self.round(0, lane)) &* Self.primes.0 &+ Self.primes.3 }
    } else {
      hash = Self.primes.4
    }
    hash &+= count
    for index in stride(from: 0, to: rest.count - 1, by: 2) {
      hash = Self.rotate(hash ^ Self.round(0, Self.pair(rest.span, index)), 27) &* Self.primes.0 &+ Self.primes.3
    }
    if rest.count % 2 == 1, let last = rest.last {
      hash = Self.rotate(hash ^ (UInt64(last) &* Self.primes.0), 23) &* Self.primes.1 &+ Self.primes.2
    }
    hash = (hash ^ (hash >> 33)) &* Self.primes.1
    hash = (hash ^ (hash >> 29)) &* Self.primes.2
    return hash ^ (hash >> 32)
  }

  @inline(__always)
  private static func pair(_ words: Span<UInt32>, _ index: Int) -> UInt64 { UInt64(words[index]) | UInt64(words[index + 1]) << 32 }

  @inline(__always)
  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 { rotate(lane &+ word &* primes.1, 31) &* primes.0 }

  @inline(__always)
  private static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 { value << bits | value >> (64 - bits) }
}
