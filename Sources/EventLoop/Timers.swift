// The loop's timers: a list sorted by due time. A worker has a handful, so a list is the fastest structure.

import Glibc

public struct TimerID: Hashable, Sendable {
  fileprivate let number: UInt64
}

/// Milliseconds of the monotonic clock.
public struct Instant: Comparable, Sendable {
  public let milliseconds: Int64

  public static var now: Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }

  public func advanced(by duration: Duration) -> Instant {
    let (seconds, attoseconds) = duration.components
    return Instant(milliseconds: milliseconds + seconds * 1000 + attoseconds / 1_000_000_000_000_000)
  }

  public static func < (a: Instant, b: Instant) -> Bool { a.milliseconds < b.milliseconds }
}

struct Timers {
  private struct Entry {
    let id: TimerID
    let due: Instant
    let action: @Worker () -> Void
  }

  /// Latest first, so that the next one due is removed from the end.
  private var entries: [Entry] = []
  private var lastNumber: UInt64 = 0

  mutating func add(at due: Instant, _ action: @escaping @Worker () -> Void) -> TimerID {
    lastNumber += 1
    let id = TimerID(number: lastNumber)
    let place = entries.firstIndex { $0.due <= due } ?? entries.endIndex
    entries.insert(Entry(id: id, due: due, action: action), at: place)
    return id
  }

  mutating func remove(_ id: TimerID) {
    if let place = entries.firstIndex(where: { $0.id == id }) { entries.remove(at: place) }
  }

  /// For `epoll_wait(2)`: -1 when there is nothing to wait for. Rounded up, so that a timer is due when the wait ends.
  func millisecondsToNext(from now: Instant) -> Int32 {
    guard let next = entries.last else { return -1 }
    return Int32(clamping: max(0, next.due.milliseconds - now.milliseconds + 1))
  }

  /// The action of one timer that is due, removed; nil when none is. The caller runs it: it may add timers itself.
  mutating func takeDue(at now: Instant) -> (@Worker () -> Void)? {
    guard let next = entries.last, next.due <= now else { return nil }
    entries.removeLast()
    return next.action
  }
}
