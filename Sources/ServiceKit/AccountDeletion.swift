// What the deletion of an account takes, whoever deletes it: the statement is theirs.

import EventLoop
import Postgres

/// Deletes an account and everything of theirs: by foreign keys what they wrote, liked and followed, by triggers what was counted, and
/// by rows of the outbox their images.
@Worker
public enum AccountDeletion {
  /// To be called by the statement before it deletes. Accounts go one at a time: two that like each other's posts would wait for each
  /// other's likes.
  ///
  /// The lock is a row's (sql/0022_turns.sql): those alone can hold it who may delete accounts.
  public static let turn: Query = "(SELECT name FROM turns WHERE name = 'deletion' FOR UPDATE)"

  private static let attempts = 5

  /// Runs the statement, and again when it was the victim of a deadlock: others can still be met in the wrong order, somebody who deletes
  /// a post that this one has liked and commented on.
  ///
  /// - Parameters:
  ///   - sqlState: the database's code in what the statement has thrown.
  ///   - delete: runs the statement.
  /// - Throws: what `delete` has thrown the last time.
  public static func run<Value: Sendable, Failure: Error>(
    sqlState: (Failure) -> SQLState?, _ delete: @Worker () async throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    for _ in 1..<attempts {
      do throws(Failure) {
        return try await delete()
      } catch {
        guard sqlState(error) == .deadlockDetected else { throw error }
      }
    }
    return try await delete()
  }
}
