import LikeIndex
import TestSupport
import Testing

@Suite("when to build again")
struct BuildScheduleTests {
  /// The header of an index of so many likes; its build took hardly any time.
  private func header(likes: Int) throws -> IndexHeader {
    let folder = try TemporaryFolder()
    let builder = try IndexBuilder(path: "\(folder.path)/index")
    for number in 1...Int64(likes) {
      builder.add(user: number)
      try builder.add(likeBy: number, of: 1)
    }
    return try builder.finish(.init(xmin: 1, xmax: 1, walPosition: 1, takenAt: 1_000_000_000, changes: 500))
  }

  private func isDue(_ header: IndexHeader?, after seconds: Double, changes: Int64, interval: Int = 60) -> Bool {
    BuildSchedule.isDue(after: header, now: 1_000_000_000 + Int64(seconds * 1e6), changes: 500 + changes, interval: interval)
  }

  @Test("without a good index at once")
  func none() { #expect(isDue(nil, after: 0, changes: 0)) }

  @Test("after a minute if anything has changed, sooner if one in a hundred likes has, and never within seconds")
  func changes() throws {
    let header = try header(likes: 1_000)
    #expect(!isDue(header, after: 59, changes: 9))
    #expect(isDue(header, after: 60, changes: 1))
    #expect(!isDue(header, after: 3_599, changes: 0))
    #expect(isDue(header, after: 6, changes: 10))
    #expect(!isDue(header, after: 4, changes: 1_000))
    #expect(isDue(header, after: 60, changes: -499))
    #expect(!isDue(header, after: 60, changes: -500))
  }

  @Test("after an hour in any case, since the last week moves on, and when the clock was put back")
  func time() throws {
    let header = try header(likes: 1_000)
    #expect(isDue(header, after: 3_600, changes: 0))
    #expect(isDue(header, after: -10, changes: 0))
  }

  @Test("longer intervals wait longer")
  func interval() throws {
    let header = try header(likes: 1_000)
    #expect(!isDue(header, after: 49, changes: 1_000, interval: 600))
    #expect(isDue(header, after: 50, changes: 10, interval: 600))
    #expect(!isDue(header, after: 599, changes: 9, interval: 600))
    #expect(isDue(header, after: 600, changes: 9, interval: 600))
  }

  @Test("what took long comes again after twenty times as long")
  func pause() throws {
    var random = SeededGenerator(seed: 40)
    let folder = try TemporaryFolder()
    let builder = try IndexBuilder(path: "\(folder.path)/index")
    let network = Network.random(users: 10, posts: 10, likesAtMost: 9, using: &random)
    for user in network.active { builder.add(user: user) }
    for (user, post) in network.rows(using: &random) { try builder.add(likeBy: user, of: post) }
    // The time counts from the builder's beginning: this one takes half a second, so nothing is due before ten.
    let started = ContinuousClock.now
    while ContinuousClock.now - started < .milliseconds(500) {}
    let header = try builder.finish(.init(xmin: 1, xmax: 1, walPosition: 1, takenAt: 1_000_000_000, changes: 500))
    let pause = Double(header.buildTime) / 1e6 * 20
    #expect(pause >= 10)
    #expect(!isDue(header, after: pause - 0.1, changes: 1_000))
    #expect(isDue(header, after: pause + 0.1, changes: 1_000))
  }

  @Test("failures are given ever more time, up to an hour")
  func failures() {
    #expect((1...9).map { BuildSchedule.pause(afterFailures: $0) } == [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600])
  }

  @Test("one build at a time, and the next when the first has ended, however it ended")
  func lock() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/index"
    do {
      let first = try BuildLock(path: path, waiting: false)
      #expect { _ = try BuildLock(path: path, waiting: false) } throws: { ($0 as? IndexError)?.kind == .busy }
      withExtendedLifetime(first) {}
    }
    _ = try BuildLock(path: path, waiting: true)
    #expect { _ = try BuildLock(path: "\(folder.path)/nothing/index", waiting: true) } throws: { ($0 as? IndexError)?.kind == .missing }
  }
}
