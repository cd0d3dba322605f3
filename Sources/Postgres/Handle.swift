import CPostgres

/// Owns a `PGconn`.
struct Handle: ~Copyable {
  let pointer: OpaquePointer

  init?(connecting settings: ConnectionSettings) {
    let pairs = settings.parameters
    let keywords = CStringArray(pairs.map(\.0))
    let values = CStringArray(pairs.map(\.1))
    guard let pointer = PQconnectStartParams(keywords.pointer, values.pointer, 1) else { return nil }
    self.pointer = pointer
    // Unless told otherwise libpq prints what the server remarks between our log lines.
    PQsetNoticeProcessor(pointer, { _, _ in }, nil)
  }
  deinit { PQfinish(pointer) }

  var descriptor: Int32 { PQsocket(pointer) }
  var errorMessage: String { String(cString: PQerrorMessage(pointer)) }
}
