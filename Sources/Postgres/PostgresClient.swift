// A worker's connections: one deep pipeline for single rows, one for lists, a few shallow ones for writes.

import EventLoop

/// The database as a worker sees it.
///
/// Reads share one connection, whose pipeline takes the statements of all requests at hand. Results come in the order of the statements,
/// so lists, which take longer, have another one: whoever asks for a single row does not wait behind them. A commit waits for its own
/// flush to disk and those behind it in the same pipeline wait too, so writes are spread: each goes to the write connection with least
/// in flight, and another is opened, up to a limit, rather than queueing behind one that is busy.
@Worker
public final class PostgresClient {
  private let settings: ConnectionSettings
  private let reader: Connection
  private let lister: Connection
  private var writers: [Connection] = []
  private let writeLimit: Int
  private var waitingForWriter: [UnsafeContinuation<Connection, Never>] = []
  private let counters = Counters()

  private final class Counters {
    var reconnects = 0
    var lastError: PostgresError?
    var onNotification: (@Worker (String) -> Void)?
    var onFailure: (@Worker (PostgresError) -> Void)?
  }

  /// - Parameters:
  ///   - settings: where and as whom to connect. No connection is made before the first statement.
  ///   - writeConnections: how many connections for writes there are at most, 1 or more.
  public init(_ settings: ConnectionSettings, writeConnections: Int = 1) {
    self.settings = settings
    writeLimit = writeConnections
    reader = Connection(settings: settings, events: Self.events(counters))
    reader.keepsOpen = true
    lister = Connection(settings: settings, events: Self.events(counters))
  }

  private static func events(_ counters: Counters) -> ConnectionEvents {
    ConnectionEvents(
      opened: { reconnected in if reconnected { counters.reconnects += 1 } },
      failed: { error in
        counters.lastError = error
        counters.onFailure?(error)
      },
      notified: { channel in counters.onNotification?(channel) })
  }

  /// How often a connection had to be made again.
  public var reconnects: Int { counters.reconnects }

  /// Called with each loss of a connection and each failed attempt to make one.
  public func onFailure(_ handler: @escaping @Worker (PostgresError) -> Void) { counters.onFailure = handler }

  // MARK: Statements

  /// Runs a statement that changes nothing. It is sent a second time if the connection breaks under it.
  public func read<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(PostgresError) -> [Row] {
    try await run(query, on: reader, isRepeatable: true)
  }

  /// As `read`, for a statement that goes through many rows: it holds up other lists, and no single row.
  public func list<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(PostgresError) -> [Row] {
    try await run(query, on: lister, isRepeatable: true)
  }

  /// As `read`, for at most one row.
  public func readOne<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(PostgresError) -> Row? {
    try await read(query, as: type).first
  }

  /// Runs a statement that changes something, as a transaction of its own. It is never sent twice: after a broken connection
  /// the error is `.connectionLost`, and the change may have been made or not.
  @discardableResult
  public func write<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(PostgresError) -> [Row] {
    try await run(query, on: writer(), isRepeatable: false)
  }

  /// As `write`, for at most one row.
  public func writeOne<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(PostgresError) -> Row? {
    try await write(query, as: type).first
  }

  /// Runs a statement that gives no rows.
  public func execute(_ query: Query) async throws(PostgresError) {
    let _: [NoColumns] = try await run(query, on: writer(), isRepeatable: false)
  }

  /// Runs a statement that gives no rows on a session that is made for it and ends after it: so it tells whether new sessions can be
  /// made and can do that. Nothing of the client's own connections is used.
  public func tryOut(_ query: Query) async throws(PostgresError) {
    let connection = Connection(settings: settings, events: Self.events(counters))
    defer { connection.close() }
    let _: [NoColumns] = try await run(query, on: connection, isRepeatable: false)
  }

  private func run<Row: RowDecodable>(_ query: Query, on connection: Connection, isRepeatable: Bool) async throws(PostgresError) -> [Row] {
    try await send(query, on: connection, isRepeatable: isRepeatable) { result in
      do throws(PostgresError) { return .success(try result.rows(as: Row.self)) } catch { return .failure(error) }
    }
  }

  /// Sends a statement and gives what `read` makes of its result.
  private func send<Value: Sendable>(
    _ query: Query, on connection: Connection, isRepeatable: Bool,
    read: @escaping @Worker (borrowing ResultSet) -> Result<Value, PostgresError>
  ) async throws(PostgresError) -> Value {
    try await withUnsafeContinuation { continuation in
      connection.submit(
        Statement(query, isRepeatable: isRepeatable) { outcome in
          switch consume outcome {
          case .rows(let result): continuation.resume(returning: read(result))
          case .failure(let error): continuation.resume(returning: .failure(error))
          }
        })
    }.get()
  }

