// The worker: accepts the web server's connections on the pool's socket, keeps them, and answers the requests that come over
// them, many at once. It knows nothing of what is answered.

import CLinux
import EventLoop
import Glibc

/// A FastCGI responder on the event loop (FastCGI 1.0, section 6.2).
@Worker
public final class Responder: TurnEnder {
  public struct Limits: Sendable {
    /// Requests handled at once. With so many the worker takes no more; the pool's other workers do. Only a request that has arrived
    /// whole takes a place.
    public var requestsInFlight = 32
    /// Requests that have come in part. With one more the worker drops the one that has been on its way for longest.
    public var partialRequests = 64
    /// The longest request body, in bytes.
    public var bodyLength = 16 << 20
    /// How long an incomplete request, or the peer in the middle of one, is waited for.
    public var receiveTimeout = Duration.seconds(5)
    /// How long after `drain()` connections are kept that the web server does not close.
    public var drainTimeout = Duration.seconds(30)
    public init() {}
  }

  public typealias Handler = @Worker @Sendable (Request) async -> Response

  private let listeningSocket: Int32
  private let limits: Limits
  private let handler: Handler
  private var connections: [Int32: Connection] = [:]
  private var inFlight = 0
  /// Connections with a part of a request, which is going to be handled here and nowhere else. The first has waited for longest.
  private var arriving: [Connection] = []
  /// Connections with a request that waits for the limit.
  private var waiting: [Connection] = []
  /// Answered in this turn of the loop. They are written together at its end: the web server is woken once and finds them all,
  /// instead of being woken, and put to sleep again, for each.
  private var finished: [(Connection, Response)] = []
  private var accepting = false
  /// Runs while the worker leaves new connections to others.
  private var hesitation: TimerID?
  private var draining = false
  private var drained: UnsafeContinuation<Void, Never>?
  /// What has just arrived somewhere.
  private var arrived = [UInt8](repeating: 0, count: 64 << 10)

  /// - Parameter listeningSocket: bound and listening; descriptor 0 as spawn-fcgi passes it (FastCGI 1.0, section 2.2).
  public init(listeningSocket: Int32 = 0, limits: Limits = Limits(), handler: @escaping Handler) {
    self.listeningSocket = listeningSocket
    self.limits = limits
    self.handler = handler
    _ = fcntl(listeningSocket, F_SETFL, fcntl(listeningSocket, F_GETFL) | O_NONBLOCK)
  }

  public func start() { updateAccepting() }

  /// Takes no new connection, serves the kept ones until the web server closes them, and returns.
  ///
  /// It is the web server that closes: if this side did, a request already on its way would be lost.
  public func drain() async {
    draining = true
    updateAccepting()
    guard !connections.isEmpty else { return }
    let limit = Loop.shared.after(limits.drainTimeout) { [self] in
      for connection in Array(connections.values) where !connection.isBusy { drop(connection) }
      drained?.resume()
      drained = nil
    }
    await withUnsafeContinuation { drained = $0 }
    Loop.shared.cancel(limit)
  }

  // MARK: Connections

  private func updateAccepting() {
    let wanted = !draining && inFlight < limits.requestsInFlight
    guard wanted != accepting else { return }
    accepting = wanted
    if wanted { listen() } else { stopListening() }
  }

  /// Waits for a connection, as the last of those who do.
  ///
  /// If what is arriving is about to take the last places, another worker had better have the next connection. So this one looks
  /// away, but only for a moment: who sends half a request takes nobody's place.
  private func listen() {
    stopListening()
    if inFlight + arriving.count >= limits.requestsInFlight {
      hesitation = Loop.shared.after(Self.moment) { [self] in acceptWaiting() }
    } else {
      Loop.shared.watch(listeningSocket, [.readable, .exclusive]) { [self] _ in _ = accept() }
    }
  }

  /// Longer than the web server takes to hand over a request that it has, and too short for anybody to notice.
  private static let moment = Duration.milliseconds(20)

  private func stopListening() {
    Loop.shared.unwatch(listeningSocket)
    if let hesitation { Loop.shared.cancel(hesitation) }
    hesitation = nil
  }

  /// Takes the connections that no other worker has taken: all of them, or those who send half a request would make a queue after all.
  private func acceptWaiting() {
    hesitation = nil
    while accepting, accept() {}
    if accepting { listen() }
  }

  /// One connection a time: the others are for the other workers of the pool.
  ///
  /// - Returns: whether there was one.
  private func accept() -> Bool {
    let descriptor = Glibc.accept(listeningSocket, nil, nil)
    guard descriptor >= 0 else {
      if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) { pauseAccepting() }
      return false
    }
    // Of the workers that sleep the kernel wakes the one that has waited at the socket for longest, and would always wake the same:
    // connections are kept, so it would have nearly all of them. This one goes to the end of the queue.
    listen()
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    // libfcgi reads and writes with blocking calls. It only reads what has arrived; while it writes more than the socket takes, the
    // peer may not stand still for longer than this.
    let (seconds, attoseconds) = limits.receiveTimeout.components
    var timeout = timeval(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    let connection = Connection(Exchange(descriptor: descriptor))
    connections[descriptor] = connection
    Loop.shared.watch(descriptor, [.readable, .hangup, .edgeTriggered]) { [self] readiness in
      // The last request of a peer and its hanging up may be reported together.
      connection.changedMeanwhile = connection.isBusy || !readiness.isDisjoint(with: .hangup)
      if !connection.isBusy { take(connection) }
    }
    // What has come along with the connection counts before another is accepted.
    take(connection)
    return true
  }

