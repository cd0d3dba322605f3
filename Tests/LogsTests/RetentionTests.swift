import Logs
import Testing

@Suite("how long logs are kept")
struct RetentionTests {
  static let day = 86_400
  static let now = 1000 * day
  /// Of 1 MB each, so many days old.
  static func files(_ ages: [Int]) -> [LogFile] {
    ages.map { LogFile(path: "\($0)", bytes: 1_000_000, modified: now - $0 * day) }
  }

  @Test("files that are too old go, however little there is")
  func age() {
    let retention = Retention(total: 1_000_000_000, days: 30)
    #expect(retention.superfluous(Self.files([1, 31, 30, 40]), current: [], now: Self.now).map(\.path) == ["40", "31"])
  }

  @Test("the oldest of all logs go until the others fit together with the present files as if those were full")
  func size() {
    let retention = Retention(total: 16_000_000, days: 30)
    #expect(retention.fileLimit == 250_000)
    let files = Self.files(Array(0..<20))
    let gone = retention.superfluous(files.shuffled(), current: [0, 10, 100_000, 250_000], now: Self.now)
    #expect(gone.map(\.path) == ["19", "18", "17", "16", "15"])
    #expect(retention.superfluous(files, current: [16_000_000], now: Self.now).count == 20)
  }

  @Test("no present file is longer than a sixty-fourth of all, or ten megabytes")
  func fileLimit() {
    #expect(Retention(total: 100_000_000, days: 1).fileLimit == 1_562_500)
    #expect(Retention(total: 1_000_000_000_000, days: 1).fileLimit == 10_000_000)
  }

  @Test("a file ends with its day")
  func days() {
    #expect(Retention.endsDay(modified: 5 * Self.day - 1, now: 5 * Self.day))
    #expect(!Retention.endsDay(modified: 5 * Self.day, now: 6 * Self.day - 1))
  }
}
