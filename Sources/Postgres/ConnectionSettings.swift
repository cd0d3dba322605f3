// Where the database is and how a session there is set up.

import CPostgres
import Glibc

public struct ConnectionSettings: Sendable {
  /// A libpq connection string or URI (manual, 34.1.1).
  public var url: String
  /// The role to connect as; it wins over one in `url`, as `password` does.
  public var user: String?
  public var password: String?
  public var applicationName: String
  /// The server ends a statement that runs longer.
  public var statementTimeout: Duration
  /// The server ends a session whose transaction waits for its next statement for longer.
  public var idleTransactionTimeout: Duration
  /// How long each of the database's addresses is waited for, unless the URL has a `connect_timeout`.
  public var connectTimeout: Duration = .seconds(3)
  /// Off behind a pooler that gives each transaction another session (pgbouncer in transaction mode).
  public var preparesStatements: Bool
  /// A connection has a session of its own: what it prepares, sets and listens to is still there for its next transaction.
  var hasSessions: Bool { preparesStatements }

  public init(
    url: String, user: String? = nil, password: String? = nil, applicationName: String, statementTimeout: Duration = .seconds(5),
    idleTransactionTimeout: Duration = .seconds(10), preparesStatements: Bool = true
  ) {
    self.url = url
    self.user = user
    self.password = password
    self.applicationName = applicationName
    self.statementTimeout = statementTimeout
    self.idleTransactionTimeout = idleTransactionTimeout
    self.preparesStatements = preparesStatements
  }

  /// What a session is opened with, whatever the URL says: libpq's keywords and their values.
  ///
  /// - Parameter own: what the URL itself says of `options`.
  func sessionParameters(own: String?) -> [String: String] {
    var parameters = ["application_name": applicationName, "client_encoding": "UTF8"]
    if let user { parameters["user"] = user }
    if let password { parameters["password"] = password }
    if hasSessions {
      // The statements are short: compiling one costs more than it can save. A pooler refuses these, and its sessions begin with the same as
      // defaults of the role (deploy/migrate). What the URL says itself comes first: of two settings of one thing the last counts.
      let options = [
        "statement_timeout=\(statementTimeout.wholeMilliseconds)", "lock_timeout=\(statementTimeout.wholeMilliseconds)",
        "idle_in_transaction_session_timeout=\(idleTransactionTimeout.wholeMilliseconds)", "jit=off",
        // What the statements rely on: a role may change its own defaults, whoever it was that made it do so.
        "search_path=public", "default_transaction_isolation=read\\ committed", "default_transaction_read_only=off",
      ]
      parameters["options"] = ((own.map { [$0] } ?? []) + options.map { "-c \($0)" }).joined(separator: " ")
    }
    return parameters
  }
}

extension Duration {
  /// As the server's settings count.
  var wholeMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}

/// Connection strings and URIs as libpq understands them (manual, 34.1.1).
public enum ConnectionString {
  /// Whether a text is one. Where it leads is not looked at.
  public static func isValid(_ text: String) -> Bool {
    do throws(PostgresError) {
      _ = try parse(text)
      return true
    } catch {
      return false
    }
  }

  /// What it says, by libpq's keywords.
  ///
  /// - Throws: `unavailable` if it is none.
  static func parse(_ text: String) throws(PostgresError) -> [String: String] {
    guard let options = PQconninfoParse(text, nil) else { throw PostgresError(.unavailable, "the database's address cannot be read") }
    return values(of: options)
  }

  /// What libpq takes for keywords that are not given, from the environment and built in.
  package static var defaults: [String: String] { PQconndefaults().map { values(of: $0) } ?? [:] }

  /// Those that are set. Frees the array.
  private static func values(of options: UnsafeMutablePointer<PQconninfoOption>) -> [String: String] {
    defer { PQconninfoFree(options) }
    var values: [String: String] = [:]
    var next = options
    while let keyword = next.pointee.keyword {
      if let value = next.pointee.val { values[String(cString: keyword)] = String(cString: value) }
      next += 1
    }
    return values
  }
}

/// A NULL-terminated array of C strings.
final class CStringArray {
  let pointer: UnsafeMutablePointer<UnsafePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    pointer = .allocate(capacity: count + 1)
    for (index, string) in strings.enumerated() { pointer[index] = UnsafePointer(strdup(string)) }
    pointer[count] = nil
  }

  deinit {
    for index in 0..<count { free(UnsafeMutablePointer(mutating: pointer[index])) }
    pointer.deallocate()
  }
}
