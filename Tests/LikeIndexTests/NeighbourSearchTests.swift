import LikeIndex
import TestSupport
import Testing

/// The search beside the definition.
@Suite("search for neighbours")
struct NeighbourSearchTests {
  private func check(
    _ network: Network, _ graph: LikeGraph, _ search: inout NeighbourSearch, user: Int64, liking liked: Set<Int64>, limit: Int, damping: Int
  ) {
    let expected = network.neighbours(of: user, liking: liked, limit: limit, damping: damping)
    let found = search.neighbours(of: user, liking: liked.sorted(), in: graph, limit: limit, damping: damping)
    #expect(
      found.map { [$0.userID, Int64($0.common), Int64($0.total)] } == expected.map { [$0.user, Int64($0.common), Int64($0.total)] },
      "user \(user), \(limit) neighbours, damped by \(damping)")
  }

  @Test("thousands of small networks give the neighbours of the definition, in its order")
  func smallNetworks() throws {
    var random = SeededGenerator(seed: 1)
    let folder = try TemporaryFolder()
    var search = NeighbourSearch()
    for _ in 0..<2_000 {
      let network = Network.random(
        users: .random(in: 1...12, using: &random), posts: .random(in: 1...10, using: &random), likesAtMost: 10, using: &random)
      try network.build(in: "\(folder.path)/index", using: &random)
      let graph = try IndexVerifier.open(path: "\(folder.path)/index")
      for (user, liked) in network.likes {
        check(network, graph, &search, user: user, liking: liked, limit: .random(in: 1...4, using: &random), damping: 0)
        check(network, graph, &search, user: user, liking: liked, limit: 3, damping: .random(in: 1...5, using: &random))
      }
    }
  }

  @Test("so do networks that are large enough for lists to be left out, with less effort", arguments: [0, 3])
  func largerNetworks(damping: Int) throws {
    var random = SeededGenerator(seed: 2)
    let folder = try TemporaryFolder()
    var search = NeighbourSearch()
    var (read, entries) = (0, 0)
    for round in 0..<10 {
      let network = Network.random(users: 400, posts: 150, likesAtMost: round % 2 == 0 ? 150 : 12, using: &random)
      try network.build(in: "\(folder.path)/index", using: &random)
      let graph = try IndexVerifier.open(path: "\(folder.path)/index")
      for (user, liked) in network.likes {
        check(network, graph, &search, user: user, liking: liked, limit: [20, 500][Int(user % 2)], damping: damping)
        check(network, graph, &search, user: user, liking: liked, limit: [1, 3][Int(user % 2)], damping: damping)
        read += search.effort.read
        entries += search.effort.entries
      }
    }
    #expect(Double(read) < 0.8 * Double(entries))
  }

  @Test("likes that are newer than the index count: those that it has, and those that it has not")
  func freshLikes() throws {
    var random = SeededGenerator(seed: 3)
    let folder = try TemporaryFolder()
    var search = NeighbourSearch()
    for _ in 0..<300 {
      let network = Network.random(users: 10, posts: 12, likesAtMost: 8, using: &random)
      try network.build(in: "\(folder.path)/index", using: &random)
      let graph = try IndexVerifier.open(path: "\(folder.path)/index")
      let all = network.likes.values.reduce(into: Set<Int64>()) { $0.formUnion($1) }
      // Half of what anybody likes, and a post that nobody does.
      let liked = Set(all.filter { _ in Bool.random(using: &random) }).union([Int64.max - 1])
      check(network, graph, &search, user: 0, liking: liked, limit: 3, damping: 0)
      if let user = network.active.sorted().first { check(network, graph, &search, user: user, liking: liked, limit: 3, damping: 0) }
    }
  }

  @Test("one search serves indexes of different sizes")
  func changingIndex() throws {
    var random = SeededGenerator(seed: 4)
    let folder = try TemporaryFolder()
    var search = NeighbourSearch()
    for posts in [300, 5, 130, 64, 65, 1, 200] {
      let network = Network.random(users: posts, posts: posts, likesAtMost: 20, using: &random)
      try network.build(in: "\(folder.path)/index", using: &random)
      let graph = try IndexVerifier.open(path: "\(folder.path)/index")
      for (user, liked) in network.likes { check(network, graph, &search, user: user, liking: liked, limit: 3, damping: 0) }
    }
  }

  @Test("nobody is near to somebody who likes nothing, or in an empty index")
  func nobody() throws {
    var random = SeededGenerator(seed: 5)
    let folder = try TemporaryFolder()
    var search = NeighbourSearch()
    try Network().build(in: "\(folder.path)/index", using: &random)
    let empty = try IndexVerifier.open(path: "\(folder.path)/index")
    #expect(search.neighbours(of: 1, liking: [1, 2], in: empty, limit: 3, damping: 0).isEmpty)
    #expect(empty.popularPosts(for: 1, besides: [], limit: 5).isEmpty)
    let network = Network.random(users: 10, posts: 10, likesAtMost: 10, using: &random)
    try network.build(in: "\(folder.path)/index", using: &random)
    let graph = try IndexVerifier.open(path: "\(folder.path)/index")
    #expect(search.neighbours(of: 1, liking: [], in: graph, limit: 3, damping: 0).isEmpty)
  }
}
