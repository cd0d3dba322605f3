// One connection to PostgreSQL in pipeline mode, on the event loop (libpq, chapters "Pipeline Mode" and "Asynchronous Command
// Processing"). Many statements are in flight at once, and an error is nobody else's.
//
// A statement that changes something is followed by its own sync, and so is a transaction of its own. The reads of one turn of the
// loop share a sync: they are one transaction, one message to the server and one back, which makes them half as fast again as
// with a sync each. If one of them fails, the server passes over those after it, and they are sent again, each by itself.

import CPostgres
import EventLoop

@Worker
final class Connection: TurnEnder {
  private enum State {
    /// Not connected; a statement makes it connect.
    case closed
    case connecting
    case ready
    /// The last attempt failed; until the timer fires there is no other.
    case backingOff
  }

  private let settings: ConnectionSettings
  private let events: ConnectionEvents
  private var state = State.closed
  private var handle: Handle?
  /// The socket that the loop watches. libpq closes it by itself when the server hangs up, and does not know it any more then.
  private var watched: Int32?
  private var sender: StatementSender

  /// Waiting for the connection to be made.
  private var waiting: [Statement] = []
  private var pipeline = Pipeline()
  /// Statements that share a sync: so many wait for the slowest among them.
  private static let sharedLimit = 8

  private var failedAttempts = 0
  private var dialer: Dialer?
  private var watchdogArmed = false
  private var turnEndRequested = false
  private var waitsForWritability = false

  /// Taken by a transaction: the pool gives it to nobody else.
  var reserved = false
  /// Counts the sessions that this connection has had: a transaction belongs to one.
  private(set) var session = 0
  /// Whether the connection is made again by itself after it was lost.
  var keepsOpen = false
  /// Sent first on every new connection.
  private var greeting: Query?

  init(settings: ConnectionSettings, events: ConnectionEvents) {
    self.settings = settings
    self.events = events
    sender = StatementSender(prepares: settings.preparesStatements)
  }

  /// Statements that have no result yet.
  var load: Int { pipeline.count + waiting.count }
  private var errorMessage: String { handle?.errorMessage ?? "closed" }
  var isOpen: Bool { if case .ready = state { true } else { false } }
  /// A statement would be refused: the last attempt to connect has just failed.
  var isBackingOff: Bool { if case .backingOff = state { true } else { false } }
  /// Every statement's transaction has ended.
  var isBetweenTransactions: Bool { PQtransactionStatus(handle?.pointer) == PQTRANS_IDLE }

  // MARK: Statements

  func submit(_ statement: Statement) {
    switch state {
    case .ready:
      send(statement)
    case .connecting:
      waiting.append(statement)
    case .closed:
      waiting.append(statement)
      connect()
    case .backingOff:
      statement.complete(.failure(PostgresError(.unavailable, "reconnecting after \(failedAttempts) failed attempts")))
    }
  }

  private func send(_ statement: Statement) {
    if statement.isAlone { sync() }
    // The sync may have found the connection broken.
    guard isOpen, let connection = handle?.pointer else { return submit(statement) }
    let isQueued = sender.send(statement, on: connection)
    pipeline.append(statement)
    guard isQueued else { return lost(PostgresError(.connectionLost, errorMessage)) }
    if statement.isAlone || pipeline.unsynced == Self.sharedLimit { sync() }
    armWatchdog()
    if !turnEndRequested {
      turnEndRequested = true
      Loop.shared.atEndOfTurn(self)
    }
  }

  /// Ends the transaction of the statements sent since the last sync, if there are any.
  private func sync() {
    guard pipeline.unsynced > 0, let connection = handle?.pointer else { return }
    pipeline.sync()
    if chatty_pipeline_sync(connection) != 1 { lost(PostgresError(.connectionLost, errorMessage)) }
  }

  func endTurn() {
    turnEndRequested = false
    guard isOpen else { return }
    sync()
    flush()
  }

  /// Sends what libpq has queued; what the socket does not take waits for it to be writable.
  private func flush() {
    guard let connection = handle?.pointer, let descriptor = handle?.descriptor else { return }
    let rest = PQflush(connection)
    if rest < 0 { return lost(PostgresError(.connectionLost, errorMessage)) }
    if (rest == 1) != waitsForWritability {
      waitsForWritability = rest == 1
      Loop.shared.rewatch(descriptor, waitsForWritability ? [.readable, .writable] : .readable)
    }
  }

  private func ready(_ readiness: Readiness) {
    guard let connection = handle?.pointer else { return }
    if readiness.contains(.writable) { flush() }
    guard PQconsumeInput(connection) == 1 else {
      // What had arrived before the end is still to be read: it may say why.
      takeResults()
      return lost(PostgresError(.connectionLost, errorMessage))
    }
    takeResults()
    while let connection = handle?.pointer, let notification = PQnotifies(connection) {
      events.notified(String(cString: notification.pointee.relname))
      PQfreemem(notification)
    }
    if PQstatus(handle?.pointer) == CONNECTION_BAD { lost(PostgresError(.connectionLost, errorMessage)) }
  }

  private func takeResults() {
    var nils = 0
    while !pipeline.isEmpty, let connection = handle?.pointer, PQisBusy(connection) == 0 {
      guard let result = PQgetResult(connection) else {
        nils += 1
        // libpq has nothing more although statements are in flight: their results cannot be told apart any longer.
        guard nils == 1 else { return lost(PostgresError(.connectionLost, "results out of step")) }
        pipeline.endResults()
        continue
      }
      nils = 0
      switch pipeline.take(ResultSet(result)) {
      case .goesOn: break
      case .transactionEnded: while let statement = pipeline.removeEnded() { finish(statement) }
      case .lost(let error): return lost(error)
      }
    }
  }

