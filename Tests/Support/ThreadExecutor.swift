// Threads for what blocks. Tests run on Swift's cooperative pool, which has as many threads as the machine has cores: a test that
// blocked one would stand in the way of all the others.

import Glibc

/// Runs an actor's jobs one after another on a thread that nobody else uses, so that they may block.
public final class ThreadExecutor: SerialExecutor, @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  // Below: under the mutex.
  private var jobs: [UnownedJob] = []
  private var isStopped = false

  public init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
    Self.startThread { self.runJobs() }
  }

  deinit {
    pthread_mutex_destroy(mutex)
    pthread_cond_destroy(condition)
    mutex.deallocate()
    condition.deallocate()
  }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    pthread_mutex_lock(mutex)
    jobs.append(job)
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  /// Ends the thread once its jobs are done.
  public func stop() {
    pthread_mutex_lock(mutex)
    isStopped = true
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  private func runJobs() {
    while let job = nextJob() { job.runSynchronously(on: asUnownedSerialExecutor()) }
  }

  private func nextJob() -> UnownedJob? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while jobs.isEmpty {
      if isStopped { return nil }
      pthread_cond_wait(condition, mutex)
    }
    return jobs.removeFirst()
  }

  /// Runs `body` on a new thread.
  static func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Body {
      let run: @Sendable () -> Void
      init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    var thread = pthread_t()
    let pointer = Unmanaged.passRetained(Body(body)).toOpaque()
    let status = pthread_create(
      &thread, nil,
      { pointer in
        guard let pointer else { return nil }
        Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run()
        return nil
      }, pointer)
    precondition(status == 0, "no thread: \(String(cString: strerror(status)))")
    pthread_detach(thread)
  }
}

/// Runs something that blocks on a thread of its own.
public func onOwnThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    ThreadExecutor.startThread { continuation.resume(with: Result(catching: body)) }
  }
}
