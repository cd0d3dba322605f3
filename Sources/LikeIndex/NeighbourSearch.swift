// The users whose likes are most like somebody's: exact, and without reading every list.
//
// With A and B what two users like and n = |A∩B|, their similarity is n / √(|A|·|B|), times n / (n + d) where overlaps are damped by
// d. Of two users with the same A the one with the higher key n²/|B| · (n / (n + d))² is the more similar. Every bound here is one of that:
//
// - A user whose counted overlap is c while r lists are still to be counted has at most n = min(c + r, |B|). With t the key of the last
//   of the best found so far, whoever cannot reach it is out, and one not met yet (c = 0) as much as any other.
// - As n ≤ |B| and n ≤ |A|, the key is at most |B| and at most |A|²/|B|: only users with t ≤ |B| ≤ |A|²/t can reach t. Users are numbered
//   by |B|, so they are a range, and in each list a range too: most entries of the long lists are of users who like very much, and whoever
//   likes little need not look at them.
//
// Lists are counted rarest first. From time to time the best so far are looked at exactly, which raises t; as soon as the users who
// can still reach it have fewer entries in lists of their own than there are left to count, those are gone through instead.

/// A user similar to another.
public struct Neighbour: Equatable, Sendable {
  public let userID: Int64
  /// Likes in common.
  public let common: Int
  /// Likes of this user, in the index.
  public let total: Int
  /// The number of this user in the index.
  public let number: Int
  /// By which neighbours are ordered.
  let key: Double

  /// The similarity, from 0 to 1, in 40 binary digits, as in the definition: sums are exact.
  ///
  /// - Parameter likes: how much the other likes.
  public func similarity(likes: Int, damping: Int) -> Double {
    let damped = Double(common) / (Double(common) + Double(damping))
    let similarity = Double(common) / (Double(likes) * Double(total)).squareRoot() * damped
    return (similarity * 0x1p40).rounded(.toNearestOrEven) * 0x1p-40
  }
}

/// Searches neighbours. It keeps its memory, 4 bytes a user of the index and a bit a post, from search to search.
public struct NeighbourSearch {
  /// What a search has cost.
  public struct Effort: Equatable, Sendable {
    /// Entries in the lists of all that the user likes: what a search without bounds would count.
    public var entries = 0
    /// Entries that were read, of lists of posts and of users.
    public var read = 0
  }

  private var counts: [UInt32] = []
  private var isLiked: [UInt64] = []
  public private(set) var effort = Effort()

  public init() {}

  /// The users most similar to somebody, the most similar first; of equals the one with more likes in common, then with the lower id.
  ///
  /// - Parameters:
  ///   - user: who is not to be found.
  ///   - likes: all that they like, by id, each once, whether the index has it or not.
  ///   - limit: neighbours at most.
  ///   - damping: d above, 0 or more.
  /// - Returns: only users with a like in common.
  public mutating func neighbours(of user: Int64, liking likes: [Int64], in graph: LikeGraph, limit: Int, damping: Int) -> [Neighbour] {
    let posts = likes.compactMap { graph.number(ofPost: $0) }.map { (post: $0, length: graph.list(ofPost: $0).count) }
      .filter { $0.length > 0 }.sorted { $0.length < $1.length }
    effort = Effort()
    effort.entries = posts.reduce(0) { $0 + $1.length }
    guard !posts.isEmpty, limit > 0 else { return [] }

    prepare(for: graph)
    defer { for (post, _) in posts { isLiked[post >> 6] = 0 } }
    for (post, _) in posts { isLiked[post >> 6] |= 1 << UInt64(post & 63) }

    var ranking = Ranking(user: user, limit: limit, damping: Double(damping))
    var users = 0..<graph.header.users
    var left = effort.entries
    var nextLook = users.count / 2
    // What the last of the best has at least. Of the best that are looked at one time some may be missing the next.
    var bar = 0.0
    for (index, (post, length)) in posts.enumerated() {
      let list = graph.list(ofPost: post, users: users)
      count(list, of: graph)
      effort.read += list.count
      left -= length
      let listsLeft = posts.count - index - 1
      guard effort.read >= nextLook, listsLeft > 0 else { continue }

      look(at: users, of: graph, for: &ranking, reading: left / 4)
      bar = max(bar, ranking.bound.bar)
      users = users.clamped(to: range(of: graph, reaching: bar, lists: posts.count))
      let bound = Bound(damping: Double(damping), bar: bar)
      if entries(ofThoseIn: users, of: graph, within: bound, listsLeft, below: left) < left {
        return settled(users, of: graph, within: bound, listsLeft, ranking.emptied())
      }
      nextLook = effort.read + max(effort.read / 2, users.count / 2)
    }
    ranking = ranking.emptied()
    collect(users, of: graph, &ranking)
    return ranking.best
  }

