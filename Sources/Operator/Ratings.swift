// Ratings from a file, as likes, parted into those that recommendations are made from and those that they are to find.

import FoundationEssentials

/// Who likes what, by a file of ratings.
struct Ratings {
  /// Items that each user likes, ascending.
  private(set) var likes: [Int64: [Int64]] = [:]
  /// Lines with a rating.
  private(set) var count = 0

  /// - Parameters:
  ///   - path: a text of lines `user item rating timestamp` with tabs between, ids above 0; a first line of names is passed over, and so
  ///     is what follows the rating.
  ///   - minimum: the least rating that is a like.
  /// - Throws: `Failure` for a file that cannot be read, or a line that is none of these.
  init(path: String, minimum: Double) throws {
    let data: Data
    do { data = try Data(contentsOf: URL(filePath: path)) } catch { throw Failure("Cannot read \(path).") }
    var sets: [Int64: Set<Int64>] = [:]
    for (number, line) in data.split(separator: 10).enumerated() {
      let fields = line.split(separator: 9, omittingEmptySubsequences: false).map {
        String(decoding: $0.filter { $0 != 13 }, as: UTF8.self)
      }
      guard fields.count >= 3, let user = Int64(fields[0]), let item = Int64(fields[1]), let rating = Double(fields[2]), user > 0, item > 0,
        rating.isFinite
      else {
        if number == 0, fields.count >= 3, Int64(fields[0]) == nil { continue }
        throw Failure("Line \(number + 1) of \(path) is not 'user item rating timestamp' with tabs between.")
      }
      count += 1
      if rating >= minimum { sets[user, default: []].insert(item) }
    }
    likes = sets.mapValues { $0.sorted() }
  }

  /// One user's likes, parted.
  struct Part {
    let known: [Int64]
    let heldOut: Set<Int64>
  }

  /// Holds out a share of the likes of every user with five or more, at least one: which, the seed and the user decide.
  func parted(percent: Int, seed: UInt64) -> [Int64: Part] {
    likes.reduce(into: [:]) { parts, entry in
      let (user, items) = entry
      guard items.count >= 5 else {
        parts[user] = Part(known: items, heldOut: [])
        return
      }
      var mixed = SplitMix64(seed: UInt64(bitPattern: user))
      var random = SplitMix64(seed: seed ^ mixed.next())
      let heldOut = Set(items.shuffled(using: &random).prefix(max(1, items.count * percent / 100)))
      parts[user] = Part(known: items.filter { !heldOut.contains($0) }, heldOut: heldOut)
    }
  }
}
