import EventLoop
import Glibc
import TestSupport
import Testing

@Suite("the event loop")
struct LoopTests {
  // MARK: Jobs

  @Test("jobs that many other threads enqueue all run, on the loop's thread")
  func foreignJobs() async throws {
    let loopThread = try await onLoop { pthread_self() }
    let runs = try await onLoop { Counter() }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<2_000 {
        group.addTask {
          await Loop.start {
            if pthread_equal(pthread_self(), loopThread) != 0 { runs.count += 1 }
          }.value
        }
      }
    }
    #expect(try await onLoop { runs.count } == 2_000)
  }

  @Test("a sleeping loop is woken by a job of another thread")
  func wakeup() async throws {
    for _ in 0..<50 {
      try await Task.sleep(for: .milliseconds(2))
      #expect(try await onLoop { 7 } == 7)
    }
  }

  @Test("a task comes back to the loop's thread after whatever it awaited")
  func staysOnTheLoop() async throws {
    let threads = try await onLoop {
      let own = pthread_self()
      var isOwn: [Bool] = []
      func look() { isOwn.append(pthread_equal(own, pthread_self()) != 0) }
      await Loop.shared.sleep(.milliseconds(1))
      look()
      await Task.yield()
      look()
      _ = await Task.detached { 1 }.value
      look()
      await nonisolatedWork()
      look()
      await withCheckedContinuation { continuation in
        ThreadStarter.start { continuation.resume() }
      }
      look()
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<4 { group.addTask { await nonisolatedWork() } }
      }
      look()
      return isOwn
    }
    #expect(threads == Array(repeating: true, count: 6))
  }

  @Test("what a task calls without isolation runs on the loop's thread too")
  func executorPreference() async throws {
    let isOwn = try await onLoop {
      let own = pthread_self()
      let other = await currentThread()
      return pthread_equal(own, other) != 0
    }
    #expect(isOwn)
  }

  @Test("code that is on the loop's thread may assume the isolation")
  func assumption() async throws {
    #expect(try await onLoop { assumingTheWorker() })
  }

  @Test("a turn ends once, after every job that was ready, and again when it is asked for again")
  func turnEnd() async throws {
    let order = try await onLoop {
      let ender = Ender()
      let tasks = (0..<3).map { number in
        Loop.start {
          ender.note("job \(number)")
          if number == 0 { Loop.shared.atEndOfTurn(ender) }
          await Task.yield()
          ender.note("rest of \(number)")
        }
      }
      for task in tasks { await task.value }
      await ender.ended(times: 1)
      Loop.shared.atEndOfTurn(ender)
      await ender.ended(times: 2)
      return ender.notes
    }
    #expect(order == ["job 0", "job 1", "job 2", "rest of 0", "rest of 1", "rest of 2", "end", "end"])
  }

  // MARK: Timers

  @Test("timers fire in the order of their due times, and those of one time in the order in which they were set")
  func timerOrder() async throws {
    let order = try await onLoop {
      let fired = Recorder()
      Loop.shared.after(.milliseconds(400)) { fired.append(6) }
      Loop.shared.after(.milliseconds(100)) { fired.append(2) }
      for number in [30, 31, 32] { Loop.shared.after(.milliseconds(250)) { fired.append(number) } }
      Loop.shared.after(.zero) { fired.append(0) }
      Loop.shared.after(.seconds(-60)) { fired.append(-1) }
      await Loop.shared.sleep(.milliseconds(500))
      return fired.values
    }
    #expect(order == [-1, 0, 2, 30, 31, 32, 6])
  }

  @Test("a timer does not fire early")
  func notEarly() async throws {
    for milliseconds in [1, 7, 30] {
      let waited = try await onLoop {
        let start = ContinuousClock.now
        await Loop.shared.sleep(.milliseconds(milliseconds))
        return ContinuousClock.now - start
      }
      // The loop's clock counts whole milliseconds.
      #expect(waited > .milliseconds(milliseconds - 1))
    }
  }

  @Test("a cancelled timer does not fire, even if another of the same turn cancels it; cancelling twice does nothing")
  func cancel() async throws {
    let fired = try await onLoop {
      let fired = Recorder()
      let first = Loop.shared.after(.milliseconds(10)) { fired.append(1) }
      Loop.shared.cancel(first)
      Loop.shared.cancel(first)
      let later = Later()
      Loop.shared.after(.milliseconds(10)) {
        fired.append(2)
        if let timer = later.timer { Loop.shared.cancel(timer) }
      }
      later.timer = Loop.shared.after(.milliseconds(10)) { fired.append(3) }
      Loop.shared.after(.milliseconds(10)) { fired.append(4) }
      await Loop.shared.sleep(.milliseconds(30))
      return fired.values
    }
    #expect(fired == [2, 4])
  }

  @Test("a timer may set another, also one that is due at once")
  func timerInTimer() async throws {
    let fired = try await onLoop {
      let fired = Recorder()
      await withCheckedContinuation { continuation in
        Loop.shared.after(.zero) {
          fired.append(1)
          Loop.shared.after(.zero) {
            fired.append(2)
            continuation.resume()
          }
        }
      }
      return fired.values
    }
    #expect(fired == [1, 2])
  }

  // MARK: Descriptors

  @Test("a watched descriptor is told of as long as something is to be read")
  func levelTriggered() async throws {
    let reads = try await onLoop {
      let pipe = try Pipe()
      pipe.write(3)
      let reads = Recorder()
      await withCheckedContinuation { continuation in
        Loop.shared.watch(pipe.readEnd, .readable) { readiness in
          guard readiness.contains(.readable) else { return }
          reads.append(Int(pipe.readByte()))
          if reads.values.count == 3 { continuation.resume() }
        }
      }
      Loop.shared.unwatch(pipe.readEnd)
      return reads.values
    }
    #expect(reads == [1, 1, 1])
  }

  @Test("an edge-triggered one is told of once for each arrival")
  func edgeTriggered() async throws {
    let calls = try await onLoop {
      let pipe = try Pipe()
      pipe.write(3)
      let calls = Recorder()
      Loop.shared.watch(pipe.readEnd, [.readable, .edgeTriggered]) { _ in calls.append(1) }
      _ = await eventually { calls.values.count == 1 }
      await Loop.shared.sleep(.milliseconds(20))
      let before = calls.values.count
      pipe.write(1)
      _ = await eventually { calls.values.count == 2 }
      Loop.shared.unwatch(pipe.readEnd)
      return [before, calls.values.count]
    }
    #expect(calls == [1, 2])
  }

  @Test("after unwatch nothing is told, although there is something to read; unwatching again, or what was never watched, does nothing")
  func unwatch() async throws {
    let calls = try await onLoop {
      let pipe = try Pipe()
      let calls = Recorder()
      Loop.shared.watch(pipe.readEnd, .readable) { _ in calls.append(1) }
      Loop.shared.unwatch(pipe.readEnd)
      Loop.shared.unwatch(pipe.readEnd)
      Loop.shared.unwatch(pipe.writeEnd)
      Loop.shared.unwatch(-1)
      Loop.shared.unwatch(100_000)
      pipe.write(1)
      await Loop.shared.sleep(.milliseconds(20))
      return calls.values
    }
    #expect(calls.isEmpty)
  }

  @Test("rewatch changes what is waited for, and keeps the handler")
  func rewatch() async throws {
    let seen = try await onLoop {
      let pair = try SocketPair()
      let seen = Recorder()
      Loop.shared.watch(pair.first, .readable) { readiness in
        seen.append(readiness.contains(.writable) ? 1 : 0)
        Loop.shared.rewatch(pair.first, .readable)
      }
      await Loop.shared.sleep(.milliseconds(10))
      let before = seen.values.count
      Loop.shared.rewatch(pair.first, [.readable, .writable])
      _ = await eventually { seen.values.count == 1 }
      Loop.shared.unwatch(pair.first)
      return [before] + seen.values
    }
    #expect(seen == [0, 1])
  }

  @Test("the peer's hanging up is told")
  func hangup() async throws {
    let readiness = try await onLoop {
      let pair = try SocketPair()
      return await withCheckedContinuation { continuation in
        Loop.shared.watch(pair.first, [.readable, .hangup, .edgeTriggered]) { readiness in
          Loop.shared.unwatch(pair.first)
          continuation.resume(returning: readiness)
        }
        pair.closeSecond()
      }
    }
    #expect(!readiness.isDisjoint(with: .hangup))
  }

  @Test("an event of a descriptor that was closed in the same turn is not told to the next that has its number")
  func reusedNumber() async throws {
    // Both are ready in one turn. Whichever is told first closes the other and opens a new one, which gets its number.
    let wrongCalls = try await onLoop {
      var wrongCalls = 0
      for _ in 0..<50 {
        let pairs = [try SocketPair(), try SocketPair()]
        let calls = Recorder()
        var replacement: SocketPair?
        await withCheckedContinuation { continuation in
          for index in 0..<2 {
            Loop.shared.watch(pairs[index].first, .readable) { _ in
              guard replacement == nil else { return calls.append(index) }
              let other = pairs[1 - index].first
              Loop.shared.unwatch(pairs[index].first)
              Loop.shared.unwatch(other)
              replacement = try? SocketPair(replacing: pairs[1 - index])
              Loop.shared.watch(other, .readable) { _ in calls.append(99) }
              continuation.resume()
            }
          }
          for pair in pairs { pair.writeToFirst() }
        }
        await Loop.shared.sleep(.milliseconds(2))
        wrongCalls += calls.values.count
        if let replacement { Loop.shared.unwatch(replacement.first) }
      }
      return wrongCalls
    }
    #expect(wrongCalls == 0)
  }

  @Test(
    "a descriptor that was closed without being unwatched does not keep the next one of its number from being watched",
    arguments: [[.readable, .edgeTriggered], [.readable, .exclusive]] as [Readiness])
  func closedByALibrary(interest: Readiness) async throws {
    let calls = try await onLoop {
      let pair = try SocketPair()
      let number = pair.first
      Loop.shared.watch(number, .readable) { _ in }
      let next = try SocketPair(replacing: pair)
      let calls = Recorder()
      Loop.shared.watch(number, interest) { _ in
        calls.append(1)
        Loop.shared.unwatch(number)
      }
      next.writeToFirst()
      _ = await eventually { calls.values.count == 1 }
      Loop.shared.unwatch(number)
      return calls.values
    }
    #expect(calls == [1])
  }

  @Test("more descriptors than one wait can tell of are all told of")
  func manyDescriptors() async throws {
    let told = try await onLoop {
      let pipes = try (0..<300).map { _ in try Pipe() }
      let told = Recorder()
      for (index, pipe) in pipes.enumerated() {
        Loop.shared.watch(pipe.readEnd, [.readable, .edgeTriggered]) { _ in told.append(index) }
        pipe.write(1)
      }
      _ = await eventually { told.values.count >= 300 }
      for pipe in pipes { Loop.shared.unwatch(pipe.readEnd) }
      return told.values.sorted()
    }
    #expect(told == Array(0..<300))
  }
}

