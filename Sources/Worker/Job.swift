// What chatty-worker does: jobs side by side, none of which waits for another.

import EventLoop

/// Something that is done again and again.
@Worker
protocol Job {
  /// How long it rests when nobody calls it.
  static var interval: Duration { get }
  /// Does what there is to do, and ends early when `isStopping` says so. What fails is logged, and tried again another time.
  func work(until isStopping: @escaping @Worker () -> Bool) async
}

/// One job's days: work, rest, work. It is over when the worker stops and the job has ended what it had begun.
@Worker
final class JobLoop {
  private let job: any Job
  /// Whether there is room for what the job writes.
  private let hasRoom: @Worker () -> Bool
  private var isStopping = false
  private var wasCalled = false
  private var sleeper: UnsafeContinuation<Void, Never>?
  private var alarm: TimerID?

  /// - Parameter hasRoom: while it says no the job rests.
  init(_ job: any Job, while hasRoom: @escaping @Worker () -> Bool) {
    self.job = job
    self.hasRoom = hasRoom
  }

  func run() async {
    while !isStopping {
      wasCalled = false
      if hasRoom() { await job.work { [self] in isStopping || !hasRoom() } }
      await rest()
    }
  }

  /// Ends the rest. A call during the work counts too: what it is about may have come after the last look.
  func wake() {
    wasCalled = true
    if let alarm { Loop.shared.cancel(alarm) }
    alarm = nil
    sleeper?.resume()
    sleeper = nil
  }

  func stop() {
    isStopping = true
    wake()
  }

  private func rest() async {
    guard !isStopping, !wasCalled else { return }
    await withUnsafeContinuation { continuation in
      sleeper = continuation
      alarm = Loop.shared.after(type(of: job).interval) { [self] in wake() }
    }
  }
}