  private func finish(_ statement: Statement) {
    if statement.isUnprepared, let name = statement.name { sender.forget(name) }
    if let failure = statement.failure {
      if failure.isStalePlan, let name = statement.name {
        // A migration has changed the result type under a prepared statement, or somebody deallocated it. It has not run.
        StatementName.renew(statement.query, insteadOf: name)
        // In a transaction it would not help: that has failed.
        if !reserved {
          statement.wasRetried = true
          return sendAgain(statement)
        }
      }
      statement.complete(.failure(failure))
    } else if let rows = statement.rows.take() {
      statement.complete(.rows(rows))
    } else if statement.isAlone {
      statement.complete(.failure(PostgresError(.connectionLost, "no result")))
    } else {
      // One before it in the same transaction has failed.
      sendAgain(statement)
    }
  }

  /// By itself, so that nobody else's failure can come between again.
  private func sendAgain(_ statement: Statement) {
    statement.isAlone = true
    submit(statement)
  }

  /// Sends a statement now, if there is a connection, and first on every new one.
  func greet(_ query: Query) {
    greeting = query
    if isOpen { greet() }
  }

  private func greet() {
    if let greeting { send(Statement(greeting, isRepeatable: false) { _ in }) }
  }

  // MARK: Life

  /// Connects if it is not connected and no attempt has just failed.
  func open() {
    if case .closed = state { connect() }
  }

  private func connect() {
    state = .connecting
    let dialer = Dialer(settings) { [self] end in
      self.dialer = nil
      switch consume end {
      case .open(let handle): opened(handle)
      case .failed(let message): attemptFailed(message)
      }
    }
    self.dialer = dialer
    dialer.start()
  }

  private func opened(_ handle: consuming Handle) {
    let (connection, descriptor) = (handle.pointer, handle.descriptor)
    self.handle = consume handle
    guard PQsetnonblocking(connection, 1) == 0, PQenterPipelineMode(connection) == 1 else { return attemptFailed("no pipeline mode") }
    events.opened(session > 0)
    session += 1
    failedAttempts = 0
    sender.forgetAll()
    waitsForWritability = false
    state = .ready
    watch(descriptor, .readable) { [self] in ready($0) }
    greet()
    let statements = waiting
    waiting = []
    for statement in statements { submit(statement) }
  }

  private func attemptFailed(_ message: String) {
    dropHandle()
    failedAttempts += 1
    state = .backingOff
    events.failed(PostgresError(.unavailable, message))
    // 50 ms, doubled up to 3.2 s, less up to a half so that the workers of a pool do not come back all at once.
    let ceiling = 50 << min(failedAttempts - 1, 6)
    Loop.shared.after(.milliseconds(Int.random(in: ceiling / 2...ceiling))) { [self] in
      state = .closed
      if keepsOpen { connect() }
    }
    failWaiting(message)
  }

  private func failWaiting(_ message: String) {
    let statements = waiting
    waiting = []
    for statement in statements { statement.complete(.failure(PostgresError(.unavailable, message))) }
  }

  /// The connection broke. Reads wait for the next one; of writes nobody knows whether they happened.
  private func lost(_ error: PostgresError) {
    guard isOpen else { return }
    let statements = abandon()
    events.failed(error)
    for statement in statements {
      if statement.isRepeatable, !statement.wasRetried, !reserved {
        statement.wasRetried = true
        submit(statement)
      } else {
        statement.complete(.failure(error))
      }
    }
    if keepsOpen, case .closed = state { connect() }
  }

  /// Ends the connection for good; whoever still waits gets an error.
  func close() {
    keepsOpen = false
    dialer?.cancel()
    dialer = nil
    for statement in abandon() { statement.complete(.failure(PostgresError(.connectionLost, "closed"))) }
    failWaiting("closed")
  }

  /// Closes the connection and gives up what was in flight on it.
  private func abandon() -> [Statement] {
    dropHandle()
    state = .closed
    return pipeline.removeAll()
  }

  private func dropHandle() {
    unwatch()
    handle = nil
  }

  private func watch(_ descriptor: Int32, _ readiness: Readiness, handler: @escaping @Worker (Readiness) -> Void) {
    watched = descriptor
    Loop.shared.watch(descriptor, readiness, handler: handler)
  }

  private func unwatch() {
    if let watched { Loop.shared.unwatch(watched) }
    watched = nil
  }

  /// The server ends a statement that takes too long; a server that no longer does even that is given up here. The time counts
  /// from the end of the statement before: with many in the pipeline the last may rightly wait for long.
  private func armWatchdog() {
    guard !watchdogArmed else { return }
    watchdogArmed = true
    Loop.shared.after(.seconds(1)) { [self] in
      watchdogArmed = false
      guard !pipeline.isEmpty else { return }
      let limit = settings.statementTimeout * pipeline.firstTransactionCount + .seconds(2)
      if pipeline.workingSince.advanced(by: limit) < .now {
        lost(PostgresError(.connectionLost, "no answer"))
      } else {
        armWatchdog()
      }
    }
  }
}

/// What a connection tells its owner.
struct ConnectionEvents {
  var opened: @Worker (_ reconnected: Bool) -> Void
  var failed: @Worker (PostgresError) -> Void
  var notified: @Worker (_ channel: String) -> Void
}

extension PostgresError {
  fileprivate var isStalePlan: Bool {
    sqlState == .invalidStatementName || (sqlState == .featureNotSupported && message.contains("cached plan"))
  }
}
