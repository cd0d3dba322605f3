// The event loop of a process: epoll, timers and Swift's jobs on one thread. It knows nothing of FastCGI or PostgreSQL.

import CLinux
import Glibc
import Synchronization

/// A single-threaded event loop that is also the executor of the `Worker` actor.
///
/// It is both a `SerialExecutor` and a `TaskExecutor`: a task started with `Loop.start` prefers it, so that a continuation
/// resumed anywhere comes back to this thread and not to the global pool, where it would run while the loop is asleep.
///
/// One turn: run every job that is ready, let those who asked for it finish the turn (a database connection sends in one
/// write what all the jobs have queued), then wait in `epoll_wait(2)`.
public final class Loop: SerialExecutor, TaskExecutor, @unchecked Sendable {
  public static let shared = Loop()

  private let epoll: Int32
  /// Written to by other threads that enqueue a job while the loop sleeps.
  private let wakeup: Int32
  private let foreignJobs = Mutex<[UnownedJob]>([])

  // Below: touched by the loop's own thread only.
  private var thread: pthread_t?
  private var jobs: [UnownedJob] = []
  private var nextJob = 0
  private var watches: [Watch?] = []
  private var generation: UInt32 = 0
  private var timers = Timers()
  private var turnEnders: [any TurnEnder] = []
  private var stopped = false

  private init() {
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    wakeup = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    precondition(epoll >= 0 && wakeup >= 0, "no epoll or eventfd: \(String(cString: strerror(errno)))")
  }

