// The index of likes that this worker answers with, and how it goes over to the next one.

import EventLoop
import LikeIndex
import Logging
import ServiceKit

/// Holds the mapped index. Without a good one there is none, and the service answers by SQL.
@Worker
final class IndexInUse {
  private let path: String
  private let logger: Logger
  private var graph: LikeGraph?
  /// The version of the file that was looked at last: it is in use, being verified, or was refused.
  private var seen: FileIdentity?
  private var isVerifying = false
  private var search = NeighbourSearch()

  /// Maps the index that there is, and verifies it before anybody waits for an answer.
  init(_ settings: Settings) {
    path = settings.recommendationIndex
    var logger = Logger(label: "chatty")
    logger[metadataKey: "service"] = "\(settings.pool)"
    self.logger = logger
    seen = FileIdentity(path: path)
    do throws(IndexError) { take(try IndexVerifier.open(path: path)) } catch { refuse(error) }
  }

  /// The index to answer the next request with. A new one is verified first: a small one at once, a large one a step a turn, beside the
  /// requests.
  func current() -> LikeGraph? {
    let found = FileIdentity(path: path)
    guard found != seen, !isVerifying else { return graph }
    seen = found
    // Whoever writes into the file that is mapped has spoilt what is in use.
    if let found, graph?.identity.isSameFile(as: found) == true { graph = nil }
    do throws(IndexError) {
      var verifier = try IndexVerifier(path: path)
      if let next = try verifier.next() { take(next) } else { goOn(with: verifier) }
    } catch {
      refuse(error)
    }
    return graph
  }

  private func goOn(with verifier: IndexVerifier) {
    isVerifying = true
    Loop.start { [self] in
      do throws(IndexError) { take(try await verified(by: verifier)) } catch { refuse(error) }
      isVerifying = false
    }
  }

  private func verified(by verifier: IndexVerifier) async throws(IndexError) -> LikeGraph {
    var verifier = verifier
    while true {
      await Loop.shared.sleep(.zero)
      if let graph = try verifier.next() { return graph }
    }
  }

  private func take(_ graph: LikeGraph) {
    self.graph = graph
    // It may be a newer one than was seen.
    seen = graph.identity
    logger.info("index of likes in use", metadata: ["likes": "\(graph.header.likes)", "users": "\(graph.header.users)"])
  }

  private func refuse(_ error: IndexError) {
    graph = nil
    if error.kind == .missing {
      logger.info("no index of likes: answering by SQL")
    } else {
      logger.warning("index of likes refused, answering by SQL", metadata: ["file": "\(path)", "reason": "\(error)"])
    }
  }

  /// The users most similar to the caller, the most similar first.
  ///
  /// - Parameter liked: ids of all that the caller likes.
  func neighbours(of caller: Caller, liking liked: [Int64], in graph: LikeGraph, limit: Int, damping: Int) -> [Int64] {
    search.neighbours(of: caller.userID, liking: liked, in: graph, limit: limit, damping: damping).map(\.userID)
  }
}
