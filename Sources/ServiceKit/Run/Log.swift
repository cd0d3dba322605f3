// Logs: one JSON object a line on standard error.

import FoundationEssentials
import Glibc
import Logging
import Synchronization

/// Writes each event as one line of JSON: `time`, `level`, `message` and the metadata as further members. A line is one
/// `write(2)`, so lines of several workers on one pipe do not mix.
///
/// Nobody waits for the log: a line that standard error does not take at once is dropped, and the next one says in `dropped` how many were.
public struct JSONLogHandler: LogHandler {
  public var metadata: Logger.Metadata = [:]
  public var logLevel: Logger.Level

  public init(level: Logger.Level) { logLevel = level }

  /// Makes every logger of the process write this way. Call it once.
  public static func bootstrap(level: Logger.Level) {
    LoggingSystem.bootstrap { _ in JSONLogHandler(level: level) }
  }

  /// Lines that were dropped since the last one that was written.
  private static let dropped = Atomic<Int>(0)
  /// Whether the last line that was written has no end.
  private static let isCut = Atomic<Bool>(false)

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    var fields: [(String, String)] = [
      ("time", Self.now()), ("level", event.level.rawValue), ("message", event.message.description), ("pid", String(getpid())),
    ]
    for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
      fields.append((key, value.description))
    }
    if let error = event.error { fields.append(("error", "\(error)")) }
    let dropped = Self.dropped.exchange(0, ordering: .relaxed)
    if dropped > 0 { fields.append(("dropped", String(dropped))) }
    var line = Self.isCut.exchange(false, ordering: .relaxed) ? "\n{" : "{"
    for (index, (key, value)) in fields.enumerated() {
      line += "\(index == 0 ? "" : ",")\(JSONText.quoted(key)):\(JSONText.quoted(value))"
    }
    line += "}\n"
    let count = write(STDERR_FILENO, line, line.utf8.count)
    guard count < line.utf8.count else { return }
    Self.dropped.add(dropped + 1, ordering: .relaxed)
    if count > 0 { Self.isCut.store(true, ordering: .relaxed) }
  }

  private static func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let epoch: Int64 = 946_684_800
    return Timestamp(microseconds: (Int64(time.tv_sec) - epoch) * 1_000_000 + Int64(time.tv_nsec) / 1000).description
  }
}
