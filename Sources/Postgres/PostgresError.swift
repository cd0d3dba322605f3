/// Why a statement gave no result.
public struct PostgresError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// The server refused the statement; nothing of it remains.
    case server(SQLState)
    /// The statement was never sent: there is no connection. Nothing has happened.
    case unavailable
    /// The connection broke after the statement may have been sent: a write may have happened or not.
    case connectionLost
    /// The result is not of the type that was asked for: a defect of the program.
    case decoding
  }

  public let kind: Kind
  public let message: String
  /// The violated constraint, if the server named one.
  public let constraint: String?

  public init(_ kind: Kind, _ message: String, constraint: String? = nil) {
    self.kind = kind
    self.message = message
    self.constraint = constraint
  }

  public var sqlState: SQLState? {
    if case .server(let state) = kind { state } else { nil }
  }

  public var description: String {
    switch kind {
    case .server(let state): "\(state.rawValue): \(message)"
    case .unavailable: "database unavailable: \(message)"
    case .connectionLost: "database connection lost: \(message)"
    case .decoding: "unexpected result: \(message)"
    }
  }
}

/// A five-character error code, PostgreSQL manual, appendix A.
public struct SQLState: RawRepresentable, Hashable, Sendable {
  public let rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }

  public static let featureNotSupported = SQLState(rawValue: "0A000")
  public static let invalidStatementName = SQLState(rawValue: "26000")
  public static let readOnlyTransaction = SQLState(rawValue: "25006")
  public static let inFailedTransaction = SQLState(rawValue: "25P02")
  public static let foreignKeyViolation = SQLState(rawValue: "23503")
  public static let uniqueViolation = SQLState(rawValue: "23505")
  public static let serializationFailure = SQLState(rawValue: "40001")
  public static let deadlockDetected = SQLState(rawValue: "40P01")
  public static let diskFull = SQLState(rawValue: "53100")
  public static let lockNotAvailable = SQLState(rawValue: "55P03")
  public static let insufficientPrivilege = SQLState(rawValue: "42501")
  public static let queryCanceled = SQLState(rawValue: "57014")
  public static let cannotConnectNow = SQLState(rawValue: "57P03")

  /// Class 57P: the server ends the session (shutdown, crash of another backend, `pg_terminate_backend`) or refuses to open one.
  var endsSession: Bool { rawValue.hasPrefix("57P") }
}