  /// Without descriptors or memory for a connection the socket stays readable, and the loop would do nothing but look at it.
  private func pauseAccepting() {
    Loop.shared.unwatch(listeningSocket)
    Loop.shared.after(.milliseconds(100)) { [self] in if accepting { listen() } }
  }

  /// Looks at what has arrived, and starts the request once it is whole.
  private func take(_ connection: Connection) {
    guard inFlight < limits.requestsInFlight else {
      // Nobody looks whether the rest of a request comes before this worker can.
      connection.cancelTimer()
      if !connection.isWaiting {
        connection.isWaiting = true
        waiting.append(connection)
      }
      return
    }
    if let spool = connection.spool { return fill(spool, from: connection) }
    let count = recv(connection.descriptor, &arrived, arrived.count, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    if count < 0, errno == EAGAIN { return }
    guard count > 0 else { return drop(connection) }
    var scanner = RecordScanner()
    switch scanner.scan(arrived[..<count]) {
    case .malformed: drop(connection)
    case .complete: begin(connection)
    case .partial where count < arrived.count: awaitRest(connection)
    case .partial:
      guard let spool = Spool(bodyLimit: limits.bodyLength) else { return drop(connection) }
      connection.spool = spool
      fill(spool, from: connection)
    }
  }

  /// Takes what has arrived of a large request out of the socket.
  private func fill(_ spool: Spool, from connection: Connection) {
    connection.cancelTimer()
    while true {
      let count = recv(connection.descriptor, &arrived, arrived.count, Int32(MSG_DONTWAIT))
      if count < 0, errno == EAGAIN { return awaitRest(connection) }
      guard count > 0 else { return drop(connection) }
      switch spool.append(arrived[..<count]) {
      case .malformed: return drop(connection)
      case .complete: return begin(connection)
      case .partial: continue
      }
    }
  }

  /// Part of a request is there: the rest has to come soon.
  private func awaitRest(_ connection: Connection) {
    if !connection.isArriving {
      connection.isArriving = true
      arriving.append(connection)
      if arriving.count > limits.partialRequests { drop(arriving[0]) }
      if accepting { listen() }
    }
    guard connection.partialTimer == nil else { return }
    connection.partialTimer = Loop.shared.after(limits.receiveTimeout) { [self] in drop(connection) }
  }

  /// All of the request is there, or the rest of it will never be.
  private func endArrival(_ connection: Connection) {
    guard connection.isArriving else { return }
    connection.isArriving = false
    arriving.removeAll { $0 === connection }
    if accepting, hesitation != nil { listen() }
  }

  private func begin(_ connection: Connection) {
    connection.cancelTimer()
    let request = connection.exchange.read(from: connection.spool, limit: limits.bodyLength)
    connection.spool = nil
    guard let request else { return drop(connection) }
    connection.isBusy = true
    inFlight += 1
    endArrival(connection)
    updateAccepting()
    Loop.start { [self] in
      let response = await handler(request)
      end(connection, response)
    }
  }

  private func end(_ connection: Connection, _ response: Response) {
    if finished.isEmpty { Loop.shared.atEndOfTurn(self) }
    finished.append((connection, response))
  }

  public func endTurn() {
    let answers = finished
    finished.removeAll(keepingCapacity: true)
    for (connection, response) in answers { send(response, over: connection) }
    while inFlight < limits.requestsInFlight, !waiting.isEmpty {
      let next = waiting.removeFirst()
      next.isWaiting = false
      if connections[next.descriptor] === next { take(next) }
    }
    updateAccepting()
  }

  private func send(_ response: Response, over connection: Connection) {
    let isOpen = connection.exchange.finish(response)
    connection.isBusy = false
    inFlight -= 1
    if !isOpen {
      // libfcgi has closed the descriptor.
      forget(connection)
    } else if connection.changedMeanwhile {
      connection.changedMeanwhile = false
      take(connection)
    }
  }

  private func drop(_ connection: Connection) {
    connection.cancelTimer()
    Loop.shared.unwatch(connection.descriptor)
    forget(connection)
  }

  private func forget(_ connection: Connection) {
    guard connections[connection.descriptor] === connection else { return }
    Loop.shared.unwatch(connection.descriptor)
    connections[connection.descriptor] = nil
    endArrival(connection)
    if draining, connections.isEmpty {
      drained?.resume()
      drained = nil
    }
  }
}

/// A kept connection and where it stands.
@Worker
private final class Connection {
  let exchange: Exchange
  /// Being answered.
  var isBusy = false
  /// Part of a request has come.
  var isArriving = false
  /// Has a request, but the worker is at its limit.
  var isWaiting = false
  /// Something arrived, or the peer closed, while it was being answered: edge-triggered, so it is not reported again.
  var changedMeanwhile = false
  /// The large request that is coming.
  var spool: Spool?
  var partialTimer: TimerID?

  var descriptor: Int32 { exchange.descriptor }

  init(_ exchange: Exchange) { self.exchange = exchange }

  func cancelTimer() {
    if let partialTimer { Loop.shared.cancel(partialTimer) }
    partialTimer = nil
  }
}
