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

  init(_ query: Query, isRepeatable: Bool, complete: @escaping @Worker (consuming Outcome) -> Void) {
    self.query = query
    self.isRepeatable = isRepeatable
    self.complete = complete
  }
}

enum Outcome: ~Copyable {
  case rows(ResultSet)
  case failure(PostgresError)
}
