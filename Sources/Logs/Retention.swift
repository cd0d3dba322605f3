// Which of the old files of a stack's logs are to go. Pure.

/// A file of one of the logs.
public struct LogFile: Equatable, Sendable {
  public let path: String
  public let bytes: Int
  /// When it was last written to, in seconds since 1970.
  public let modified: Int

  public init(path: String, bytes: Int, modified: Int) {
    self.path = path
    self.bytes = bytes
    self.modified = modified
  }
}

/// How long logs are kept, and how much of them: of all the logs of a stack together.
public struct Retention: Sendable {
  /// In bytes.
  public let total: Int
  public let days: Int

  public init(total: Int, days: Int) {
    self.total = total
    self.days = days
  }

  /// The length at which a log begins a new file, in bytes: small enough that the files that are being written take a part of the room only.
  public var fileLimit: Int { min(max(total / 64, 1 << 16), 10_000_000) }

  /// The files that are to go: those that are too old, and then the oldest of all until the others fit, with every log's present file
  /// counted as if it was full.
  ///
  /// - Parameters:
  ///   - old: files that nobody writes to any more, of all logs.
  ///   - current: the lengths of those that are written to.
  ///   - now: in seconds since 1970.
  public func superfluous(_ old: [LogFile], current: [Int], now: Int) -> [LogFile] {
    let oldest = old.sorted { ($0.modified, $0.path) < ($1.modified, $1.path) }
    var room = total - current.reduce(0) { $0 + max($1, fileLimit) }
    var kept = 0
    for file in oldest.reversed() {
      room -= file.bytes
      if room < 0 || file.modified < now - days * 86_400 { break }
      kept += 1
    }
    return Array(oldest.dropLast(kept))
  }

  /// Whether a file has to end before something is written at this time: it holds the lines of one day (UTC), so that none is kept longer.
  public static func endsDay(modified: Int, now: Int) -> Bool { modified / 86_400 != now / 86_400 }
}