  private mutating func prepare(for graph: LikeGraph) {
    if counts.count == graph.header.users {
      for index in counts.indices { counts[index] = 0 }
    } else {
      counts = [UInt32](repeating: 0, count: graph.header.users)
    }
    let words = graph.header.posts / 64 + 1
    if isLiked.count < words { isLiked = [UInt64](repeating: 0, count: words) }
  }

  private mutating func count(_ list: Range<Int>, of graph: LikeGraph) {
    var counts = counts.mutableSpan
    graph.postLists.withSpan(list) { list in
      for index in list.indices { counts[Int(list[index])] &+= 1 }
    }
  }

  /// The overlap with one user, from the user's own list.
  private mutating func overlap(with user: Int, of graph: LikeGraph) -> Int {
    let list = graph.list(ofUser: user)
    effort.read += list.count
    let isLiked = isLiked.span
    return graph.userLists.withSpan(list) { list in
      var common: UInt64 = 0
      for index in list.indices { common &+= isLiked[Int(list[index] >> 6)] >> UInt64(list[index] & 63) & 1 }
      return Int(common)
    }
  }

  /// The users who can have a key of `bar` by the number of their likes alone.
  private func range(of graph: LikeGraph, reaching bar: Double, lists: Int) -> Range<Int> {
    let most = Double(lists) * Double(lists) / bar * Bound.slack
    return graph.firstUser(withLikes: bar / Bound.slack)..<graph.firstUser(withLikes: most.nextUp)
  }

  // MARK: Looking

  /// Makes a ranking of what has been counted so far, which is the least that it can become, and puts the exact overlaps of its best in
  /// the place of that unless it takes reading more than `limit` entries.
  private mutating func look(at users: Range<Int>, of graph: LikeGraph, for ranking: inout Ranking, reading limit: Int) {
    ranking = ranking.emptied()
    collect(users, of: graph, &ranking)
    let counted = ranking.best
    guard counted.reduce(0, { $0 + $1.total }) <= limit else { return }
    ranking = ranking.emptied()
    for found in counted {
      ranking.offer(found.number, common: overlap(with: found.number, of: graph), total: found.total, of: graph)
    }
  }

  /// Offers all users with what has been counted.
  private func collect(_ users: Range<Int>, of graph: LikeGraph, _ ranking: inout Ranking) {
    let counts = counts.span
    graph.forEachSize(in: users) { total, users in
      var least = ranking.bound.leastOverlap(total: total)
      for user in users where counts[user] >= least {
        ranking.offer(user, common: Int(counts[user]), total: total, of: graph)
        least = ranking.bound.leastOverlap(total: total)
      }
      return true
    }
  }

