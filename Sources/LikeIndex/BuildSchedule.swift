/// When an index is to be made anew.
public enum BuildSchedule {
  /// A build may take so much of the time: the next one comes after so many times as long.
  private static let pauseFactor = 20
  /// Share of the likes that is enough, in percent.
  private static let enough = 1
  /// What was liked in the last week changes by itself.
  private static let oldest = 3_600

  /// Whether a build is due: without a good index at once; else when one in a hundred likes has changed, or anything has and the
  /// interval has passed, but not before the last one has paid off: a twelfth of the interval, and twenty times as long as it took.
  ///
  /// - Parameters:
  ///   - header: of the index in use; nil if there is none that can be used.
  ///   - now: microseconds since 1970, by the clock of `header.snapshot.takenAt`.
  ///   - changes: what is counted now, as in `header.snapshot.changes`.
  ///   - interval: seconds, above 0.
  public static func isDue(after header: IndexHeader?, now: Int64, changes: Int64, interval: Int) -> Bool {
    guard let header else { return true }
    let age = Double(now - header.snapshot.takenAt) / 1e6
    // A clock that was put back.
    if age < 0 { return true }
    guard age >= max(Double(interval) / 12, Double(header.buildTime * pauseFactor) / 1e6) else { return false }
    // Less than before: the count has begun anew.
    let changed = changes < header.snapshot.changes ? Int(changes) : Int(changes - header.snapshot.changes)
    if changed * 100 >= max(1, header.rows * enough) { return true }
    return age >= Double(interval) && changed > 0 || age >= Double(oldest) && header.rows > 0
  }

  /// Seconds to wait after so many builds in a row that failed: 30, 60, 120, … and at most an hour.
  public static func pause(afterFailures count: Int) -> Int { min(30 << min(max(count - 1, 0), 7), 3_600) }
}
