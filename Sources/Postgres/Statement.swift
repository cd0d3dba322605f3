import EventLoop

/// A statement on its way, and who waits for it.
@Worker
final class Statement {
  let query: Query
  /// A read: it may be sent again on another connection.
  let isRepeatable: Bool
  let complete: @Worker (consuming Outcome) -> Void
  var wasRetried = false
  /// What it was prepared as; nil if it was sent as it is.
  var name: StatementName?
  /// The result that comes next is the one of its preparation.
  var preparing = false
  /// A sync follows it: the transaction that it is in ends with it.
  var endsTransaction = false
  /// It is not to share its transaction with others.
  var isAlone: Bool

  /// What has come for it; not final before its sync.
  var rows: ResultSet?
  var failure: PostgresError?
  /// Its preparation has failed, or was not come to.
  var isUnprepared = false

  init(_ query: Query, isRepeatable: Bool, complete: @escaping @Worker (consuming Outcome) -> Void) {
    self.query = query
    self.isRepeatable = isRepeatable
    self.complete = complete
    isAlone = !isRepeatable
  }

  /// Forgets what has come, to be sent once more.
  func reset() {
    name = nil
    preparing = false
    endsTransaction = false
    isUnprepared = false
    rows = nil
    failure = nil
  }
}

enum Outcome: ~Copyable {
  case rows(ResultSet)
  case failure(PostgresError)
}
