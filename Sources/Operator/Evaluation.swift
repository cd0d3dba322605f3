// What recommendations find of the likes that were held out.

import Glibc
import LikeIndex

/// The mean, over users, of what their recommendations are worth (Manning, Raghavan and Schütze, "Introduction to Information
/// Retrieval", chapter 8).
struct Score {
  private var users = 0
  private var precision = 0.0
  private var recall = 0.0
  private var gain = 0.0
  private var hits = 0.0

  /// Takes in one user's list.
  ///
  /// - Parameters:
  ///   - list: what was recommended, the best first.
  ///   - limit: how many were asked for.
  mutating func add(_ list: [Int64], wanted: Set<Int64>, limit: Int) {
    let places = list.indices.filter { wanted.contains(list[$0]) }
    users += 1
    precision += Double(places.count) / Double(limit)
    recall += Double(places.count) / Double(wanted.count)
    gain += places.reduce(0) { $0 + Self.gain(at: $1) } / (0..<min(limit, wanted.count)).reduce(0) { $0 + Self.gain(at: $1) }
    hits += places.isEmpty ? 0 : 1
  }

  /// What a find is worth at a place, counted from 0: 1 / log₂(place + 2).
  private static func gain(at place: Int) -> Double { 1 / log2(Double(place + 2)) }

  static func title(at limit: Int) -> String {
    line("", ["precision@\(limit)", "recall@\(limit)", "NDCG@\(limit)", "hit rate"])
  }

  func line(_ name: String) -> String {
    Self.line(name, [precision, recall, gain, hits].map { ($0 / Double(max(users, 1))).shown(4) })
  }

  private static func line(_ name: String, _ columns: [String]) -> String {
    let fields = columns.map { String(repeating: " ", count: max(1, 14 - $0.utf8.count)) + $0 }
    return name + String(repeating: " ", count: max(0, 16 - name.utf8.count)) + fields.joined()
  }
}

/// Recommends as the service does, from an index of what is known.
struct Evaluation {
  let graph: LikeGraph
  let parts: [Int64: Ratings.Part]
  let at: Int
  let damping: Int

  /// - Parameter neighbours: numbers of neighbours to try.
  func scores(of users: [Int64], neighbours: [Int]) -> (popular: Score, byNeighbours: [Score]) {
    var search = NeighbourSearch()
    var popular = Score()
    var scores = neighbours.map { _ in Score() }
    for user in users {
      guard let part = parts[user] else { continue }
      let favourites = graph.popularPosts(for: user, besides: part.known, limit: 2 * at)
      popular.add(Array(favourites.prefix(at)), wanted: part.heldOut, limit: at)
      // The nearest few are the first of the nearest many.
      let nearest = search.neighbours(of: user, liking: part.known, in: graph, limit: neighbours.max() ?? 1, damping: damping)
      for (place, count) in neighbours.enumerated() {
        let list = ranking(by: nearest.prefix(count), besides: part.known) + favourites
        scores[place].add(list.firstOfEach(at), wanted: part.heldOut, limit: at)
      }
    }
    return (popular, scores)
  }

  /// What the neighbours like, by the sum of their similarities, of equals the newest first.
  private func ranking(by neighbours: ArraySlice<Neighbour>, besides known: [Int64]) -> [Int64] {
    let own = Set(known)
    var scores: [Int64: Double] = [:]
    for neighbour in neighbours {
      let similarity = neighbour.similarity(likes: known.count, damping: damping)
      for item in graph.posts(likedBy: neighbour.number) where !own.contains(item) { scores[item, default: 0] += similarity }
    }
    return scores.sorted { ($0.value, $0.key) > ($1.value, $1.key) }.prefix(at).map(\.key)
  }
}

extension [Int64] {
  /// Each number once, where it comes first, and at most so many.
  fileprivate func firstOfEach(_ limit: Int) -> [Int64] {
    var seen: Set<Int64> = []
    return Array(filter { seen.insert($0).inserted }.prefix(limit))
  }
}