// MARK: -

private nonisolated func assumingTheWorker() -> Bool { Worker.shared.assumeIsolated { _ in true } }

private nonisolated func nonisolatedWork() async { await Task.yield() }

private nonisolated func currentThread() async -> pthread_t {
  await Task.yield()
  return pthread_self()
}

/// A thread, started from the loop.
private enum ThreadStarter {
  static func start(_ body: @escaping @Sendable () -> Void) {
    Task.detached { body() }
  }
}

@Worker
private final class Counter {
  var count = 0
}

/// A timer that is set after another that knows of it.
@Worker
private final class Later {
  var timer: TimerID?
}

@Worker
private final class Recorder {
  private(set) var values: [Int] = []
  func append(_ value: Int) { values.append(value) }
}

@Worker
private final class Ender: TurnEnder {
  private(set) var notes: [String] = []
  private var ends = 0

  func note(_ text: String) { notes.append(text) }

  func endTurn() {
    ends += 1
    notes.append("end")
  }

  func ended(times: Int) async {
    while ends < times { await Loop.shared.sleep(.milliseconds(1)) }
  }
}

@Worker
private final class Pipe {
  let readEnd: Int32
  let writeEnd: Int32

  init() throws {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw TestError("no pipe") }
    (readEnd, writeEnd) = (ends[0], ends[1])
  }

  deinit {
    close(readEnd)
    close(writeEnd)
  }

  func write(_ count: Int) {
    let bytes = [UInt8](repeating: 1, count: count)
    _ = Glibc.write(writeEnd, bytes, count)
  }

  func readByte() -> UInt8 {
    var byte: UInt8 = 0
    _ = Glibc.read(readEnd, &byte, 1)
    return byte
  }
}

@Worker
private final class SocketPair {
  let first: Int32
  private let second: Int32
  private var firstIsOpen = true
  private var secondIsOpen = true

  init() throws { (first, second) = try Self.make() }

  /// A pair whose first end gets the number of another's, which is closed by that: in one step, so that no other thread can get
  /// the number in between.
  init(replacing other: SocketPair) throws {
    let ends = try Self.make()
    dup2(ends.0, other.first)
    close(ends.0)
    (first, second) = (other.first, ends.1)
    other.firstIsOpen = false
  }

  private static func make() throws -> (Int32, Int32) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else { throw TestError("no sockets") }
    return (ends[0], ends[1])
  }

  isolated deinit {
    if firstIsOpen { close(first) }
    closeSecond()
  }

  func closeSecond() {
    if secondIsOpen { close(second) }
    secondIsOpen = false
  }

  func writeToFirst() {
    var byte: UInt8 = 1
    _ = write(second, &byte, 1)
  }
}
