import Foundation
import LikeIndex
import TestSupport
import Testing

/// What a builder writes, read back.
@Suite("building an index")
struct IndexBuilderTests {
  @Test("lists hold what was added, whatever the order and the size of a block", arguments: [1, 3, 50, 1 << 20])
  func lists(blockSize: Int) throws {
    var random = SeededGenerator(seed: 10)
    let folder = try TemporaryFolder()
    for _ in 0..<50 {
      let network = Network.random(users: 40, posts: 30, likesAtMost: 15, using: &random)
      let header = try network.build(in: "\(folder.path)/index", blockSize: blockSize, using: &random)
      let graph = try IndexVerifier.open(path: "\(folder.path)/index")
      let counted = network.likes.filter { network.active.contains($0.key) && !$0.value.isEmpty }
      #expect(graph.header.users == counted.count)
      #expect(graph.header.likes == counted.values.reduce(0) { $0 + $1.count })
      #expect(graph.header.rows == network.likes.values.reduce(0) { $0 + $1.count })
      #expect(graph.header == header)
      #expect(graph.header.snapshot == Network.snapshot)
      var found: [Int64: Set<Int64>] = [:]
      for user in 0..<graph.header.users {
        let posts = graph.posts(likedBy: user)
        #expect(posts == posts.sorted())
        found[graph.id(ofUser: user)] = Set(posts)
      }
      #expect(found == counted)
    }
  }

  @Test("the same likes make the same file, in whichever order they come")
  func sameBytes() throws {
    var random = SeededGenerator(seed: 11)
    let folder = try TemporaryFolder()
    let network = Network.random(users: 60, posts: 40, likesAtMost: 20, using: &random)
    try network.build(in: "\(folder.path)/a", using: &random)
    try network.build(in: "\(folder.path)/b", blockSize: 7, using: &random)
    // After the header, which has the time that it took.
    let (a, b) = (try Data(contentsOf: URL(filePath: "\(folder.path)/a")), try Data(contentsOf: URL(filePath: "\(folder.path)/b")))
    #expect(a.dropFirst(136) == b.dropFirst(136))
    #expect(a.count > 136)
  }

  @Test("popular posts are those of the week, then all, of equals the newest first; neither hidden, nor own, nor liked")
  func popularPosts() throws {
    var random = SeededGenerator(seed: 12)
    let folder = try TemporaryFolder()
    for _ in 0..<200 {
      let network = Network.random(users: 12, posts: 20, likesAtMost: 10, using: &random)
      try network.build(in: "\(folder.path)/index", using: &random)
      let graph = try IndexVerifier.open(path: "\(folder.path)/index")
      var likes: [Int64: Int64] = [:]
      for (_, post) in network.rows(using: &random) { likes[post, default: 0] += 1 }
      for (reader, liked) in network.likes {
        let visible = network.authors.filter { $0.value != reader && !liked.contains($0.key) && likes[$0.key] != nil }.keys
        let weekly = visible.filter { network.recent[$0, default: 0] > 0 }
          .sorted { (network.recent[$0, default: 0], $0) > (network.recent[$1, default: 0], $1) }
        let rest = visible.filter { network.recent[$0, default: 0] == 0 }
          .sorted { (likes[$0, default: 0], $0) > (likes[$1, default: 0], $1) }
        #expect(graph.popularPosts(for: reader, besides: liked.sorted(), limit: 100) == weekly + rest)
        #expect(graph.popularPosts(for: reader, besides: liked.sorted(), limit: 3) == Array((weekly + rest).prefix(3)))
      }
    }
  }

  @Test("nothing is left beside the index, and only its group may read it")
  func files() throws {
    var random = SeededGenerator(seed: 13)
    let folder = try TemporaryFolder()
    try Network.random(users: 10, posts: 10, likesAtMost: 5, using: &random).build(in: "\(folder.path)/index", using: &random)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["index"])
    let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder.path)/index")
    #expect(attributes[.posixPermissions] as? Int == 0o640)
  }

  @Test("an index that is being read stays as it was while another takes its place")
  func replacement() throws {
    var random = SeededGenerator(seed: 14)
    let folder = try TemporaryFolder()
    let (first, second) = (
      Network.random(users: 30, posts: 20, likesAtMost: 9, using: &random),
      Network.random(users: 50, posts: 20, likesAtMost: 9, using: &random)
    )
    try first.build(in: "\(folder.path)/index", using: &random)
    let graph = try IndexVerifier.open(path: "\(folder.path)/index")
    let lists = (0..<graph.header.users).map { graph.posts(likedBy: $0) }
    try second.build(in: "\(folder.path)/index", using: &random)
    #expect((0..<graph.header.users).map { graph.posts(likedBy: $0) } == lists)
    #expect(FileIdentity(path: "\(folder.path)/index") != graph.identity)
    #expect(try IndexVerifier.open(path: "\(folder.path)/index").identity == FileIdentity(path: "\(folder.path)/index"))
  }

  @Test("a folder that cannot be written to is an error")
  func noFolder() {
    #expect { try IndexBuilder(path: "/nonexistent/index") } throws: { ($0 as? IndexError)?.kind == .missing }
  }
}
