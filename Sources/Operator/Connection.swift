// How a command reaches the database: on the event loop, like everything else, but the command waits for it.

import EventLoop
import Postgres
import ServiceKit

/// Something that a command cannot do, in a sentence for the operator.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The settings of this process; a wrong one ends it with status 78.
func operatorSettings() -> Settings { Settings.ofProcess(name: "operator") }

/// Runs `work` with a connection to the database and returns when it has ended.
///
/// - Parameter statementTimeout: how long one statement may take, when it is not what the services have.
func withDatabase(
  statementTimeout: Duration? = nil, _ work: @escaping @Worker @Sendable (PostgresClient) async throws -> Void
) throws {
  let settings = operatorSettings()
  var connection = settings.database
  if let statementTimeout { connection.statementTimeout = statementTimeout }
  let outcome = Outcome()
  Loop.shared.run { [connection] in
    let database = PostgresClient(connection)
    do { try await work(database) } catch { outcome.failure = error }
    database.close()
    Loop.shared.stop()
  }
  if let failure = outcome.failure { throw failure }
}

/// Written on the loop, read after it has stopped: never both at once.
private final class Outcome: @unchecked Sendable {
  var failure: (any Error)?
}
