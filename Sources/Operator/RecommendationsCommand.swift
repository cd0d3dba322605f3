// `chatty recommendations`: the index of likes that recommendations are drawn from.

import ArgumentParser
import Glibc
import LikeIndex
import Postgres
import ServiceKit

struct RecommendationsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recommendations", abstract: "The index of likes that recommendations are drawn from.",
    subcommands: [Build.self, Inspect.self, Evaluate.self])

  struct Build: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Builds the index from the database, and has the service use it.",
      discussion: """
        chatty-worker does that by itself (CHATTY_RECOMMENDATION_INTERVAL). Ends with status 75 while another build is at work.
        """)

    @Flag(help: "Wait for another build that is at work, and build afterwards.")
    var wait = false

    func run() throws {
      let settings = operatorSettings()
      do {
        let header = try IndexBuild.run(settings, waiting: wait)
        print("Indexed \(header.likes) likes by \(header.users) users in \(header.buildTime / 1000) ms: \(header.fileSize) bytes.")
      } catch let error as IndexError where error.kind == .busy {
        let line = "Another build is at work.\n"
        write(STDERR_FILENO, line, line.utf8.count)
        throw ExitCode(EX_TEMPFAIL)
      } catch let error as IndexError {
        throw Failure("The index was not built: \(error).")
      } catch let error as PostgresError {
        throw Failure("The index was not built: \(error).")
      }
    }
  }

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Shows what the index holds, and verifies it.", discussion: "Ends with status 1 if the service would not use it.")

    @Argument(help: "The file. Default: the one of this stack.")
    var file: String?

    @Option(help: "Search neighbours for so many random users and the hundred who like most, and say what that takes.")
    var sample: Int?

    func run() throws {
      let path = file ?? operatorSettings().recommendationIndex
      do throws(IndexError) {
        print(try IndexVerifier.header(path: path).report(of: path))
        let graph = try IndexVerifier.open(path: path)
        print("verified   every checksum and list")
        if let sample, graph.header.users > 0 { graph.measure(sample) }
      } catch {
        throw Failure("The index \(path) cannot be used: \(error).")
      }
    }
  }
}

extension IndexHeader {
  fileprivate func report(of path: String) -> String {
    let epoch: Int64 = 946_684_800_000_000
    let half = snapshot.walPosition >> 32
    return """
      file       \(path), \(fileSize) bytes, format \(Self.version)
      likes      \(likes) by \(users) active users, of \(rows) in all
      posts      \(posts), of which \(popular) are visible
      snapshot   \(Timestamp(microseconds: snapshot.takenAt - epoch)), transactions \(snapshot.xmin) to \(snapshot.xmax), \
      WAL \(String(half, radix: 16, uppercase: true))/\(String(snapshot.walPosition & 0xFFFF_FFFF, radix: 16, uppercase: true))
      build      \(buildTime / 1000) ms
      """
  }
}

extension LikeGraph {
  /// Searches the neighbours of some users, as many as the service does by default, and prints what it has taken.
  fileprivate func measure(_ sample: Int) {
    var random = SplitMix64(seed: 1)
    let some = (0..<max(sample, 1)).map { _ in Int.random(in: 0..<header.users, using: &random) }
    for (who, users) in [("random", some), ("heaviest", Array(max(0, header.users - 100)..<header.users))] {
      var search = NeighbourSearch()
      var (times, entries, read): ([Double], Int, Int) = ([], 0, 0)
      for user in users {
        let liked = posts(likedBy: user)
        let started = ContinuousClock.now
        _ = search.neighbours(of: id(ofUser: user), liking: liked, in: self, limit: 5, damping: 0)
        times.append((ContinuousClock.now - started) / .milliseconds(1))
        entries += search.effort.entries
        read += search.effort.read
      }
      times.sort()
      let (median, slow) = (times[times.count / 2].shown(2), times[times.count * 99 / 100].shown(2))
      print(
        "search     \(users.count) \(who) users: p50 \(median) ms, p99 \(slow) ms, \((100 * Double(read) / Double(entries)).shown(1)) % of the entries read"
      )
    }
  }
}
