// The event loop of a test process, on a thread of its own: in a worker it has the main thread, which here is the tests'.

import EventLoop

public enum LoopThread {
  private static let started: Void = ThreadExecutor.startThread { Loop.shared.run {} }

  /// Starts the loop if it does not run yet.
  public static func start() { started }
}

/// Runs `body` on the event loop, as a worker's code does.
public func onLoop<Value: Sendable>(_ body: @escaping @Worker @Sendable () async throws -> Value) async throws -> Value {
  try await startOnLoop(body).value
}

/// Starts `body` on the event loop, beside what else is going on there.
public func startOnLoop<Value: Sendable>(_ body: @escaping @Worker @Sendable () async throws -> Value) -> Task<Value, any Error> {
  LoopThread.start()
  return Task(executorPreference: Loop.shared) { try await body() }
}

/// Looks again and again, as long as a test may reasonably take, until something is so.
///
/// - Returns: whether it came to be.
public func eventually(isolation: isolated (any Actor)? = #isolation, _ isSo: () async throws -> Bool) async rethrows -> Bool {
  for _ in 0..<3_000 {
    if try await isSo() { return true }
    try? await Task.sleep(for: .milliseconds(20))
  }
  return false
}
