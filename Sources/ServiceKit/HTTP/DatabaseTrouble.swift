// Which of PostgreSQL's error codes (manual, appendix A) tell of trouble with the database and not of a wrong statement.

import Postgres

extension SQLState {
  /// The server cannot do it now, and the same statement may succeed later: 503, and not 500.
  var isTrouble: Bool { Self.troubleClasses.contains(String(rawValue.prefix(2))) || Self.troubles.contains(self) }

  private static let troubleClasses: Set<String> = [
    "08",  // connection exception
    "40",  // transaction rollback: deadlock, serialization, a completion that is not known
    "53",  // insufficient resources: connections, memory, disk
    "57",  // operator intervention: cancelled, shut down, starting
    "58",  // system error: input and output, a file or library that is missing
    "F0",  // configuration file error
  ]

  private static let troubles: Set<SQLState> = [
    // The server has become a standby: another one takes writes, or soon will.
    .readOnlyTransaction,
    SQLState(rawValue: "25P03"),  // idle_in_transaction_session_timeout
    SQLState(rawValue: "54000"),  // program_limit_exceeded: no transaction numbers are left until the database has been vacuumed
    SQLState(rawValue: "55006"),  // object_in_use
    .lockNotAvailable,
    SQLState(rawValue: "72000"),  // snapshot_too_old
  ]
}