  // MARK: Transactions

  /// Runs several statements as one transaction, on a connection that nobody else uses meanwhile: committed when `body`
  /// returns, rolled back when it throws.
  public func transaction<Value: Sendable>(
    _ body: @Worker (Transaction) async throws(PostgresError) -> Value
  ) async throws(PostgresError) -> Value {
    let connection = await reserveWriter()
    defer { release(connection) }
    let _: [NoColumns] = try await run("BEGIN", on: connection, isRepeatable: false)
    let transaction = Transaction(client: self, connection: connection, session: connection.session)
    let value: Value
    do throws(PostgresError) {
      value = try await body(transaction)
    } catch {
      // If this fails too, the connection is gone, and the transaction with it.
      try? await transaction.execute("ROLLBACK")
      throw error
    }
    try await transaction.commit()
    return value
  }

  /// The statements of one transaction.
  @Worker
  public struct Transaction {
    fileprivate let client: PostgresClient
    fileprivate let connection: Connection
    fileprivate let session: Int

    @discardableResult
    public func all<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(PostgresError) -> [Row] {
      try checkSession()
      return try await client.run(query, on: connection, isRepeatable: false)
    }

    public func one<Row: RowDecodable>(_ query: Query, as type: Row.Type) async throws(PostgresError) -> Row? {
      try await all(query, as: type).first
    }

    public func execute(_ query: Query) async throws(PostgresError) {
      let _: [NoColumns] = try await all(query, as: NoColumns.self)
    }

    /// On another session a statement would be a transaction of its own.
    private func checkSession() throws(PostgresError) {
      guard connection.isOpen, connection.session == session else { throw PostgresError(.connectionLost, "in a transaction") }
    }

    /// To the COMMIT of a transaction that has failed the server says, without an error, that it has rolled it back.
    fileprivate func commit() async throws(PostgresError) {
      try checkSession()
      let tag = try await client.send("COMMIT", on: connection, isRepeatable: false) { result in .success(result.commandTag) }
      if tag != "COMMIT" { throw PostgresError(.server(.inFailedTransaction), "a statement of the transaction has failed") }
    }
  }

  // MARK: Write connections

  /// The one with least in flight; a new one rather than one that is busy, while there may be more.
  private func writer() -> Connection {
    var best: Connection?
    var unconnected: Connection?
    for writer in writers where !writer.reserved {
      if writer.isBackingOff {
        unconnected = writer
      } else if writer.load == 0 {
        return writer
      } else if writer.load < best?.load ?? .max {
        best = writer
      }
    }
    if writers.count < writeLimit { return addWriter() }
    // With every one taken by a transaction there is one more than the limit, rather than a wait for strangers.
    return best ?? unconnected ?? addWriter()
  }

  private func addWriter() -> Connection {
    let writer = Connection(settings: settings, events: Self.events(counters))
    writers.append(writer)
    return writer
  }

  private func reserveWriter() async -> Connection {
    if writers.count(where: \.reserved) < writeLimit {
      // Statements still in flight there are synced before the transaction begins.
      let connection = writer()
      connection.reserved = true
      return connection
    }
    return await withUnsafeContinuation { waitingForWriter.append($0) }
  }

  private func release(_ connection: Connection) {
    // A transaction that could not be ended ends with its session: nobody else's statement may become part of it.
    if connection.isOpen, !connection.isBetweenTransactions { connection.close() }
    connection.reserved = false
    guard !waitingForWriter.isEmpty else { return }
    connection.reserved = true
    waitingForWriter.removeFirst().resume(returning: connection)
  }

  // MARK: Notifications and life

  /// Has the database's notifications passed to `handler`. `query` is a `LISTEN`; it is repeated on every new connection. None ever come
  /// through a pooler, where no session is the client's own: so whoever listens also has to look from time to time.
  public func listen(_ query: Query, handler: @escaping @Worker (_ channel: String) -> Void) {
    guard settings.hasSessions else { return }
    counters.onNotification = handler
    reader.greet(query)
  }

  /// Opens the connections for reads now: the first request does not wait for them, and they are there if the server's disk is full by then,
  /// when it may take no new one.
  public func connect() {
    reader.open()
    lister.open()
  }

  /// Ends every connection. Statements that have no result yet fail.
  public func close() {
    reader.close()
    lister.close()
    for writer in writers { writer.close() }
    writers = []
  }
}

/// The row of a statement that gives none.
private struct NoColumns: RowDecodable {
  init(row: inout RowReader) throws(PostgresError) {}
}
