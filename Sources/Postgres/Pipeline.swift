// Which result belongs to which statement (libpq, chapter "Pipeline Mode").

import CPostgres
import EventLoop

/// What has been sent on a connection and is not settled, in the order in which the results come.
///
/// Per statement come: the result of its preparation if there was one, nil, its own result, nil; per transaction, that of its
/// sync, and only with that the outcomes of the transaction's statements are final.
@Worker
struct Pipeline {
  /// What a result means for the connection.
  enum Event {
    /// There is more to come.
    case goesOn
    /// The sync has come: `removeEnded` gives the statements of its transaction.
    case transactionEnded
    /// The server ends the session.
    case lost(PostgresError)
  }

  private var statements = FIFO<Statement>()
  /// Of the statements, how many have all their results, and wait for the sync.
  private var answered = 0
  /// Of the statements, how many are not followed by a sync yet.
  private(set) var unsynced = 0
  /// Since when the first statement without its results is the one that the server works at.
  private(set) var workingSince = Instant.now

  var count: Int { statements.count }
  var isEmpty: Bool { statements.isEmpty }

  /// Statements whose results come together with those of the first, itself included.
  var firstTransactionCount: Int {
    var count = 1
    while count < statements.count, !statements[count - 1].endsTransaction { count += 1 }
    return count
  }

  mutating func append(_ statement: Statement) {
    if statements.isEmpty { workingSince = .now }
    statements.append(statement)
    unsynced += 1
  }

  /// A sync is sent: the transaction of the statements since the last one ends with it.
  mutating func sync() {
    unsynced = 0
    statements[statements.count - 1].endsTransaction = true
  }

  /// Takes the next result.
  mutating func take(_ result: consuming ResultSet) -> Event {
    if result.status == PGRES_PIPELINE_SYNC {
      workingSince = .now
      return .transactionEnded
    }
    // What fails with the commit (a deferred constraint) comes for the sync, and is the failure of the statement before it.
    let statement = isAtSync ? statements[answered - 1] : statements[answered]
    switch result.status {
    case PGRES_PIPELINE_ABORTED:
      if statement.preparing { statement.isUnprepared = true }
    case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
      if !statement.preparing { statement.rows = consume result }
    default:
      let error = result.error()
      if error.kind == .connectionLost || error.sqlState?.endsSession == true {
        return .lost(PostgresError(.connectionLost, error.message))
      }
      if statement.preparing { statement.isUnprepared = true }
      statement.failure = error
    }
    return .goesOn
  }

  /// Takes the nil after the results of a command: the next ones are of the statement itself after its preparation, or of the next.
  mutating func endResults() {
    guard !isAtSync else { return }
    workingSince = .now
    if statements[answered].preparing { statements[answered].preparing = false } else { answered += 1 }
  }

  /// The next statement of the transaction that has ended; nil after its last.
  mutating func removeEnded() -> Statement? {
    guard answered > 0 else { return nil }
    let statement = statements.removeFirst()
    // Those behind the sync have no results yet.
    answered = statement.endsTransaction ? 0 : answered - 1
    return statement
  }

  /// Gives up what is in flight.
  mutating func removeAll() -> [Statement] {
    var removed: [Statement] = []
    while !statements.isEmpty { removed.append(statements.removeFirst()) }
    answered = 0
    unsynced = 0
    return removed
  }

  /// All that comes before the first sync has come.
  private var isAtSync: Bool { answered > 0 && statements[answered - 1].endsTransaction }
}
