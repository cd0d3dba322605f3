// The database that tests run on, and clusters that tests make to stop and start them.

import EventLoop
import Glibc
import Postgres
import Synchronization

public enum TestDatabase {
  private static let variable = "CHATTY_TEST_DATABASE_URL"
  private static let sessions = Atomic<Int>(0)

  /// Where it is: any PostgreSQL in which tests may make tables and end their own sessions.
  public static var url: String {
    get throws {
      if let url = environmentVariable(variable) { return url }
      throw TestError("\(variable) is not set: these tests need a PostgreSQL 15 in which they may make tables")
    }
  }

  /// A name for a client's sessions that no other client of the tests has.
  public static func uniqueName() -> String {
    "chatty-test-\(getpid())-\(sessions.add(1, ordering: .relaxed).newValue)"
  }
}

/// A database client of a test.
@Worker
public struct TestClient {
  public let client: PostgresClient
  /// Its sessions' `application_name`.
  public let name: String
}

/// Calls `body` on the event loop with a client of its own, and closes that afterwards.
///
/// - Parameters:
///   - url: the database; nil for the one of the tests.
///   - user: the role; nil for the one of the URL.
public func withClient<Value: Sendable>(
  to url: String? = nil, user: String? = nil, writeConnections: Int = 2, preparesStatements: Bool = true,
  statementTimeout: Duration = .seconds(60), _ body: @escaping @Worker @Sendable (TestClient) async throws -> Value
) async throws -> Value {
  let settings = ConnectionSettings(
    url: try url ?? TestDatabase.url, user: user, applicationName: TestDatabase.uniqueName(), statementTimeout: statementTimeout,
    preparesStatements: preparesStatements)
  return try await onLoop {
    let client = PostgresClient(settings, writeConnections: writeConnections)
    defer { client.close() }
    return try await body(TestClient(client: client, name: settings.applicationName))
  }
}

extension PostgresClient {
  /// Ends every session of that name.
  ///
  /// - Returns: how many there were.
  @discardableResult
  public func terminate(_ name: String) async throws -> Int {
    try await write(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = \(name) AND pid <> pg_backend_pid()", as: Bool.self
    ).count
  }

  /// Waits until a session of that name runs a statement.
  public func waitUntilBusy(_ name: String, sessions: Int = 1) async throws {
    let isBusy = try await eventually {
      try await readOne(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = \(name) AND state = 'active'", as: Int64.self) ?? 0 >= sessions
    }
    guard isBusy else { throw TestError("no session of \(name) became busy") }
  }
}

/// A PostgreSQL of a test's own, on a unix socket, that can be stopped and started.
public final class Cluster: Sendable {
  private let folder: TemporaryFolder

  public var url: String { "postgresql:///postgres?host=\(folder.path)&user=postgres" }

  /// Where its socket is.
  public var folderPath: String { folder.path }

  private init() throws { folder = try TemporaryFolder() }

  /// Calls `body` with a running cluster, and stops and removes that afterwards.
  public static func run<Value>(_ body: (Cluster) async throws -> Value) async throws -> Value {
    let cluster = try Cluster()
    if geteuid() == 0 {
      // The server refuses to run as root.
      guard let user = getpwnam("postgres") else { throw TestError("there is no user postgres to run a PostgreSQL as") }
      chown(cluster.folder.path, user.pointee.pw_uid, user.pointee.pw_gid)
    }
    try await cluster.command("initdb", ["-D", cluster.data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"])
    do {
      try await cluster.start()
      let value = try await body(cluster)
      try? await cluster.stop()
      return value
    } catch {
      try? await cluster.stop()
      throw error
    }
  }

  private var data: String { "\(folder.path)/data" }

  /// - Parameter asStandby: only for reading, as if it waited for what another server has written.
  public func start(asStandby: Bool = false) async throws {
    if asStandby { try folder.write("", to: "data/standby.signal") }
    let options = "-c listen_addresses='' -c unix_socket_directories=\(folder.path) -c max_connections=30 -c fsync=on"
    try await command("pg_ctl", ["-D", data, "-l", "\(data)/log", "-w", "-o", options, "start"])
  }

  public enum StopMode: String, Sendable {
    /// Ends the sessions, and says so to them.
    case fast
    /// As after a crash.
    case immediate
  }

  public func stop(_ mode: StopMode = .fast) async throws {
    try await command("pg_ctl", ["-D", data, "-m", mode.rawValue, "-w", "stop"])
  }

  private func command(_ name: String, _ arguments: [String]) async throws {
    let user = geteuid() == 0 ? ["/usr/sbin/runuser", "-u", "postgres", "--"] : []
    let folder = try TemporaryFolder()
    let output = try OutputFile(in: folder)
    let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
    defer { close(nothing) }
    let child = try ChildProcess(
      user + ["\(try Self.programs())/\(name)"] + arguments, environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"], input: nothing,
      output: output.descriptor)
    let status = try await child.waitForExit()
    guard status == 0 else { throw TestError("\(name): exit status \(status): \(output.text)") }
  }

  /// The folder of the server's programs: Debian keeps them out of the search path.
  private static func programs() throws -> String {
    let places = (15...18).map { "/usr/lib/postgresql/\($0)/bin" } + ["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"]
    guard let found = places.first(where: { access("\($0)/initdb", X_OK) == 0 }) else { throw TestError("no initdb in \(places)") }
    return found
  }
}
