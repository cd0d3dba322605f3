import CPostgres

/// Owns a `PGconn`.
struct Handle: ~Copyable {
  let pointer: OpaquePointer

  /// Begins to connect (`PQconnectStartParams`); nil if there is no memory.
  init?(_ parameters: [(String, String)]) {
    let keywords = CStringArray(parameters.map(\.0))
    let values = CStringArray(parameters.map(\.1))
    guard let pointer = PQconnectStartParams(keywords.pointer, values.pointer, 0) else { return nil }
    self.pointer = pointer
    // Unless told otherwise libpq prints what the server remarks between our log lines.
    PQsetNoticeProcessor(pointer, { _, _ in }, nil)
    // While there is no session this is the only way to a refusal's SQLSTATE.
    PQsetErrorVerbosity(pointer, PQERRORS_VERBOSE)
  }
  deinit { PQfinish(pointer) }

  var descriptor: Int32 { PQsocket(pointer) }
  var errorMessage: String { String(cString: PQerrorMessage(pointer)) }

  /// The session is there: errors are worded as usual from now on.
  borrowing func beginSession() { PQsetErrorVerbosity(pointer, PQERRORS_DEFAULT) }

  /// Why there is no session.
  var refusal: Refusal { Refusal(errorMessage) }
}

/// What libpq says when it could not connect, in its verbose form.
package struct Refusal {
  package let message: String
  /// What the server said, if it said anything.
  package let sqlState: SQLState?

  package init(_ text: String) {
    let lines = text.split(separator: "\n").filter { !$0.hasPrefix("LOCATION:  ") }
    message = lines.joined(separator: "\n")
    sqlState = lines.lazy.compactMap(Self.state).first
  }

  /// Of a line such as "… failed: FATAL:  28P01: password authentication failed …", whose severity may be in any language.
  private static func state(_ line: Substring) -> SQLState? {
    guard let mark = line.firstRange(of: ":  ") else { return nil }
    let (code, rest) = (line[mark.upperBound...].prefix(5), line[mark.upperBound...].dropFirst(5))
    guard code.count == 5, code.allSatisfy({ $0.isASCII && ($0.isNumber || $0.isUppercase) }), rest.hasPrefix(": ") else { return nil }
    return SQLState(rawValue: String(code))
  }

  /// The server was reached and does not want this client: as with libpq other hosts are not asked then (34.1.1.3), unless this one only
  /// starts or stops (57P03).
  package var isFinal: Bool { sqlState.map { $0 != .cannotConnectNow } ?? false }
}
