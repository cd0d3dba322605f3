// Addresses of host names, without a wait in the event loop: getaddrinfo(3) may take half a minute when no name server answers.

import EventLoop
import Glibc

/// Looks names up on threads, and remembers the last answer for each: a name server that is away takes no known database away.
@Worker
package final class HostNames {
  package typealias Answer = Result<[String], PostgresError>

  static let shared = HostNames(HostNames.lookUp)

  private let resolve: @Sendable (String) -> Answer
  private var names: [String: Name] = [:]
  /// How long a new answer is waited for if there is an earlier one.
  private static let patienceWithAnEarlierOne = Duration.seconds(1)

  private struct Name {
    /// The last answer.
    var addresses: [String] = []
    /// A thread is looking it up: one at a time.
    var isUnderWay = false
    /// The look-up under way has taken too long for somebody.
    var isOverdue = false
    var waiting: [Wait] = []
  }

  /// - Parameter resolve: gives the addresses of a name, and may block.
  package init(_ resolve: @escaping @Sendable (String) -> Answer) { self.resolve = resolve }

  /// Finds the numeric addresses of a name, one at least.
  ///
  /// - Parameters:
  ///   - patience: how long a name that has never been found is waited for.
  ///   - complete: called once, with the last answer if there is no new one in time, or if the look-up fails.
  package func addresses(of host: String, within patience: Duration, _ complete: @escaping @Worker (Answer) -> Void) {
    var name = names[host] ?? Name()
    if name.isOverdue, !name.addresses.isEmpty { return complete(.success(name.addresses)) }
    let wait = Wait(complete)
    name.waiting.append(wait)
    let isUnderWay = name.isUnderWay
    name.isUnderWay = true
    names[host] = name
    let limit = name.addresses.isEmpty ? patience : Self.patienceWithAnEarlierOne
    wait.timer = Loop.shared.after(limit) { [self] in
      names[host]?.isOverdue = true
      names[host]?.waiting.removeAll { $0 === wait }
      wait.finish(known(host) ?? .failure(PostgresError(.unavailable, "could not look up \(host): no answer within \(limit)")))
    }
    if !isUnderWay { begin(host) }
  }

  private func begin(_ host: String) {
    let isStarted = DetachedThread.start { [self, resolve] in
      let answer = resolve(host)
      Loop.start { [self] in ended(host, answer) }
    }
    if !isStarted { ended(host, .failure(PostgresError(.unavailable, "could not look up \(host): no thread"))) }
  }

  private func ended(_ host: String, _ answer: Answer) {
    guard let name = names[host] else { return }
    names[host]?.isUnderWay = false
    names[host]?.isOverdue = false
    names[host]?.waiting = []
    if case .success(let addresses) = answer, !addresses.isEmpty { names[host]?.addresses = addresses }
    for wait in name.waiting { wait.finish(known(host) ?? answer) }
  }

  private func known(_ host: String) -> Answer? {
    guard let name = names[host], !name.addresses.isEmpty else { return nil }
    return .success(name.addresses)
  }

  /// Somebody who waits for an answer.
  @Worker
  private final class Wait {
    private let complete: @Worker (Answer) -> Void
    var timer: TimerID?

    init(_ complete: @escaping @Worker (Answer) -> Void) { self.complete = complete }

    func finish(_ answer: Answer) {
      if let timer { Loop.shared.cancel(timer) }
      complete(answer)
    }
  }

  /// Asks the system, as libpq would, and blocks until it answers.
  package nonisolated static func lookUp(_ host: String) -> Answer {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let failure = getaddrinfo(host, nil, &hints, &found)
    guard failure == 0 else {
      return .failure(PostgresError(.unavailable, "could not look up \(host): \(String(cString: gai_strerror(failure)))"))
    }
    defer { freeaddrinfo(found) }
    var addresses: [String] = []
    var next = found
    while let entry = next?.pointee {
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      if getnameinfo(entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 {
        let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if !addresses.contains(address) { addresses.append(address) }
      }
      next = entry.ai_next
    }
    return .success(addresses)
  }
}
