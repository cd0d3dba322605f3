// Threads beside the loop, for calls of libraries that block and cannot do otherwise.

import Glibc

public enum DetachedThread {
  /// Runs `body` on a thread of its own, which ends with it.
  ///
  /// - Returns: false if the system gives no thread: `body` is not run then.
  public static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
    let run = Unmanaged.passRetained(Run(body))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Run>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, run.toOpaque())
    guard failure == 0 else {
      run.release()
      return false
    }
    pthread_detach(thread)
    return true
  }

  private final class Run: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