  // MARK: Executor

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isCurrentThread {
      jobs.append(job)
    } else {
      foreignJobs.withLock { $0.append(job) }
      var one: UInt64 = 1
      write(wakeup, &one, MemoryLayout<UInt64>.size)
    }
  }

  public func checkIsolated() {
    precondition(isCurrentThread, "not on the event loop's thread")
  }

  private var isCurrentThread: Bool {
    guard let thread else { return false }
    return pthread_equal(thread, pthread_self()) != 0
  }

  // MARK: Life

  /// Runs the loop on the calling thread until `stop()`; `main` is its first task.
  public func run(_ main: @escaping @Worker @Sendable () async -> Void) {
    precondition(thread == nil, "a process has one event loop")
    thread = pthread_self()
    Loop.start(main)
    // The turns themselves are a job of the loop, so that the compiler knows them to be on the Worker actor.
    Loop.start { Loop.shared.turns() }
    runJobs()
  }

  /// Starts a task that stays on the loop.
  @discardableResult
  public static func start(_ body: @escaping @Worker @Sendable () async -> Void) -> Task<Void, Never> {
    Task(executorPreference: shared) { await body() }
  }

  /// Makes `run` return after the present turn.
  @Worker public func stop() { stopped = true }

  @Worker private func turns() {
    watch(wakeup, .readable) { [self] _ in
      var count: UInt64 = 0
      read(wakeup, &count, MemoryLayout<UInt64>.size)
      jobs.append(
        contentsOf: foreignJobs.withLock { waiting in
          defer { waiting.removeAll() }
          return waiting
        })
    }
    var events = [epoll_event](repeating: epoll_event(), count: 128)
    while !stopped {
      runJobs()
      endTurn()
      if stopped || nextJob < jobs.count { continue }
      let count = epoll_wait(epoll, &events, Int32(events.count), timers.millisecondsToNext(from: Instant.now))
      for event in events.prefix(Int(max(count, 0))) { dispatch(event) }
      let now = Instant.now
      while let action = timers.takeDue(at: now) { action() }
    }
  }

  private func runJobs() {
    while nextJob < jobs.count {
      let job = jobs[nextJob]
      nextJob += 1
      job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
    }
    jobs.removeAll(keepingCapacity: true)
    nextJob = 0
  }

  // MARK: Descriptors

  /// Calls `handler` when `descriptor` is ready, until `unwatch`.
  ///
  /// - Parameters:
  ///   - descriptor: an open descriptor; it stays the caller's, who unwatches it before closing it.
  ///   - interest: what to wait for (`epoll_ctl(2)`).
  @Worker public func watch(_ descriptor: Int32, _ interest: Readiness, handler: @escaping @Worker (Readiness) -> Void) {
    let index = Int(descriptor)
    while watches.count <= index { watches.append(nil) }
    generation &+= 1
    let operation = watches[index] == nil ? EPOLL_CTL_ADD : EPOLL_CTL_MOD
    watches[index] = Watch(generation: generation, handler: handler)
    control(operation, descriptor, interest, generation)
  }

  /// Changes what a watched descriptor is waited for.
  @Worker public func rewatch(_ descriptor: Int32, _ interest: Readiness) {
    guard let watch = watches[Int(descriptor)] else { return }
    control(EPOLL_CTL_MOD, descriptor, interest, watch.generation)
  }

  @Worker public func unwatch(_ descriptor: Int32) {
    guard descriptor >= 0, Int(descriptor) < watches.count, watches[Int(descriptor)] != nil else { return }
    watches[Int(descriptor)] = nil
    epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
  }

  private func control(_ operation: Int32, _ descriptor: Int32, _ interest: Readiness, _ generation: UInt32) {
    var event = epoll_event()
    event.events = interest.rawValue
    event.data.u64 = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
    guard epoll_ctl(epoll, operation, descriptor, &event) != 0 else { return }
    // A watched descriptor was closed, as a library may do, and its number is another's now: the kernel forgot the first with its
    // end.
    if operation == EPOLL_CTL_MOD { epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) }
  }

  /// The generation tells an event of a descriptor that was closed, and its number used again, within one turn.
  @Worker private func dispatch(_ event: epoll_event) {
    let index = Int(UInt32(truncatingIfNeeded: event.data.u64))
    guard index < watches.count, let watch = watches[index], watch.generation == UInt32(event.data.u64 >> 32) else { return }
    watch.handler(Readiness(rawValue: event.events))
  }

  private struct Watch {
    let generation: UInt32
    let handler: @Worker (Readiness) -> Void
  }

  // MARK: Time and turns

  /// Calls `action` once, `delay` from now, unless the timer is cancelled before.
  @Worker @discardableResult
  public func after(_ delay: Duration, _ action: @escaping @Worker () -> Void) -> TimerID {
    timers.add(at: Instant.now.advanced(by: delay), action)
  }

  @Worker public func cancel(_ timer: TimerID) { timers.remove(timer) }

  /// Suspends the calling task; the loop goes on.
  @Worker public func sleep(_ delay: Duration) async {
    await withUnsafeContinuation { continuation in after(delay) { continuation.resume() } }
  }

  /// Has `ender.endTurn()` called once, when no job of this turn can go on.
  @Worker public func atEndOfTurn(_ ender: any TurnEnder) { turnEnders.append(ender) }

  @Worker private func endTurn() {
    guard !turnEnders.isEmpty else { return }
    let enders = turnEnders
    turnEnders.removeAll(keepingCapacity: true)
    for ender in enders { ender.endTurn() }
  }
}

/// Something with work to do once per turn of the loop, however many jobs asked for it.
public protocol TurnEnder: AnyObject {
  @Worker func endTurn()
}

/// What a descriptor is waited for, or ready for: the flags of `epoll_ctl(2)`.
public struct Readiness: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let readable = Readiness(rawValue: EPOLLIN.rawValue)
  public static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
  /// The peer has closed its writing side, or all of it.
  public static let hangup = Readiness(rawValue: EPOLLRDHUP.rawValue | EPOLLHUP.rawValue)
  public static let error = Readiness(rawValue: EPOLLERR.rawValue)
  /// Reported once per change, not as long as it lasts.
  public static let edgeTriggered = Readiness(rawValue: EPOLLET.rawValue)
  /// Of the processes that watch one listening socket, wake only some.
  public static let exclusive = Readiness(rawValue: EPOLLEXCLUSIVE.rawValue)
}
