import CPostgres
import EventLoop

/// Hands statements to libpq: prepared on the first use of each, by name from then on.
@Worker
struct StatementSender {
  /// Off behind a pooler that gives each transaction another session.
  let prepares: Bool
  /// What is prepared on the present session, or is about to be.
  private var prepared: Set<StatementName> = []
  private var scratch = Scratch()

  init(prepares: Bool) { self.prepares = prepares }

  /// Queues a statement; false if libpq takes none, which is so only when the connection is broken or memory is short.
  mutating func send(_ statement: Statement, on connection: OpaquePointer) -> Bool {
    statement.reset()
    // One that was prepared in vain is not sent by a name again: that may be as wrong as the first.
    guard prepares, !statement.wasRetried else { return sendUnprepared(statement.query, on: connection) }
    let name = StatementName.of(statement.query)
    statement.name = name
    if prepared.insert(name).inserted {
      statement.preparing = true
      guard prepare(statement.query, as: name, on: connection) else { return false }
    }
    return scratch.with(statement.query.parameters) { values, lengths, formats in
      PQsendQueryPrepared(connection, name.text, Int32(values.count), values.baseAddress, lengths.baseAddress, formats.baseAddress, 1)
    }
  }

  private mutating func sendUnprepared(_ query: Query, on connection: OpaquePointer) -> Bool {
    let types = query.parameters.map(\.type.rawValue)
    return scratch.with(query.parameters) { values, lengths, formats in
      PQsendQueryParams(
        connection, query.sql, Int32(values.count), types, values.baseAddress, lengths.baseAddress, formats.baseAddress, 1)
    }
  }

  private func prepare(_ query: Query, as name: StatementName, on connection: OpaquePointer) -> Bool {
    let types = query.parameters.map(\.type.rawValue)
    return PQsendPrepare(connection, name.text, query.sql, Int32(types.count), types) == 1
  }

  /// The statement's preparation has failed, or was not come to: its next use prepares it again.
  mutating func forget(_ name: StatementName) { prepared.remove(name) }

  /// Another session has nothing prepared.
  mutating func forgetAll() { prepared = [] }
}
