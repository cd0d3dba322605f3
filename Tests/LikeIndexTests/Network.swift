// Small networks of users and likes, and the definition of neighbours as it reads, without an index.

import LikeIndex
import TestSupport

/// Users, posts and who likes what. Ids are scattered, so that no test passes because ids are numbers from 0.
struct Network {
  var active: Set<Int64> = []
  var likes: [Int64: Set<Int64>] = [:]
  var recent: [Int64: Int64] = [:]
  var authors: [Int64: Int64] = [:]

  /// A random one: some users who like nothing, some who like the same, some who are not active, some posts nobody likes.
  static func random(users: Int, posts: Int, likesAtMost: Int, using random: inout some RandomNumberGenerator) -> Network {
    var network = Network()
    let postIDs = ids(posts, using: &random)
    let userIDs = ids(users, using: &random)
    for user in userIDs {
      if Int.random(in: 0..<10, using: &random) > 0 { network.active.insert(user) }
      let like = Int.random(in: 0..<4, using: &random)
      if like == 0, let twin = network.likes.keys.sorted().randomElement(using: &random) {
        network.likes[user] = network.likes[twin]
      } else {
        let count = Int.random(in: 0...min(likesAtMost, posts), using: &random)
        network.likes[user] = Set(postIDs.shuffled(using: &random).prefix(count))
      }
    }
    for post in postIDs {
      network.recent[post] = Int64.random(in: 0...3, using: &random)
      if Bool.random(using: &random) { network.authors[post] = userIDs.randomElement(using: &random) }
    }
    return network
  }

  private static func ids(_ count: Int, using random: inout some RandomNumberGenerator) -> [Int64] {
    var ids: Set<Int64> = []
    while ids.count < count { ids.insert(Int64.random(in: 1...(.random(in: 0..<5, using: &random) == 0 ? .max : 1_000), using: &random)) }
    return ids.sorted()
  }

  /// Every like, in random order.
  func rows(using random: inout some RandomNumberGenerator) -> [(user: Int64, post: Int64)] {
    likes.sorted { $0.key < $1.key }.flatMap { user, posts in posts.sorted().map { (user, $0) } }.shuffled(using: &random)
  }

  /// Builds its index.
  @discardableResult
  func build(in path: String, blockSize: Int = 1 << 23, using random: inout some RandomNumberGenerator) throws -> IndexHeader {
    let builder = try IndexBuilder(path: path, blockSize: blockSize)
    for user in active.sorted().shuffled(using: &random) { builder.add(user: user) }
    for (user, post) in rows(using: &random) { try builder.add(likeBy: user, of: post) }
    for (post, count) in recent.sorted(by: { $0.key < $1.key }) where count > 0 { builder.add(recentLikes: count, of: post) }
    for (post, author) in authors.sorted(by: { $0.key < $1.key }) { builder.add(visiblePost: post, by: author) }
    return try builder.finish(Self.snapshot)
  }

  static let snapshot = IndexHeader.Snapshot(
    xmin: 700, xmax: 1 << 40, walPosition: 0x16_B374_D848, takenAt: 1_700_000_000_000_000, changes: -5)

  /// The definition: similarity n / √(|A|·|B|), damped by n / (n + d); ties to the larger overlap, then the lower id.
  func neighbours(of user: Int64, liking liked: Set<Int64>, limit: Int, damping: Int) -> [(user: Int64, common: Int, total: Int)] {
    var found: [(user: Int64, common: Int, total: Int, key: Double)] = []
    for (other, theirs) in likes where other != user && active.contains(other) {
      let common = liked.intersection(theirs).count
      guard common > 0 else { continue }
      let weight = Double(common) / Double(common + damping)
      found.append((other, common, theirs.count, Double(common * common) / Double(theirs.count) * weight * weight))
    }
    found.sort { a, b in a.key != b.key ? a.key > b.key : a.common != b.common ? a.common > b.common : a.user < b.user }
    return found.prefix(limit).map { ($0.user, $0.common, $0.total) }
  }
}
