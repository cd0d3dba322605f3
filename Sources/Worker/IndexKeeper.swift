// Keeps the index of likes up to date, as a job beside the outbox.

import EventLoop
import Glibc
import LikeIndex
import Logging
import Postgres
import ServiceKit

/// Looks from time to time whether a new index is due, and has it built by `chatty recommendations build`.
///
/// That is a process of its own: it may read for as long as it takes without a mail waiting for it, uses another core, gives its memory
/// back, and whatever happens to it happens to nobody else. Several workers may run: builds take a lock, and each worker looks at how
/// old the index is, whoever built it.
@Worker
final class IndexKeeper: Job {
  static let interval = Duration.seconds(5)

  private let path: String
  /// Seconds, 0 for never.
  private let maximumAge: Int
  private let database: PostgresClient
  private let logger: Logger
  private var failures = 0
  /// After a failure it is not tried again before.
  private var nextAttempt = Instant.now

  init(settings: Settings, database: PostgresClient, logger: Logger) {
    path = settings.recommendationIndex
    maximumAge = settings.recommendationInterval
    self.database = database
    self.logger = logger
  }

  func work(until isStopping: @escaping @Worker () -> Bool) async {
    guard maximumAge > 0, nextAttempt <= .now, await isDue(), !isStopping() else { return }
    await build(until: isStopping)
  }

  private func isDue() async -> Bool {
    // What is wrong with an index that cannot be used says whoever would use it.
    let header = try? IndexVerifier.header(path: path)
    do throws(PostgresError) {
      guard let changes = try await database.readOne("SELECT \(LikeChanges.columns)", as: LikeChanges.self) else { return false }
      return BuildSchedule.isDue(after: header, now: changes.time, changes: changes.count, interval: maximumAge)
    } catch {
      logger.warning("index of likes: \(error)")
      return false
    }
  }

  private func build(until isStopping: @escaping @Worker () -> Bool) async {
    guard let child = ChildProcess([Self.program, "recommendations", "build"]) else {
      return failed(["reason": "\(Self.program): \(String(cString: strerror(errno)))"])
    }
    Loop.start {
      while !child.isOver, !isStopping() { await Loop.shared.sleep(.milliseconds(100)) }
      child.terminate()
    }
    let (status, output) = await child.end()
    let line = output.split(separator: "\n").joined(separator: " ")
    if status == 0 {
      failures = 0
      logger.info("index of likes built", metadata: ["output": "\(line)"])
    } else if status != EX_TEMPFAIL, !isStopping() {
      // Not when somebody else builds, nor when it was ended.
      failed(["status": "\(status)", "output": "\(line)"])
    }
  }

  private func failed(_ metadata: Logger.Metadata) {
    failures += 1
    nextAttempt = Instant.now.advanced(by: .seconds(BuildSchedule.pause(afterFailures: failures)))
    logger.error("index of likes not built", metadata: metadata)
  }

  /// `chatty`, which is where this executable is.
  private static var program: String {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = max(readlink("/proc/self/exe", &path, path.count), 0)
    let executable = String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return "\(executable[..<(executable.lastIndex(of: "/") ?? executable.startIndex)])/chatty"
  }
}
