// `chatty recommendations evaluate`: how good recommendations are, by ratings that somebody has collected.

import ArgumentParser
import FoundationEssentials
import LikeIndex

extension RecommendationsCommand {
  struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measures recommendations on a file of ratings, beside recommending what is popular.",
      discussion: """
        FILE has lines 'user item rating timestamp' with tabs between. Of each user with five likes or more some are held out, and \
        recommendations made from the rest by the index and the search that the service uses: it counts how many of those that were held out \
        are found. It needs no stack.
        """)

    @Argument(help: "The file of ratings.")
    var file: String

    @Option(help: "Numbers of neighbours to try, with commas between.")
    var neighbours = "3,10,20,50,100"

    @Option(help: "How many items are recommended.")
    var at = 10

    @Option(help: "d in n/(n+d), by which the similarity of users with n likes in common is multiplied.")
    var damping = 0

    @Option(help: "The least rating that is a like.")
    var minimum = 4.0

    @Option(help: "The share of likes that is held out, in percent.")
    var heldOut = 20

    @Option(help: "Users that are tested at most.")
    var users = 10_000

    @Option(help: "Decides which likes are held out and which users tested: the same with the same seed.")
    var seed: UInt64 = 1

    private var counts: [Int]? {
      let numbers = neighbours.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      return numbers.allSatisfy { (1...10_000).contains($0 ?? 0) } ? numbers.compactMap { $0 } : nil
    }

    func validate() throws {
      if counts?.isEmpty != false { throw ValidationError("--neighbours takes whole numbers above 0 with commas between.") }
      if !(1...1_000).contains(at) { throw ValidationError("--at takes 1 to 1000.") }
      if !(0...1_000).contains(damping) { throw ValidationError("--damping takes 0 to 1000.") }
      if !(1...90).contains(heldOut) { throw ValidationError("--held-out takes 1 to 90.") }
      if users < 1 { throw ValidationError("--users takes a number above 0.") }
    }

    func run() throws {
      let ratings = try Ratings(path: file, minimum: minimum)
      let parts = ratings.parted(percent: heldOut, seed: seed)
      var random = SplitMix64(seed: seed)
      let tested = parts.filter { !$0.value.heldOut.isEmpty }.keys.sorted().shuffled(using: &random).prefix(users).sorted()
      guard !tested.isEmpty else { throw Failure("Nobody in \(file) likes five items or more.") }
      let graph = try Self.graph(of: parts)
      let likes = ratings.likes.values.reduce(0) { $0 + $1.count }
      print(
        """
        \(ratings.count) ratings, of which \(likes) are likes, by \(ratings.likes.count) users; \
        \(tested.count) users tested on \(heldOut) % of theirs, seed \(seed)

        """)
      print(Score.title(at: at))

      let evaluation = Evaluation(graph: graph, parts: parts, at: at, damping: damping)
      let scores = evaluation.scores(of: tested, neighbours: counts ?? [])
      print(scores.popular.line("most popular"))
      for (count, score) in zip(counts ?? [], scores.byNeighbours) { print(score.line("\(count) neighbour\(count == 1 ? "" : "s")")) }
    }

    /// The index of what is known, in a folder that is gone again when it has been mapped.
    private static func graph(of parts: [Int64: Ratings.Part]) throws -> LikeGraph {
      let folder = FileManager.default.temporaryDirectory.appending(path: "chatty-evaluate-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let path = folder.appending(path: "index").path
      let builder = try IndexBuilder(path: path)
      var items: Set<Int64> = []
      for (user, part) in parts {
        builder.add(user: user)
        for item in part.known { try builder.add(likeBy: user, of: item) }
        items.formUnion(part.known)
      }
      // Nobody in the file has written them.
      for item in items { builder.add(visiblePost: item, by: -1) }
      _ = try builder.finish(.init(xmin: 0, xmax: 0, walPosition: 0, takenAt: 0, changes: 0))
      return try IndexVerifier.open(path: path)
    }
  }
}
