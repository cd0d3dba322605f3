// Reading much at once, for programs that do nothing else meanwhile: one connection, one snapshot, COPY in binary format. It blocks, so it
// is not for a process that serves requests.

import CPostgres
import Glibc

/// A read-only transaction whose statements all see the same snapshot of the database. It ends when this goes away.
public final class SnapshotReader {
  private let handle: Handle

  /// Connects and begins the transaction.
  ///
  /// - Parameter settings: where and as whom; no statement may take longer than its `statementTimeout`.
  /// - Throws: `unavailable` if there is no connection within the settings' time.
  public init(_ settings: ConnectionSettings) throws(PostgresError) {
    handle = try Self.connect(settings)
    try execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    // A pooler's session has the role's default, which is meant for short statements.
    if !settings.hasSessions { try execute("SET LOCAL statement_timeout = \(settings.statementTimeout.wholeMilliseconds)") }
  }

  /// Goes through the targets of the settings' plan, each with a time of its own.
  private static func connect(_ settings: ConnectionSettings) throws(PostgresError) -> Handle {
    let plan = try ConnectionPlan(settings)
    var targets = plan.targets
    var failures: [String] = []
    while !targets.isEmpty {
      let target = targets.removeFirst()
      if let name = target.nameToLookUp {
        switch HostNames.lookUp(name) {
        case .success(let addresses): targets = target.at(addresses) + targets
        case .failure(let error): failures.append(error.message)
        }
        continue
      }
      guard let handle = Handle(plan.parameters(for: target)) else { throw PostgresError(.unavailable, "out of memory") }
      if handle.waitUntilOpen(plan.patience) { return handle }
      let refusal = handle.refusal
      failures.append(refusal.message.isEmpty ? "\(target.description): no answer within \(plan.patience)" : refusal.message)
      if refusal.isFinal { break }
    }
    throw PostgresError(.unavailable, failures.joined(separator: "; "))
  }

  private func execute(_ sql: String) throws(PostgresError) {
    let result = try result(of: PQexec(handle.pointer, sql))
    guard result.status == PGRES_COMMAND_OK else { throw result.error() }
  }

  private func result(of pointer: OpaquePointer?) throws(PostgresError) -> ResultSet {
    guard let pointer else { throw PostgresError(.connectionLost, handle.errorMessage) }
    return ResultSet(pointer)
  }

  /// The first row of a statement.
  public func one<Row: RowDecodable>(_ query: Query, as type: Row.Type) throws(PostgresError) -> Row? {
    var scratch = Scratch()
    let types = query.parameters.map(\.type.rawValue)
    var pointer: OpaquePointer?
    _ = scratch.with(query.parameters) { values, lengths, formats in
      pointer = PQexecParams(
        handle.pointer, query.sql, Int32(values.count), types, values.baseAddress, lengths.baseAddress, formats.baseAddress, 1)
      return 1
    }
    let result = try result(of: pointer)
    guard result.status == PGRES_TUPLES_OK else { throw result.error() }
    return try result.rows(as: type).first
  }

  /// Copies rows out of the database.
  ///
  /// - Parameters:
  ///   - query: a `COPY … TO STDOUT (FORMAT binary)` without parameters.
  ///   - body: called with each row, which it may not keep. What it throws ends the copy, and with it the use of this connection.
  public func copy(_ query: Query, _ body: (inout CopiedRow) throws -> Void) throws {
    precondition(query.parameters.isEmpty, "COPY takes no parameters")
    let begun = try result(of: PQexec(handle.pointer, query.sql))
    guard begun.status == PGRES_COPY_OUT else { throw begun.error() }
    var isFirst = true
    while true {
      var buffer: UnsafeMutablePointer<CChar>?
      let count = PQgetCopyData(handle.pointer, &buffer, 0)
      guard count > 0, let buffer else {
        if count == -1 { break }
        throw PostgresError(.connectionLost, handle.errorMessage)
      }
      defer { PQfreemem(buffer) }
      // A message holds a row (manual, 55.2.7, "Copy operations"); the header comes before the first.
      var row = CopiedRow(UnsafeRawBufferPointer(start: buffer, count: Int(count)))
      if isFirst { try row.takeHeader() }
      isFirst = false
      if try row.begin() { try body(&row) }
    }
    let ended = try result(of: PQgetResult(handle.pointer))
    guard ended.status == PGRES_COMMAND_OK else { throw ended.error() }
    while let pointer = PQgetResult(handle.pointer) { PQclear(pointer) }
  }
}

/// A row of a COPY in binary format, read from left to right (manual, COPY, "Binary format"). It must not outlive the closure that it was
/// given to.
public struct CopiedRow {
  private let bytes: UnsafeRawBufferPointer
  private var offset = 0

  fileprivate init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  private static let signature: [UInt8] = [0x50, 0x47, 0x43, 0x4F, 0x50, 0x59, 0x0A, 0xFF, 0x0D, 0x0A, 0x00]
  /// The signature, the flags and the length of an extension, of which there are none.
  private static let headerSize = 19

  fileprivate mutating func takeHeader() throws(PostgresError) {
    guard bytes.count >= Self.headerSize, bytes.prefix(Self.signature.count).elementsEqual(Self.signature) else {
      throw PostgresError(.decoding, "a COPY without its header")
    }
    offset = Self.headerSize
  }

  /// Goes to the first column.
  ///
  /// - Returns: false for the trailer, which is no row.
  fileprivate mutating func begin() throws(PostgresError) -> Bool { try take(Int16.self) >= 0 }

  /// The next column, a bigint that is not NULL.
  @inline(__always)
  public mutating func next() throws(PostgresError) -> Int64 {
    guard try take(Int32.self) == 8 else { throw PostgresError(.decoding, "a COPY whose column is no bigint") }
    return try take(Int64.self)
  }

  @inline(__always)
  private mutating func take<Value: FixedWidthInteger>(_ type: Value.Type) throws(PostgresError) -> Value {
    let end = offset + MemoryLayout<Value>.size
    guard end <= bytes.count else { throw PostgresError(.decoding, "a COPY whose row is cut") }
    let value = Value(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
    offset = end
    return value
  }
}

extension Handle {
  /// Waits for the connection that was begun.
  ///
  /// - Returns: whether it was made; if not, `refusal` says why, unless it only took too long.
  fileprivate borrowing func waitUntilOpen(_ timeout: Duration) -> Bool {
    let deadline = ContinuousClock.now + timeout
    var state = PGRES_POLLING_WRITING
    while state != PGRES_POLLING_OK {
      guard state != PGRES_POLLING_FAILED, PQstatus(pointer) != CONNECTION_BAD else { return false }
      let left = (deadline - .now) / .milliseconds(1)
      guard left > 0 else { return false }
      var entry = pollfd(fd: descriptor, events: Int16(state == PGRES_POLLING_READING ? POLLIN : POLLOUT), revents: 0)
      // Interrupted or late, the next turn finds out.
      guard poll(&entry, 1, Int32(left.rounded(.up))) > 0 else { continue }
      state = PQconnectPoll(pointer)
    }
    beginSession()
    return true
  }
}