  /// Entries in the own lists of those who can still reach the bar; what it costs to turn to one counts as some. They are added up no
  /// further than about `limit`.
  private func entries(ofThoseIn users: Range<Int>, of graph: LikeGraph, within bound: Bound, _ listsLeft: Int, below limit: Int) -> Int {
    let counts = counts.span
    var entries = 0
    graph.forEachSize(in: users) { total, users in
      guard let least = bound.leastCount(total: total, listsLeft: listsLeft) else { return true }
      var found = 0
      for user in users { found += counts[user] >= least ? 1 : 0 }
      entries += found * (total + 64)
      return entries < limit
    }
    return entries
  }

  /// The best by the own lists of all who can reach the bar, which rises meanwhile.
  private mutating func settled(
    _ users: Range<Int>, of graph: LikeGraph, within bound: Bound, _ listsLeft: Int, _ ranking: Ranking
  ) -> [Neighbour] {
    var (bound, ranking) = (bound, ranking)
    graph.forEachSize(in: users) { total, users in
      for user in users {
        guard let least = bound.leastCount(total: total, listsLeft: listsLeft) else { break }
        guard counts[user] >= least else { continue }
        ranking.offer(user, common: overlap(with: user, of: graph), total: total, of: graph)
        bound.bar = max(bound.bar, ranking.bound.bar)
      }
      return true
    }
    return ranking.best
  }
}

/// What it takes to be among the best.
private struct Bound {
  /// A bound is computed in other steps than the key, and may be rounded to the other side.
  static let slack = 1 + 1e-9

  let damping: Double
  /// The key that has to be reached. Without a like in common nobody has one above 0.
  var bar = Double.leastNormalMagnitude

  /// Likes in common that somebody with so many likes needs at least, 1 or more: n in n · n / (n + d) ≥ √(bar · |B|).
  func leastOverlap(total: Int) -> UInt32 {
    let root = (bar * Double(total)).squareRoot()
    let least = damping == 0 ? root : (root + (root * root + 4 * root * damping).squareRoot()) / 2
    return UInt32(max(1, min((least / Self.slack).rounded(.up), Double(UInt32.max))))
  }

  /// Likes in common that somebody with so many likes needs to have been counted, with lists left that each may bring one more; nil if no
  /// number will do.
  func leastCount(total: Int, listsLeft: Int) -> UInt32? {
    let least = Int(leastOverlap(total: total))
    return least > total ? nil : UInt32(max(0, least - listsLeft))
  }
}

/// The best found so far, in order.
private struct Ranking {
  let user: Int64
  let limit: Int
  private(set) var best: [Neighbour] = []
  /// What has to be reached to be among them.
  private(set) var bound: Bound

  init(user: Int64, limit: Int, damping: Double) {
    self.user = user
    self.limit = limit
    bound = Bound(damping: damping)
  }

  func emptied() -> Ranking { Ranking(user: user, limit: limit, damping: bound.damping) }

  /// Takes somebody in, if they are better than the last of the best.
  mutating func offer(_ number: Int, common: Int, total: Int, of graph: LikeGraph) {
    let key = Self.key(common: common, total: total, damping: bound.damping)
    guard key >= bound.bar else { return }
    let id = graph.id(ofUser: number)
    guard id != user else { return }
    let new = Neighbour(userID: id, common: common, total: total, number: number, key: key)
    let place = best.firstIndex { Self.isBefore(new, $0) } ?? best.count
    guard place < limit else { return }
    if best.count == limit { best.removeLast() }
    best.insert(new, at: place)
    if best.count == limit { bound.bar = best[limit - 1].key }
  }

  private static func isBefore(_ a: Neighbour, _ b: Neighbour) -> Bool {
    if a.key != b.key { return a.key > b.key }
    if a.common != b.common { return a.common > b.common }
    return a.userID < b.userID
  }

  /// The square of the similarity but for |A|, in the same steps as in the definition in SQL: equals are equal to the last bit.
  @inline(__always)
  private static func key(common: Int, total: Int, damping: Double) -> Double {
    let key = Double(common * common) / Double(total)
    if damping == 0 { return key }
    let weight = Double(common) / (Double(common) + damping)
    return key * weight * weight
  }
}
