import EventLoop

/// A statement on its way, and who waits for it.
@Worker
final class Statement {
  let query: Query
  /// A read: it may be sent again on another connection.
  let isRepeatable: Bool
  let complete: @Worker (consuming Outcome) -> Void
  var wasRetried = false
  /// The result that comes next is the one of its preparation.
  var preparing = false
  var sentAt = Instant.now

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
